//! What goes from one convolution to the next.

use super::shim;
use tch::{Kind, TchError, Tensor};

/// A map of 8-bit numbers means `(number - zero) · step`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub step: f64,
    pub zero: i64,
}

impl Scale {
    /// Of maps whose values are at least 0 and at most `largest`.
    pub(super) fn from_zero_to(largest: f32) -> Self {
        Scale { step: f64::from(largest) / 255.0, zero: 0 }
    }

    /// Of maps whose values are at most `largest` away from 0.
    pub(super) fn around_zero(largest: f32) -> Self {
        Scale { step: f64::from(largest) / 127.0, zero: 128 }
    }
}

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
