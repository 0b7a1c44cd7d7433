//! The embeddings of the places of the patches, resampled to the grid at hand.

use std::cell::RefCell;
use tch::{TchError, Tensor};

/// How the trained grid is resampled. The published models were trained and measured in one of these two ways each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Resampling {
    /// The models without registers: bicubic, by a scale factor that makes the grid a tenth of a patch larger than it is.
    Offset,
    /// The models with registers: bicubic with antialiasing, to the size of the grid.
    Antialias,
}

/// What [`Resampling::Offset`] adds to both sides of the grid, in patches.
const OFFSET: f64 = 0.1;

/// Embeddings as trained on a square grid, and those of the latest grid: it seldom changes from one image to the next.
pub(super) struct Positions {
    /// `[1, C, side, side]` float32.
    trained: Tensor,
    resampling: Resampling,
    latest: RefCell<Option<((i64, i64), Tensor)>>,
}

impl Positions {
    /// `trained`: `[1, side · side, C]` float32, row by row.
    pub(super) fn new(trained: &Tensor, side: i64, resampling: Resampling) -> Result<Self, TchError> {
        let (_, _, channels) = trained.size3()?;
        let trained = trained.f_reshape([1, side, side, channels])?.f_permute([0, 3, 1, 2])?;
        Ok(Self { trained, resampling, latest: RefCell::new(None) })
    }

    /// The embeddings for a grid of `height`×`width` patches: `[1, height · width, C]` float32, row by row.
    pub(super) fn of_grid(&self, height: i64, width: i64) -> Result<Tensor, TchError> {
        let mut latest = self.latest.borrow_mut();
        if let Some((_, positions)) = latest.as_ref().filter(|(grid, _)| *grid == (height, width)) {
            return Ok(positions.shallow_clone());
        }
        let positions = self.resample(height, width)?.f_flatten(2, 3)?.f_transpose(1, 2)?.f_contiguous()?;
        *latest = Some(((height, width), positions.shallow_clone()));
        Ok(positions)
    }

    fn resample(&self, height: i64, width: i64) -> Result<Tensor, TchError> {
        let (_, _, side, _) = self.trained.size4()?;
        if (height, width) == (side, side) {
            return Ok(self.trained.shallow_clone());
        }
        match self.resampling {
            Resampling::Offset => {
                let scale = |length: i64| (length as f64 + OFFSET) / side as f64;
                self.trained.f_upsample_bicubic2d([height, width], false, scale(height), scale(width))
            }
            Resampling::Antialias => self.trained.f_internal_upsample_bicubic2d_aa([height, width], false, None, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trained_grid_stays_as_it_is_and_a_grid_is_resampled_once() {
        let values: Vec<f32> = (0..18).map(|i| (i * i % 7) as f32).collect();
        let trained = Tensor::f_from_slice(&values).unwrap().f_view([1, 9, 2]).unwrap();
        for resampling in [Resampling::Offset, Resampling::Antialias] {
            let positions = Positions::new(&trained, 3, resampling).unwrap();
            assert!(positions.of_grid(3, 3).unwrap().f_equal(&trained).unwrap());
            let first = positions.of_grid(2, 5).unwrap();
            assert_eq!(first.size(), [1, 10, 2]);
            assert_eq!(positions.of_grid(2, 5).unwrap().data_ptr(), first.data_ptr());
            assert!(positions.of_grid(3, 3).unwrap().f_equal(&trained).unwrap());
        }
    }

    #[test]
    fn both_ways_are_those_of_torch() {
        // Places 0, 1, 2, 3 in each of four rows, one channel.
        let values: Vec<f32> = (0..16).map(|i| (i % 4) as f32).collect();
        let trained = Tensor::f_from_slice(&values).unwrap().f_view([1, 16, 1]).unwrap();
        // `interpolate(mode='bicubic')` gives this with scale_factor=(4.1 / 4, 2.1 / 4), and with size=(4, 2), antialias=True.
        for (resampling, expected) in [(Resampling::Offset, [0.3624, 2.4514]), (Resampling::Antialias, [0.5868, 2.4132])] {
            let grid = Positions::new(&trained, 4, resampling).unwrap().of_grid(4, 2).unwrap();
            let row = Vec::<f32>::try_from(grid.f_flatten(0, -1).unwrap().f_slice(0, 0, 2, 1).unwrap()).unwrap();
            assert!(row.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-3), "{resampling:?}: {row:?}");
        }
    }
}
