//! What the self-test found.

use crate::domain::PlantedKind;
use image::RgbImage;
use serde::{Deserialize, Serialize};

/// Of so many defects, in percent, a bank has to find a size for it to count as found.
const ENOUGH: u32 = 95;

/// The defects of one kind, size and contrast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellCount {
    /// The kind.
    pub kind: PlantedKind,
    /// Length, pixels of the original image.
    pub length: u32,
    /// Width, pixels of the original image.
    pub width: u32,
    /// Contrast, percent of the grey range of the image.
    pub contrast: f64,
    /// Defects planted.
    pub planted: u32,
    /// Those whose image was decided `ng`.
    pub found: u32,
    /// Those of the found ones where the mask or the worst place lies on the defect.
    pub located: u32,
    /// The middle of the scores, divided by the threshold; `None` when it is no number.
    pub median_ratio: Option<f64>,
}

impl CellCount {
    /// True when at least 95 of 100 were found.
    pub fn is_found(&self) -> bool {
        self.planted > 0 && self.found * 100 >= self.planted * ENOUGH
    }
}

/// The control: pixels cut out and put back in the same place in the same way, so that only the planting itself is judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ControlCount {
    /// How often.
    pub planted: u32,
    /// Images that became `ng` by it.
    pub found: u32,
    /// The largest change of a score by it.
    pub largest_change: f64,
}

/// The smallest size of a kind that is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SmallestFound {
    /// The kind.
    pub kind: PlantedKind,
    /// Contrast, percent of the grey range.
    pub contrast: f64,
    /// The smallest size of which, as of every larger one, at least 95 of 100 were found; `None` when there is none.
    pub cell: Option<CellCount>,
}

/// A planted defect, to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The kind.
    pub kind: PlantedKind,
    /// Its longest extent, pixels.
    pub size: u32,
    /// Whether its image was decided `ng`.
    pub found: bool,
    /// A square of the image around it.
    pub picture: RgbImage,
}

/// What the self-test found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SelfTestReport {
    /// The images that defects were planted into.
    pub images: usize,
    /// Images that are `ng` without a defect. Nothing was planted into them.
    pub ng_before: Vec<String>,
    /// Images that cannot be used, each with the reason.
    pub left_out: Vec<String>,
    /// Seed of every place and form.
    pub seed: u64,
    /// The contrast of `smallest`, percent of the grey range.
    pub medium_contrast: f64,
    /// The smallest size of each kind that is found at the medium contrast.
    pub smallest: Vec<SmallestFound>,
    /// Every kind, size and contrast.
    pub cells: Vec<CellCount>,
    /// The control.
    pub control: ControlCount,
    /// The defects found at each place. Every place has one defect of each cell, so two reports can be compared place by place.
    #[serde(skip)]
    pub found_at: Vec<u32>,
    /// One defect for each kind and size at the medium contrast.
    #[serde(skip)]
    pub examples: Vec<Example>,
}

impl SelfTestReport {
    /// Cells of a kind at a contrast, the smallest first.
    pub fn cells_of(&self, kind: PlantedKind, contrast: f64) -> impl DoubleEndedIterator<Item = &CellCount> {
        self.cells.iter().filter(move |cell| cell.kind == kind && cell.contrast.to_bits() == contrast.to_bits())
    }

    /// The smallest size of which, as of every larger one, at least 95 of 100 were found.
    pub fn smallest_found(&self, kind: PlantedKind, contrast: f64) -> SmallestFound {
        let cell = self.cells_of(kind, contrast).rev().take_while(|cell| cell.is_found()).last().cloned();
        SmallestFound { kind, contrast, cell }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn cell(length: u32, found: u32) -> CellCount {
        let kind = PlantedKind::Spot;
        CellCount { kind, length, width: length, contrast: 30.0, planted: 25, found, located: found, median_ratio: None }
    }

    #[test]
    fn the_smallest_size_counts_only_if_all_larger_ones_are_found() {
        let smallest = |found: [u32; 4]| {
            let cells = [8, 16, 32, 64].into_iter().zip(found).map(|(length, found)| cell(length, found)).collect();
            let report = SelfTestReport { cells, ..SelfTestReport::default() };
            report.smallest_found(PlantedKind::Spot, 30.0).cell.map(|cell| cell.length)
        };
        assert_eq!(smallest([3, 23, 24, 25]), Some(32));
        assert_eq!(smallest([24, 20, 25, 25]), Some(32));
        assert_eq!(smallest([25, 25, 25, 20]), None);
        assert_eq!(smallest([25, 25, 25, 25]), Some(8));
    }
}
