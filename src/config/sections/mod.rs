//! The sections of the file, one per module: their form in the file, their checked form, and their limits.

pub(super) mod build;
pub(super) mod calendar;
pub(super) mod drop;
pub(super) mod engine;
pub(super) mod health;
pub(super) mod input;
pub(super) mod intake;
pub(super) mod mask;
pub(super) mod metrics;
pub(super) mod mqtt;
pub(super) mod on_ng;
pub(super) mod outputs;
pub(super) mod places;
pub(super) mod product;
pub(super) mod profiles;
pub(super) mod rebuild;
pub(super) mod retention;
