//! The shared words of visual inspection as plain data. Imports nothing else of this crate.
//!
//! The way of one image through these types:
//! file → [`Picture`] `[H0, W0, 1|3]` → [`ResizedImage`] `[H, W, 3]` → [`AnomalyScores`] with a [`DistanceGrid`] `[h, w]` → [`AnomalyMap`] `[H0, W0]` → [`Decision`].

#[macro_use]
mod words;
mod action;
mod arrival;
mod backbone;
mod bank_trigger;
mod bank_work;
mod build_options;
mod clock;
pub mod duration;
mod engine_size;
mod error_text;
mod false_alarms;
mod file_kind;
mod folder_state;
mod given_options;
mod grouping;
mod held_up;
mod inspection;
mod inspection_list;
mod left_out;
mod local_time;
mod min_free;
mod overlay_style;
mod planted_kind;
pub mod printable;
mod recent;
mod requeue;
pub mod spelling;
mod trouble;

pub use action::{ActionEnd, Defect};
pub use arrival::{Evidence, Kin, Recorded};
pub use backbone::{Backbone, Layer};
pub use bank_trigger::BankTrigger;
pub use bank_work::BankWork;
pub use build_options::{BuildOptions, Calibration, CoresetMethod, DeviceChoice, Precision, PrecisionChoice, Preset, ScoreMethod};
pub use clock::{ClockJump, ClockRecord, ClockStamp, TimeSpan};
pub use engine_size::EngineSize;
pub use error_text::error_text;
pub use false_alarms::FalseAlarms;
pub use file_kind::FileKind;
pub use folder_state::FolderState;
pub use given_options::GivenOptions;
pub use grouping::Grouping;
pub use held_up::{HeldUp, MQTT, ON_NG, WAITS_TOO_LONG};
pub use inspection::{Finished, FollowUp, PendingImage};
pub use inspection_list::{Counts, Distance, InspectionResult, ProductCounts};
pub use left_out::{SYSTEM_FOLDERS, is_left_out};
pub use local_time::{LocalTime, Shift};
pub use min_free::{MinFree, MinFreeError};
pub use overlay_style::OverlayStyle;
pub use planted_kind::PlantedKind;
pub use recent::{Comparison, RecentImage};
pub use requeue::{RequeueFilter, Requeued};
pub use trouble::{BankTrouble, FolderTrouble, Place, Trouble, WriteTrouble};
pub use words::ParseWordError;

use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// The file-name extensions (lower case) of images.
pub const IMAGE_EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "bmp", "tif", "tiff"];

/// The suffixes that the daemon adds to an image's file name for its outputs: mask, overlay, heat map, side by side, scores.
pub const OUTPUT_SUFFIXES: [&str; 6] = [".mask.png", ".overlay.png", ".overlay.jpg", ".heat.png", ".side_by_side.png", ".scores.json"];

/// The start of temporary names; a file with such a name is never an image and never an output.
pub const TEMPORARY_PREFIX: &str = ".patchcored-";

/// True when the file name ends in one of [`IMAGE_EXTENSIONS`], in either case.
pub fn has_image_extension(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| IMAGE_EXTENSIONS.contains(&e.to_ascii_lowercase().as_str()))
}

/// True for the daemon's own files: `X.jpg.mask.png` and similar ones, and temporary names.
///
/// `part.mask.png` is a camera's image: the name without the suffix is no image name.
pub fn is_own_output(path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let Some(name) = path.file_name().map(|n| n.as_bytes()) else { return false };
    if name.starts_with(TEMPORARY_PREFIX.as_bytes()) {
        return true;
    }
    OUTPUT_SUFFIXES.iter().any(|suffix| {
        name.strip_suffix(suffix.as_bytes()).is_some_and(|stem| has_image_extension(Path::new(std::ffi::OsStr::from_bytes(stem))))
    })
}

/// Samples of a decoded picture, interleaved row by row.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// One byte per sample, 0..=255.
    U8(Vec<u8>),
    /// Two bytes per sample, 0..2^bit_depth.
    U16(Vec<u16>),
}

/// A decoded image: `[height, width, channels]` with `channels` 1 (gray) or 3 (RGB); alpha is dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1 or 3.
    pub channels: u8,
    /// Significant bits per sample: 8 for [`Samples::U8`], 9..=16 for [`Samples::U16`].
    pub bit_depth: u8,
    /// `height * width * channels` samples.
    pub samples: Samples,
}

/// The input of the engine: RGB, `[height, width, 3]` interleaved, 0.0..=255.0, not yet normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct ResizedImage {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height * width * 3` values.
    pub rgb: Vec<f32>,
}

/// What the engine says of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct AnomalyScores {
    /// The score of the image, which is compared with `image_tau`; NaN when any distance is.
    pub image: f32,
    /// How it was made.
    pub method: ScoreMethod,
    /// Where it is unusual.
    pub grid: DistanceGrid,
}

