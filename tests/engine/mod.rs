//! Tests of the engine.

mod bank;
mod image_files;
mod imaging;
mod weights;
