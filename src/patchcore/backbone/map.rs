//! What goes from one convolution to the next.

use super::scale::Scale;
use super::shim;
use tch::{Kind, TchError, Tensor};

/// A feature map `[1, C, H, W]`, channels-last.
#[derive(Debug)]
pub(super) struct Map {
    pub values: Tensor,
    /// `None`: the values are floats.
    pub scale: Option<Scale>,
}

impl Map {
    pub(super) fn of_floats(values: Tensor) -> Self {
        Map { values, scale: None }
    }

    pub(super) fn shallow_clone(&self) -> Self {
        Map { values: self.values.shallow_clone(), scale: self.scale }
    }

    /// The scale of a map that an 8-bit convolution is to take.
    pub(super) fn scale(&self) -> Result<Scale, TchError> {
        self.scale.ok_or_else(|| TchError::Kind("an int8 convolution was handed floats".to_owned()))
    }

    /// The largest of each 3×3 window, at every second row and column.
    pub(super) fn max_pool(&self) -> Result<Self, TchError> {
        let values = match self.scale {
            None => self.values.f_max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)?,
            Some(_) => shim::max_pool_int8(&self.values)?,
        };
        Ok(Map { values, scale: self.scale })
    }

    /// The values as floats; the map's own tensor where they are.
    pub(super) fn floats(&self) -> Result<Tensor, TchError> {
        match self.scale {
            None => Ok(self.values.shallow_clone()),
            Some(Scale { step, zero }) => {
                let mut floats = self.values.f_to_kind(Kind::Float)?;
                if zero != 0 {
                    floats = floats.f_sub_scalar_(zero as f64)?;
                }
                floats.f_mul_scalar_(step)
            }
        }
    }
}
