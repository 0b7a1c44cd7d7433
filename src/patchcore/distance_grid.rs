//! Distances of patches as the grid that they lie on.

use super::embedding::box_mean;
use crate::domain::DistanceGrid;
use tch::{Kind, TchError, Tensor};

/// `[height * width]` distances as a grid, averaged over `smoothing`×`smoothing` patches where that is not 0.
pub(super) fn distance_grid(distances: &Tensor, height: i64, width: i64, smoothing: u32) -> Result<DistanceGrid, TchError> {
    let mut grid = distances.f_view([1, 1, height, width])?;
    if smoothing > 1 {
        grid = box_mean(&grid, i64::from(smoothing))?;
    }
    let values = Vec::<f32>::try_from(grid.f_flatten(0, -1)?.f_to_kind(Kind::Float)?)?;
    Ok(DistanceGrid { width: width as u32, height: height as u32, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_averages_what_is_there() {
        let distances = Tensor::f_from_slice(&[0.0_f32, 3.0, 6.0, 9.0, 12.0, 15.0]).unwrap();
        let plain = distance_grid(&distances, 2, 3, 0).unwrap();
        assert_eq!((plain.width, plain.height, plain.values[4]), (3, 2, 12.0));
        assert_eq!(distance_grid(&distances, 2, 3, 1).unwrap(), plain);
        assert_eq!(distance_grid(&distances, 2, 3, 3).unwrap().values, [6.0, 7.5, 9.0, 6.0, 7.5, 9.0]);
    }
}
