//! From the distance grid to the anomaly map and its picture.

use super::resize::{Size, linear_f32};
use crate::domain::{AnomalyMap, DistanceGrid};
use image::GrayImage;

/// The grid resized bilinearly to `width` × `height`, with half-pixel centres and repeated edges (`cv2.INTER_LINEAR` on float32).
///
/// A NaN in the grid spreads to every pixel that it contributes to. An empty grid gives a map of NaN: nothing is known, so nothing passes.
pub fn anomaly_map(grid: &DistanceGrid, width: u32, height: u32) -> AnomalyMap {
    let to = Size { width: width as usize, height: height as usize };
    let from = Size { width: grid.width as usize, height: grid.height as usize };
    let values = if grid.values.is_empty() { vec![f32::NAN; to.width * to.height] } else { linear_f32(&grid.values, 1, from, to, |v| v) };
    AnomalyMap { width, height, values }
}

/// The map as a gray picture: (d − min)/(max − min)·255, cut to whole levels as in the Python scripts; all 0 when the map is flat.
///
/// NaN does not count for minimum and maximum, and is shown as 255.
pub fn heat_gray(map: &AnomalyMap) -> GrayImage {
    // `f32::min` and `f32::max` ignore NaN.
    let (low, high) = map.values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &d| (l.min(d), h.max(d)));
    let range = (f64::from(high) - f64::from(low)).max(1e-12) as f32;
    let pixels = map.values.iter().map(|&d| if d.is_nan() { 255 } else { ((d - low) / range * 255.0) as u8 }).collect();
    GrayImage::from_raw(map.width, map.height, pixels).unwrap_or_default()
}

/// The map as a gray picture on a scale that is the same for all images of a bank: 0 is black, `tau` is the middle and twice `tau` is white.
///
/// NaN is shown as 255.
pub fn heat_of_tau(map: &AnomalyMap, tau: f64) -> GrayImage {
    let scale = 127.5 / tau as f32;
    let pixels = map.values.iter().map(|&d| if d.is_nan() { 255 } else { (d * scale) as u8 }).collect();
    GrayImage::from_raw(map.width, map.height, pixels).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_is_bilinear_with_half_pixel_centres() {
        let grid = DistanceGrid { width: 2, height: 1, values: vec![0.0, 4.0] };
        // cv2.resize(np.float32([[0, 4]]), (4, 2), interpolation=cv2.INTER_LINEAR)
        assert_eq!(anomaly_map(&grid, 4, 2).values, [0.0, 1.0, 3.0, 4.0, 0.0, 1.0, 3.0, 4.0]);
        let one = DistanceGrid { width: 1, height: 1, values: vec![2.5] };
        assert!(anomaly_map(&one, 5, 3).values.iter().all(|&v| (v - 2.5).abs() < 1e-6));
        let none = DistanceGrid { width: 0, height: 0, values: vec![] };
        assert!(anomaly_map(&none, 2, 2).values.iter().all(|v| v.is_nan()));
    }

    #[test]
    fn heat_is_cut_not_rounded() {
        let map = AnomalyMap { width: 4, height: 1, values: vec![1.0, 1.5, 2.0, f32::NAN] };
        assert_eq!(heat_gray(&map).as_raw(), &[0, 127, 255, 255]);
    }

    #[test]
    fn on_the_scale_of_the_bank_tau_is_the_middle() {
        let map = AnomalyMap { width: 6, height: 1, values: vec![0.0, 1.0, 2.0, 4.0, 9.0, f32::NAN] };
        assert_eq!(heat_of_tau(&map, 2.0).as_raw(), &[0, 63, 127, 255, 255, 255]);
    }

    #[test]
    fn a_flat_map_is_black() {
        for value in [0.0, 7.25] {
            let map = AnomalyMap { width: 3, height: 1, values: vec![value; 3] };
            assert_eq!(heat_gray(&map).as_raw(), &[0, 0, 0]);
        }
    }
}
