//! What a bank in int8 misses that the same bank in float32 finds.

use crate::domain::Decision;
use crate::inspect::BankScorer;
use crate::selftest::{Judged, SelfTestPlan, self_test};
use anyhow::bail;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fmt;
use std::path::PathBuf;

/// A bank that misses more of 100 planted defects, those that it alone finds taken off, is refused.
const MOST_MISSED: f64 = 5.0;
/// The contrast of the planted defects, percent of the grey range.
const CONTRAST: f64 = 30.0;
/// Defects of each kind and size.
const PLACEMENTS: u32 = 6;

/// How the decisions of the two banks differ on pictures with planted defects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Int8Cost {
    /// Pictures that both have judged.
    pub pictures: u32,
    /// Pictures that float32 alone rejects.
    pub missed: u32,
    /// Pictures that int8 alone rejects.
    pub gained: u32,
}

impl fmt::Display for Int8Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pictures, missed, gained } = self;
        write!(f, "of {pictures} pictures with planted defects, float32 alone rejects {missed} and int8 alone {gained}")
    }
}

impl Int8Cost {
    /// Plants defects into the OK images and has both banks judge them.
    ///
    /// # Errors
    /// An image that only one of the two can judge, and no image that can be used.
    pub(super) fn measure(int8: &BankScorer, float32: &BankScorer, paths: &[PathBuf]) -> anyhow::Result<Self> {
        let cost = Cell::new(Self { pictures: 0, missed: 0, gained: 0 });
        let judge = |picture: &_| {
            let (verdict, reference) = (int8.judge(picture)?, float32.judge(picture)?);
            let mut now = cost.get();
            now.pictures += 1;
            match (reference.decision, verdict.decision) {
                (Decision::Ng, Decision::Ok) => now.missed += 1,
                (Decision::Ok, Decision::Ng) => now.gained += 1,
                _ => {}
            }
            cost.set(now);
            Ok(Judged::from(verdict))
        };
        let plan = SelfTestPlan { contrasts: vec![CONTRAST], placements: PLACEMENTS, ..SelfTestPlan::default() };
        self_test(&judge, paths, &|path| int8.picture(path), &plan, &mut |_| ())?;
        Ok(cost.get())
    }

    /// Refuses a bank that misses too much.
    ///
    /// # Errors
    /// With the figures, and what to do.
    pub(super) fn allow(self) -> anyhow::Result<()> {
        let net = f64::from(self.missed) - f64::from(self.gained);
        if net * 100.0 > MOST_MISSED * f64::from(self.pictures) {
            bail!("int8 misses too much on these parts: {self}, and more than {MOST_MISSED} of 100 are not allowed; use `precision: auto`");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_that_misses_more_than_five_of_a_hundred_is_refused() {
        let cost = |missed, gained| Int8Cost { pictures: 200, missed, gained };
        for allowed in [cost(0, 0), cost(10, 0), cost(30, 20), cost(0, 50)] {
            assert!(allowed.allow().is_ok(), "{allowed}");
        }
        let refused = cost(11, 0).allow().unwrap_err().to_string();
        for part in ["of 200 pictures", "float32 alone rejects 11 and int8 alone 0", "more than 5 of 100", "`precision: auto`"] {
            assert!(refused.contains(part), "{refused}");
        }
        assert!(cost(40, 29).allow().is_err());
    }
}
