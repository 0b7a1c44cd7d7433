//! The report in sentences and as a table.

use super::report::{CellCount, SelfTestReport, SmallestFound};
use std::fmt::Write;

/// `a scratch of 12 × 2 px at 30 % contrast`
fn described(cell: &CellCount) -> String {
    let CellCount { kind, length, width, contrast, .. } = cell;
    format!("{} of {length} × {width} px at {contrast} % contrast", kind.with_article())
}

impl CellCount {
    /// `a scratch of 12 × 2 px at 30 % contrast is found in 24 of 25`
    pub fn sentence(&self) -> String {
        format!("{} is found in {} of {}", described(self), self.found, self.planted)
    }
}

impl SelfTestReport {
    fn of_smallest(&self, smallest: &SmallestFound) -> String {
        match (&smallest.cell, self.cells_of(smallest.kind, smallest.contrast).next_back()) {
            (Some(cell), _) => format!("from this size on: {}", cell.sentence()),
            (None, Some(largest)) => format!("{}: no size tried was found in 95 of 100; {}", smallest.kind, largest.sentence()),
            (None, None) => format!("{}: nothing was planted", smallest.kind),
        }
    }

    /// One sentence for each kind.
    pub fn sentences(&self) -> Vec<String> {
        self.smallest.iter().map(|smallest| self.of_smallest(smallest)).collect()
    }

    /// The report in sentences, one per line, and a table of all counts.
    pub fn text(&self) -> String {
        let mut text = self.sentences().join("\n") + "\n";
        let _ = writeln!(text, "\n{:<10}{:>12}{}", "found", "px", self.heading());
        for cell in self.cells.iter().filter(|cell| cell.contrast.to_bits() == self.medium_contrast.to_bits()) {
            let size = format!("{} × {}", cell.length, cell.width);
            let _ = write!(text, "{:<10}{size:>12}", cell.kind);
            for other in self.cells.iter().filter(|other| (other.kind, other.length) == (cell.kind, cell.length)) {
                let _ = write!(text, "{:>12}", format!("{} of {}", other.found, other.planted));
            }
            text.push('\n');
        }
        let control = &self.control;
        let _ = writeln!(
            text,
            "\ncontrol: planted without a defect, {} of {} are ng, and the score changes by at most {:.4}",
            control.found, control.planted, control.largest_change
        );
        let located: u32 = self.cells.iter().map(|cell| cell.located).sum();
        let found: u32 = self.cells.iter().map(|cell| cell.found).sum();
        let _ = writeln!(text, "place: in {located} of {found} found, the mask or the worst place lies on the defect");
        let _ = writeln!(
            text,
            "images: {}, {} of them ng without a defect and not used",
            self.images + self.ng_before.len(),
            self.ng_before.len()
        );
        text
    }

    fn heading(&self) -> String {
        let mut contrasts: Vec<f64> = self.cells.iter().map(|cell| cell.contrast).collect();
        contrasts.sort_unstable_by(f64::total_cmp);
        contrasts.dedup();
        contrasts.iter().map(|contrast| format!("{:>12}", format!("{contrast} %"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PlantedKind;

    #[test]
    fn it_says_what_is_found_and_what_is_not() {
        let cell = |kind: PlantedKind, length, contrast, found| {
            let (length, width) = kind.extent(length);
            CellCount { kind, length, width, contrast, planted: 25, found, located: found, median_ratio: None }
        };
        let (scratch, spot) = (PlantedKind::Scratch, PlantedKind::Spot);
        let cells = vec![
            cell(scratch, 12, 15.0, 3),
            cell(scratch, 24, 15.0, 9),
            cell(scratch, 12, 30.0, 24),
            cell(scratch, 24, 30.0, 25),
            cell(spot, 12, 15.0, 0),
            cell(spot, 24, 15.0, 0),
            cell(spot, 12, 30.0, 1),
            cell(spot, 24, 30.0, 20),
        ];
        let mut report = SelfTestReport { images: 20, medium_contrast: 30.0, cells, ..SelfTestReport::default() };
        report.smallest = [scratch, spot].map(|kind| report.smallest_found(kind, 30.0)).to_vec();
        let text = report.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "from this size on: a scratch of 12 × 2 px at 30 % contrast is found in 24 of 25");
        assert_eq!(lines[1], "spot: no size tried was found in 95 of 100; a spot of 24 × 24 px at 30 % contrast is found in 20 of 25");
        assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>(), ["found", "px", "15", "%", "30", "%"]);
        assert_eq!(lines[4].split_whitespace().collect::<Vec<_>>().join(" "), "scratch 12 × 2 3 of 25 24 of 25");
        assert_eq!(lines[7].split_whitespace().collect::<Vec<_>>().join(" "), "spot 24 × 24 0 of 25 20 of 25");
    }
}
