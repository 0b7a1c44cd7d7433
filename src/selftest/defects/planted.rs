//! A defect, and where it was planted.

use crate::domain::PlantedKind;

/// One defect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlantedDefect {
    /// What it is.
    pub kind: PlantedKind,
    /// Its longest extent, pixels; at least 1.
    pub size: u32,
    /// Its largest change of the picture, percent of the picture's grey range (see `grey_range`).
    pub contrast: f64,
    /// Where it lies: column and row of its middle, pixels.
    pub centre: (u32, u32),
    /// Seed of its form and direction.
    pub seed: u64,
}

/// Where a defect was planted.
#[derive(Debug, Clone, PartialEq)]
pub struct Footprint {
    /// First column, pixels.
    pub left: u32,
    /// First row, pixels.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height * width`: how much of each pixel the defect covers, 0..=1. Pixels with 0 are unchanged.
    pub cover: Vec<f32>,
}
