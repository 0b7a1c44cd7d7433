//! Pixels in, pixels out: decode, resize, heat map, mask, overlay.
//!
//! The way of one image: [`decode`] → [`resize`] → (engine) → [`heat`] → [`mask`] → [`overlay`], [`side_by_side`] → [`png`], [`jpeg`]. Only
//! [`decode`] reads bytes and only [`png`] and [`jpeg`] write files; all others are pure functions.

pub mod decode;
mod error;
pub mod exposure;
pub mod heat;
pub mod jpeg;
pub mod mask;
mod outline;
pub mod overlay;
pub mod png;
pub mod regions;
pub mod resize;
pub mod side_by_side;
pub mod text;

pub use error::{ImageError, NOT_CLOSED, NOT_MARKED};