/// How far the patches of one image are from the bank, `[height, width]` on the base grid after `stride`.
///
/// With [`ScoreMethod::Guide`] these are distances (after `smoothing`); with [`ScoreMethod::Levels`] multiples of the distance of an
/// ordinary good patch.
#[derive(Debug, Clone, PartialEq)]
pub struct DistanceGrid {
    /// Patches per row.
    pub width: u32,
    /// Rows of patches.
    pub height: u32,
    /// `height * width` values.
    pub values: Vec<f32>,
}

impl DistanceGrid {
    /// The largest value; NaN when any value is NaN or there is none.
    ///
    /// ```
    /// use patchcored::domain::DistanceGrid;
    /// let grid = |values| DistanceGrid { width: 3, height: 1, values };
    /// assert_eq!(grid(vec![0.5, 2.0, 1.0]).peak(), 2.0);
    /// assert!(grid(vec![0.5, f32::NAN, 1.0]).peak().is_nan());
    /// ```
    pub fn peak(&self) -> f32 {
        let largest =
            self.values.iter().copied().fold(f32::NEG_INFINITY, |a, b| if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) });
        if largest == f32::NEG_INFINITY { f32::NAN } else { largest }
    }
}

/// Distances at the size of the original image, `[height, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct AnomalyMap {
    /// Pixels per row, the same as in the original.
    pub width: u32,
    /// Rows, the same as in the original.
    pub height: u32,
    /// `height * width` distances.
    pub values: Vec<f32>,
}

impl AnomalyMap {
    /// Column and row of the largest value, in pixels; a NaN counts as the largest. Of several equal places the first one, and the
    /// middle of it where it is wider than a pixel. `None` for an empty map.
    ///
    /// ```
    /// use patchcored::domain::AnomalyMap;
    /// let map = |values| AnomalyMap { width: 4, height: 2, values };
    /// assert_eq!(map(vec![0.0, 0.0, 1.0, 0.0, 0.0, 3.0, 3.0, 3.0]).worst_place(), Some((2, 1)));
    /// assert_eq!(map(vec![0.0, 9.0, 1.0, f32::NAN, 0.0, 3.0, 3.0, 3.0]).worst_place(), Some((3, 0)));
    /// ```
    pub fn worst_place(&self) -> Option<(u32, u32)> {
        let worse = |a: f32, b: f32| a > b || (a.is_nan() && !b.is_nan());
        let first = (1..self.values.len()).fold(0, |worst, i| if worse(self.values[i], self.values[worst]) { i } else { worst });
        let largest = self.values.get(first)?.to_bits();
        let width = self.width as usize;
        let (x, y) = (first % width, first / width);
        let wide = self.values[first..(y + 1) * width].iter().take_while(|value| value.to_bits() == largest).count();
        let high = self.values[first..].iter().step_by(width).take_while(|value| value.to_bits() == largest).count();
        Some(((x + (wide - 1) / 2) as u32, (y + (high - 1) / 2) as u32))
    }
}

/// The thresholds of a bank, in the unit of its scores. Both finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tau {
    /// `pixel_tau`: a pixel of the anomaly map above it belongs to the mask, and with it the pixels around.
    pub pixel: f64,
    /// `image_tau`: an image scoring above it is `ng`.
    pub image: f64,
}

/// The smallest and the largest sensitivity.
pub const SENSITIVITY: (f64, f64) = (0.1, 10.0);

impl Tau {
    /// The thresholds that a product with this `sensitivity` compares with: those of the bank divided by it.
    pub fn at(self, sensitivity: f64) -> Self {
        Self { pixel: self.pixel / sensitivity, image: self.image / sensitivity }
    }
}

/// The decision on one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// A good part.
    Ok,
    /// Not good: a defect, or a score that is not a number.
    Ng,
}

impl Decision {
    /// `ok` or `ng`, as written to the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Ok => "ok",
            Decision::Ng => "ng",
        }
    }
}

words! {
    /// What makes a part `ng`.
    #[derive(Default)]
    DecideBy {
        /// The image score is above `image_tau`.
        #[default]
        Image = "image",
        /// At least one pixel is left in the mask.
        Mask = "mask",
        /// One or the other.
        Either = "either",
    }
}

impl DecideBy {
    /// Decides, and says what decided. `ok` needs proof: a NaN score or threshold is never `<=` and so never passes.
    ///
    /// ```
    /// use patchcored::domain::{DecideBy, DecidedBy, Decision};
    /// assert_eq!(DecideBy::Image.decide(1.2, 1.2, 40), (Decision::Ok, DecidedBy::Image));
    /// assert_eq!(DecideBy::Either.decide(1.2, 1.2, 40), (Decision::Ng, DecidedBy::Mask));
    /// assert_eq!(DecideBy::Mask.decide(f64::NAN, 1.2, 0), (Decision::Ng, DecidedBy::Image));
    /// ```
    pub fn decide(self, image_score: f64, image_tau: f64, mask_pixels: u64) -> (Decision, DecidedBy) {
        let score_ok = image_score <= image_tau;
        let mask_ok = mask_pixels == 0;
        let is_number = !image_score.is_nan() && !image_tau.is_nan();
        match self {
            DecideBy::Image if score_ok => (Decision::Ok, DecidedBy::Image),
            DecideBy::Image => (Decision::Ng, DecidedBy::Image),
            // A NaN score means that the mask cannot be trusted either.
            DecideBy::Mask if !is_number => (Decision::Ng, DecidedBy::Image),
            DecideBy::Mask if mask_ok => (Decision::Ok, DecidedBy::Mask),
            DecideBy::Mask => (Decision::Ng, DecidedBy::Mask),
            DecideBy::Either => match (score_ok, mask_ok) {
                (true, true) => (Decision::Ok, DecidedBy::Both),
                (false, true) => (Decision::Ng, DecidedBy::Image),
                (true, false) => (Decision::Ng, DecidedBy::Mask),
                (false, false) => (Decision::Ng, DecidedBy::Both),
            },
        }
    }
}

