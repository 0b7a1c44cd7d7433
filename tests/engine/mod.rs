//! Tests of the engine.

mod bank;
mod imaging;
mod weights;
