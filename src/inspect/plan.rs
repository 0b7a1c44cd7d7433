//! How the images of one product are inspected: the steps before and after the engine.

use super::source::{Expectation, Source, read_for_engine, read_linked};
use super::verdict::{Verdict, VerdictRules, judge};
use crate::domain::{AnomalyScores, EngineSize, Picture, ResizedImage, Tau};
use crate::imaging::ImageError;
use std::path::Path;

/// How images are inspected.
#[derive(Debug, Clone)]
pub struct InspectionPlan {
    /// The requirements for an image file.
    pub expect: Expectation,
    /// The size of the engine's image.
    pub size: EngineSize,
    /// How its distances are judged.
    pub rules: VerdictRules,
}

/// An image that is ready for the engine.
#[derive(Debug)]
pub struct Prepared {
    /// The file as it was read.
    pub source: Source,
    /// The image, resized for the engine.
    pub resized: ResizedImage,
}

impl InspectionPlan {
    /// Reads an image and resizes it for the engine. It refuses a symbolic link, which could lead out of the drop folder.
    ///
    /// # Errors
    /// An image that cannot be read, is not whole, or does not meet the requirements of the product.
    pub fn prepare(&self, path: &Path) -> Result<Prepared, ImageError> {
        let (source, resized) = read_for_engine(path, &self.expect, self.size)?;
        Ok(Prepared { source, resized })
    }

    /// The same for a file that a person named: it follows symbolic links.
    ///
    /// # Errors
    /// As [`InspectionPlan::prepare`].
    pub fn prepare_linked(&self, path: &Path) -> Result<Prepared, ImageError> {
        let (source, resized) = read_linked(path, &self.expect, self.size)?;
        Ok(Prepared { source, resized })
    }

    /// Judges an image by what the engine says of it and the thresholds of the bank.
    pub fn judge(&self, scores: &AnomalyScores, picture: &Picture, tau: Tau) -> Verdict {
        judge(scores, picture, tau, &self.rules)
    }
}
