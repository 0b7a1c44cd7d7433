//! What the self-test plants.

use crate::domain::PlantedKind;
use serde::{Deserialize, Serialize};

/// What the self-test plants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfTestPlan {
    /// The kinds of defects.
    pub kinds: Vec<PlantedKind>,
    /// Their longest extents, pixels of the original image; empty = fitting to the images ([`SelfTestPlan::sizes_for`]).
    pub sizes: Vec<u32>,
    /// Their contrasts, percent of the grey range of the image; the middle one is the medium contrast.
    pub contrasts: Vec<f64>,
    /// Defects planted for each kind, size and contrast.
    pub placements: u32,
    /// The most images that defects are planted into.
    pub images: usize,
    /// Seed of every place and form.
    pub seed: u64,
}

impl Default for SelfTestPlan {
    fn default() -> Self {
        Self {
            kinds: PlantedKind::DEFECTS.to_vec(),
            sizes: Vec::new(),
            contrasts: vec![15.0, 30.0, 60.0],
            placements: 25,
            images: 20,
            seed: 0,
        }
    }
}

/// Shares of the short side that are tried without sizes in the plan.
const SHARES: [u32; 5] = [128, 64, 32, 16, 8];
/// No smaller defect has a form.
const SMALLEST: u32 = 3;

impl SelfTestPlan {
    /// The sizes for images with a short side of so many pixels, the smallest first. Sizes above half of it do not fit and are left out.
    ///
    /// ```
    /// use patchcored::selftest::SelfTestPlan;
    /// assert_eq!(SelfTestPlan::default().sizes_for(1024), [8, 16, 32, 64, 128]);
    /// assert_eq!(SelfTestPlan { sizes: vec![40, 12, 300], ..SelfTestPlan::default() }.sizes_for(512), [12, 40]);
    /// ```
    pub fn sizes_for(&self, short_side: u32) -> Vec<u32> {
        let mut sizes = self.sizes.clone();
        if sizes.is_empty() {
            sizes = SHARES.iter().map(|share| ((short_side + share / 2) / share).max(SMALLEST)).collect();
        }
        sizes.retain(|&size| size > 0 && size <= short_side / 2);
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// The contrasts, the lowest first.
    pub fn sorted_contrasts(&self) -> Vec<f64> {
        let mut contrasts = self.contrasts.clone();
        contrasts.sort_unstable_by(f64::total_cmp);
        contrasts.dedup();
        contrasts
    }

    /// The contrast that the smallest found size is told for: the middle one.
    pub fn medium_contrast(&self) -> f64 {
        let contrasts = self.sorted_contrasts();
        contrasts.get(contrasts.len() / 2).copied().unwrap_or_default()
    }
}
