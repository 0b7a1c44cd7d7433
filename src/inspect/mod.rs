//! The inspection of one image: read → resize → (engine) → verdict → outputs. The daemon, `infer` and `eval` all work this way.

mod batch;
mod output_claims;
mod outputs;
mod plan;
mod source;
mod verdict;

pub use batch::BankScorer;
pub use output_claims::OutputClaims;
pub use outputs::{OutputPaths, OverlayLook, PATH_MAX, scores_json};
pub use plan::{InspectionPlan, Prepared};
pub use source::{Expectation, Source, read, read_linked, read_mask};
pub use verdict::{Verdict, VerdictRules};
