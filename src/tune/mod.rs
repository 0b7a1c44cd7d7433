//! `patchcored tune`: compares build settings for one product on its own OK images.
//!
//! `split` divides the OK images into one half for banks and one half that is held out. `candidates` says which settings are tried.
//! `measure` builds a bank of each in a temporary folder and measures it, `run` does so as long as there is time,
//! `recommend` chooses, and `words` tells it.

mod candidates;
mod changes;
mod measure;
mod recommend;
mod report;
mod run;
mod scratch;
mod settings;
mod split;
mod words;

pub use report::{FoundSizes, Measured, NotTried, TuneReport, TunedCandidate};
pub use run::{TuneLimits, tune};