words! {
    /// What decided about an image.
    DecidedBy {
        /// Its score, compared with `image_tau`.
        Image = "image",
        /// Its mask: empty or not.
        Mask = "mask",
        /// Score and mask, which agree.
        Both = "both",
    }
}

words! {
    /// Which decisions are published.
    #[derive(Default)]
    Publish {
        /// Defects.
        #[default]
        Ng = "ng",
        /// Every one.
        All = "all",
    }
}

words! {
    /// The format of overlays.
    OverlayFormat {
        /// Every pixel as it is.
        Png = "png",
        /// A tenth of the size; fine lines are a little blurred.
        Jpeg = "jpeg",
    }
}

words! {
    /// The images whose outputs are written.
    #[derive(Default)]
    OutputsFor {
        /// Every one.
        #[default]
        All = "all",
        /// Defects.
        Ng = "ng",
    }
}

/// How a drop folder shows that a file is complete.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Readiness {
    /// The writer closed it.
    #[default]
    CloseWrite,
    /// It was renamed to its final name.
    Rename,
    /// Size and times have not changed for this long.
    Quiet(Duration),
    /// A file of the same name with this suffix stands beside it: `X.jpg` + `.done`.
    Marker(String),
}

impl Readiness {
    /// True when a file is incomplete as long as somebody has it open for writing.
    pub fn needs_close(&self) -> bool {
        matches!(self, Self::CloseWrite | Self::Rename)
    }
}

/// Who says that a file is whole; a file with holes does not show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum SaidWhole {
    /// Nobody: the file was only found.
    #[default]
    Nobody,
    /// Its writer: the daemon saw it close the file, rename it, or set its marker.
    Writer,
    /// A person, who asked for another try.
    Person,
}

impl SaidWhole {
    /// Reads the number in the database; an unknown number means nobody.
    pub fn from_number(number: i64) -> Self {
        [Self::Nobody, Self::Writer, Self::Person].into_iter().find(|said| *said as i64 == number).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_outputs_are_known_by_name() {
        for name in
            ["a.jpg.mask.png", "A.JPG.overlay.png", "b.bmp.overlay.jpg", "x.tiff.heat.png", "a.png.scores.json", ".patchcored-tmp-1.png"]
        {
            assert!(is_own_output(Path::new(name)), "{name}");
        }
        for name in ["a.jpg", "part.mask.png", "mask.png", "a.txt.mask.png"] {
            assert!(!is_own_output(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn nan_never_passes() {
        for by in [DecideBy::Image, DecideBy::Mask, DecideBy::Either] {
            assert_eq!(by.decide(f64::NAN, 1.0, 0), (Decision::Ng, DecidedBy::Image));
            assert_eq!(by.decide(0.5, f64::NAN, 0), (Decision::Ng, DecidedBy::Image));
            assert_eq!(by.decide(0.5, 0.5, 0).0, Decision::Ok);
        }
        assert_eq!(DecideBy::Image.decide(0.5, 1.0, 9), (Decision::Ok, DecidedBy::Image));
        assert_eq!(DecideBy::Mask.decide(2.0, 1.0, 0), (Decision::Ok, DecidedBy::Mask));
        assert_eq!(DecideBy::Mask.decide(0.5, 1.0, 1), (Decision::Ng, DecidedBy::Mask));
        assert_eq!(DecideBy::Either.decide(0.5, 1.0, 0), (Decision::Ok, DecidedBy::Both));
        assert_eq!(DecideBy::Either.decide(0.5, 1.0, 1), (Decision::Ng, DecidedBy::Mask));
        assert_eq!(DecideBy::Either.decide(2.0, 1.0, 0), (Decision::Ng, DecidedBy::Image));
        assert_eq!(DecideBy::Either.decide(2.0, 1.0, 1), (Decision::Ng, DecidedBy::Both));
    }

    #[test]
    fn a_nan_distance_makes_a_nan_score() {
        let grid = |values: Vec<f32>| DistanceGrid { width: values.len() as u32, height: 1, values };
        assert!(grid(vec![1.0, f32::NAN, 3.0]).peak().is_nan());
        assert!(grid(vec![]).peak().is_nan());
        assert_eq!(grid(vec![1.0, 3.0, 2.0]).peak(), 3.0);
    }
}
