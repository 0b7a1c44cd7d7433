//! How small a defect a bank finds: plants synthetic defects of graded size and contrast into images of good parts and counts those that
//! are decided `ng`.
//!
//! [`self_test`] needs a function that judges a picture, and images; it knows neither the engine nor files of banks. The pixels of the
//! defects are made in [`defects`].

pub mod defects;
mod grid;
mod places;
mod plan;
mod report;
mod run;
mod words;

pub use grid::grid;
pub use plan::SelfTestPlan;
pub use report::{CellCount, ControlCount, Example, SelfTestReport, SmallestFound};
pub use run::{Judged, SelfTestProgress, self_test};
