//! How the overlay shows the mask.

use super::{BuildOptions, Calibration};

/// How the overlay shows the mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverlayStyle {
    /// An outline around each region and a cross at the worst place. The pixels of the defect stay as they are, but for the arms of the cross.
    #[default]
    Outline,
    /// The mask half red, bit for bit as the Python scripts do it.
    HalfRed,
}

impl OverlayStyle {
    /// The style for a bank with these options: a bank that is scored as the Python scripts do it gets their overlay too.
    ///
    /// ```
    /// use patchcored::domain::{BuildOptions, OverlayStyle};
    /// assert_eq!(OverlayStyle::of(&BuildOptions::default()), OverlayStyle::Outline);
    /// assert_eq!(OverlayStyle::of(&BuildOptions::guide()), OverlayStyle::HalfRed);
    /// ```
    pub fn of(options: &BuildOptions) -> Self {
        let as_the_scripts = options.neighbourhood <= 1 && options.smoothing <= 1 && options.calibration == Calibration::InSample;
        if as_the_scripts { Self::HalfRed } else { Self::Outline }
    }
}
