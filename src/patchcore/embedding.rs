//! Feature maps → patch embeddings (PatchCore, section 3.1: locally aware patch features).

use super::error::{EngineError, TorchContext};
use super::feature_extractor::FeatureExtractor;
use crate::domain::{Layer, ResizedImage};
use tch::{TchError, Tensor};

/// The patch embeddings of one image.
pub(super) struct PatchEmbeddings {
    /// `[height * width, D]` float32; position `y * width + x`.
    pub rows: Tensor,
    /// Rows of patches.
    pub height: i64,
    /// Patches per row.
    pub width: i64,
}

impl PatchEmbeddings {
    /// Puts an image `[H, W, 3]` through the network and joins its feature maps as [`PatchEmbeddings::join`] does.
    ///
    /// # Errors
    /// [`EngineError::Image`] when the network refuses the image, [`EngineError::Torch`] when libtorch fails.
    pub fn of_image(
        extractor: &FeatureExtractor,
        image: &ResizedImage,
        layers: &[Layer],
        stride: u32,
        neighbourhood: u32,
    ) -> Result<Self, EngineError> {
        let maps = extractor.features(image, layers)?;
        Self::join(&maps, i64::from(stride), i64::from(neighbourhood)).doing("joining feature maps")
    }

    /// Joins feature maps `[1, C_i, h_i, w_i]` on the grid of the first one.
    ///
    /// Each map is averaged over `neighbourhood`×`neighbourhood` (odd, 1 = off), resized bilinearly with half-pixel centres, and
    /// every `stride`-th row and column from 0 is kept; channels follow each other in the order of `maps`.
    pub fn join(maps: &[Tensor], stride: i64, neighbourhood: i64) -> Result<Self, TchError> {
        let Some(base) = maps.first() else { return Err(TchError::Shape("no feature map to join".to_owned())) };
        let (_, _, base_height, base_width) = base.size4()?;
        let mut parts = Vec::with_capacity(maps.len());
        for mut map in averaged(maps, neighbourhood)? {
            let (_, _, height, width) = map.size4()?;
            if (height, width) != (base_height, base_width) {
                map = map.f_upsample_bilinear2d([base_height, base_width], false, None, None)?;
            }
            let kept = map.f_slice(2, 0, None, stride)?.f_slice(3, 0, None, stride)?;
            parts.push(kept.f_permute([0, 2, 3, 1])?);
        }
        let joined = Tensor::f_cat(&parts, 3)?.f_contiguous()?;
        let (_, height, width, dim) = joined.size4()?;
        Ok(Self { rows: joined.f_view([height * width, dim])?, height, width })
    }
}

/// Feature maps averaged over `neighbourhood`×`neighbourhood` places (odd, 1 = as they are).
pub(super) fn averaged(maps: &[Tensor], neighbourhood: i64) -> Result<Vec<Tensor>, TchError> {
    maps.iter().map(|map| if neighbourhood > 1 { box_mean(map, neighbourhood) } else { Ok(map.shallow_clone()) }).collect()
}

/// Mean over `size`×`size` windows (odd) of `[1, C, h, w]`, same shape; what lies outside the border does not count.
pub(super) fn box_mean(map: &Tensor, size: i64) -> Result<Tensor, TchError> {
    map.f_avg_pool2d([size, size], [1, 1], [size / 2, size / 2], false, false, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(channels: i64, height: i64, width: i64) -> Tensor {
        let values: Vec<f32> = (0..channels * height * width).map(|i| i as f32).collect();
        Tensor::f_from_slice(&values).unwrap().f_view([1, channels, height, width]).unwrap()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::<f32>::try_from(tensor.f_flatten(0, -1).unwrap()).unwrap()
    }

    #[test]
    fn positions_are_row_major_and_channels_in_listed_order() {
        let patches = PatchEmbeddings::join(&[ramp(2, 3, 4), ramp(1, 3, 4)], 2, 1).unwrap();
        assert_eq!((patches.height, patches.width), (2, 2));
        assert_eq!(patches.rows.size(), [4, 3]);
        // Rows 0 and 2, columns 0 and 2; channel 1 of the first map starts at 12.
        assert_eq!(values(&patches.rows), [0., 12., 0., 2., 14., 2., 8., 20., 8., 10., 22., 10.]);
    }

    #[test]
    fn other_layers_are_resized_with_half_pixel_centres() {
        let patches = PatchEmbeddings::join(&[ramp(1, 1, 4), ramp(1, 1, 2)], 1, 1).unwrap();
        assert_eq!(values(&patches.rows), [0., 0., 1., 0.25, 2., 0.75, 3., 1.]);
    }

    #[test]
    fn borders_are_averaged_over_what_is_there() {
        assert_eq!(values(&box_mean(&ramp(1, 1, 3), 3).unwrap()), [0.5, 1., 1.5]);
        let patches = PatchEmbeddings::join(&[ramp(1, 2, 2)], 1, 3).unwrap();
        assert_eq!(values(&patches.rows), [1.5; 4]);
    }
}
