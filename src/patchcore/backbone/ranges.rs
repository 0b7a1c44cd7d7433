//! How large the values of each feature map become: what 8-bit numbers have to reach.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tch::{TchError, Tensor};

/// The largest absolute value that each convolution gave on the OK images, by the name of its weight in the state dict.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActivationRanges(BTreeMap<String, f32>);

impl ActivationRanges {
    /// The largest value of the map of this convolution; above 0 and finite.
    pub(super) fn of(&self, convolution: &str) -> Option<f32> {
        self.0.get(convolution).copied()
    }

    /// Whether every value is one that a map can have.
    pub(in crate::patchcore) fn are_sound(&self) -> bool {
        !self.0.is_empty() && self.0.values().all(|largest| largest.is_finite() && *largest > 0.0)
    }
}

/// Notes the largest values while a network runs.
#[derive(Debug, Clone, Default)]
pub(in crate::patchcore) struct RangeMeter(Arc<Mutex<BTreeMap<String, f32>>>);

impl RangeMeter {
    /// Takes one more map of this convolution into account.
    pub(super) fn note(&self, convolution: &str, map: &Tensor) -> Result<(), TchError> {
        // A map that is zero throughout has a range too.
        let largest = map.f_abs()?.f_max()?.f_double_value(&[])?.max(f64::from(f32::MIN_POSITIVE)) as f32;
        let mut ranges = self.0.lock();
        match ranges.get_mut(convolution) {
            Some(known) => *known = known.max(largest),
            None => drop(ranges.insert(convolution.to_owned(), largest)),
        }
        Ok(())
    }

    /// What was noted until now.
    pub(in crate::patchcore) fn ranges(&self) -> ActivationRanges {
        ActivationRanges(self.0.lock().clone())
    }
}
