//! What came of it: the decisions from the database against the known truth.

use super::plan::{Frame, PartTruth, Product, ProductPlan};
use crate::history::InspectionRow;
use comfy_table::{CellAlignment, Table, presets};
use image::GrayImage;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

/// The result of one product.
#[derive(Debug, Default, PartialEq)]
pub struct DemoTally {
    /// Files the camera sent.
    pub sent: usize,
    /// Rows in the database.
    pub arrived: usize,
    /// Decided `ok`.
    pub ok: usize,
    /// Decided `ng`.
    pub ng: usize,
    /// Ended as `failed`.
    pub failed: usize,
    /// Sent but without a row, or with one that is still pending.
    pub lost: usize,
    /// Whole images that failed and broken ones that were judged.
    pub mistaken: usize,
    /// Good parts that were judged.
    pub good: usize,
    /// Good parts decided `ng`.
    pub false_alarms: usize,
    /// Defective parts that were judged.
    pub defective: usize,
    /// Defective parts decided `ok`.
    pub misses: usize,
    /// Defective parts decided `ng` whose mask touches the true defect.
    pub located: usize,
    /// Sum over good parts of score / tau - 1.
    good_margin: f64,
    /// Sum over defective parts of score / tau - 1.
    defect_margin: f64,
    /// Decisions by the first bank and by later ones.
    pub by_bank: (usize, usize),
}

impl DemoTally {
    /// True when every file of the camera came to the end that it had to come to.
    pub fn complete(&self) -> bool {
        self.lost == 0 && self.mistaken == 0 && self.arrived == self.sent
    }
}

/// A defect that was found: worth a look.
#[derive(Debug)]
pub struct Find<'a> {
    /// What the camera sent.
    pub frame: &'a Frame,
    /// Where the daemon wrote the overlay.
    pub overlay: &'a str,
    /// Score / tau - 1.
    pub margin: f64,
}

/// Compares the `rows` of one product with the truth.
pub fn tally(plan: &ProductPlan, rows: &[InspectionRow]) -> DemoTally {
    let rows_of = by_name(rows);
    let mut tally = DemoTally { sent: plan.stream.len(), arrived: rows.len(), ..DemoTally::default() };
    for frame in &plan.stream {
        let Some(row) = rows_of.get(frame.name.as_str()) else {
            tally.lost += 1;
            continue;
        };
        let margin = margin(row);
        match row.decision.as_deref() {
            Some("ok") => tally.ok += 1,
            Some(_) => tally.ng += 1,
            None if row.state == "failed" => tally.failed += 1,
            None => tally.lost += 1,
        }
        if row.decision.is_some() {
            match row.bank_version {
                Some(1) => tally.by_bank.0 += 1,
                _ => tally.by_bank.1 += 1,
            }
        }
        match (frame.truth, row.decision.as_deref()) {
            (PartTruth::Good, Some(decision)) => {
                tally.good += 1;
                tally.good_margin += margin;
                tally.false_alarms += usize::from(decision == "ng");
            }
            (PartTruth::Defect(_), Some(decision)) => {
                tally.defective += 1;
                tally.defect_margin += margin;
                tally.misses += usize::from(decision == "ok");
                tally.located += usize::from(decision == "ng" && touches(frame, row));
            }
            (PartTruth::Broken, Some(_)) => tally.mistaken += 1,
            (PartTruth::Broken, None) => {}
            (PartTruth::Good | PartTruth::Defect(_), None) => tally.mistaken += usize::from(row.state == "failed"),
        }
    }
    tally
}

/// The defects that were found and located, clearest first.
pub fn finds<'a>(plan: &'a ProductPlan, rows: &'a [InspectionRow]) -> Vec<Find<'a>> {
    let rows_of = by_name(rows);
    let mut finds: Vec<Find<'a>> = plan
        .stream
        .iter()
        .filter_map(|frame| {
            let row = *rows_of.get(frame.name.as_str())?;
            let found = row.decision.as_deref() == Some("ng") && touches(frame, row);
            found.then_some(Find { frame, overlay: row.overlay_path.as_deref()?, margin: margin(row) })
        })
        .collect();
    finds.sort_by(|a, b| b.margin.total_cmp(&a.margin));
    finds
}

fn by_name(rows: &[InspectionRow]) -> HashMap<&str, &InspectionRow> {
    let name = |row: &'_ InspectionRow| row.image_path.rsplit('/').next().map(str::len);
    rows.iter().filter_map(|row| Some((row.image_path.get(row.image_path.len() - name(row)?..)?, row))).collect()
}

fn margin(row: &InspectionRow) -> f64 {
    match (row.image_score, row.image_tau) {
        (Some(score), Some(tau)) => score / tau - 1.0,
        _ => f64::NAN,
    }
}

/// Whether the mask that the daemon wrote has a pixel on the true defect.
fn touches(frame: &Frame, row: &InspectionRow) -> bool {
    let (Some(truth), Some(path)) = (&frame.mask, &row.mask_path) else { return false };
    image::open(Path::new(path)).is_ok_and(|mask| overlap(truth, &mask.into_luma8()))
}

fn overlap(truth: &GrayImage, mask: &GrayImage) -> bool {
    truth.dimensions() == mask.dimensions() && truth.pixels().zip(mask.pixels()).any(|(t, m)| t.0[0] > 0 && m.0[0] > 0)
}

/// Prints the table.
pub fn print(tallies: &[(Product, DemoTally)], out: &mut dyn Write) -> io::Result<()> {
    let head = ["product", "sent", "ok", "ng", "failed", "lost", "false alarms", "misses", "located", "good margin", "defect margin"];
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for (product, t) in tallies {
        let share = |part: usize, whole: usize| format!("{part} of {whole}");
        let mean = |sum: f64, count: usize| if count == 0 { "-".to_owned() } else { format!("{:+.0} %", 100.0 * sum / count as f64) };
        table.add_row([
            product.name().to_owned(),
            t.sent.to_string(),
            t.ok.to_string(),
            t.ng.to_string(),
            t.failed.to_string(),
            t.lost.to_string(),
            share(t.false_alarms, t.good),
            share(t.misses, t.defective),
            share(t.located, t.defective),
            mean(t.good_margin, t.good),
            mean(t.defect_margin, t.defective),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((2, 0));
        column.set_cell_alignment(if column.index == 0 { CellAlignment::Left } else { CellAlignment::Right });
    }
    writeln!(out, "{}", table.trim_fmt())?;
    writeln!(out, "  located: the mask touches the true defect. margin: mean of score / tau - 1; below 0 passes, above 0 is ng.")?;
    for (product, t) in tallies {
        let (first, later) = t.by_bank;
        writeln!(out, "  {}: {first} decided by the first bank, {later} by the one built while the line ran", product.name())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::defects::DefectKind;
    use crate::demo::plan::Delivery;
    use image::Luma;

    fn frame(name: &str, truth: PartTruth) -> Frame {
        let mask = matches!(truth, PartTruth::Defect(_)).then(|| GrayImage::from_fn(4, 4, |x, _| Luma([if x == 0 { 255 } else { 0 }])));
        Frame { name: name.into(), bytes: vec![], delivery: Delivery::Whole, truth, mask }
    }

    fn row(name: &str, decision: Option<&str>, state: &str) -> InspectionRow {
        InspectionRow {
            image_path: format!("/line/camera/disc/{name}"),
            decision: decision.map(str::to_owned),
            state: state.into(),
            image_score: Some(3.0),
            image_tau: Some(2.0),
            bank_version: Some(1),
            ..InspectionRow::default()
        }
    }

    fn plan(stream: Vec<Frame>) -> ProductPlan {
        ProductPlan { product: Product::Disc, ok: vec![], added: vec![], stream }
    }

    #[test]
    fn every_kind_of_outcome_is_counted() {
        let defect = PartTruth::Defect(DefectKind::Chip);
        let plan = plan(vec![
            frame("good.jpg", PartTruth::Good),
            frame("alarm.jpg", PartTruth::Good),
            frame("found.jpg", defect),
            frame("missed.jpg", defect),
            frame("broken.jpg", PartTruth::Broken),
            frame("gone.jpg", PartTruth::Good),
            frame("waiting.jpg", PartTruth::Good),
            frame("refused.jpg", PartTruth::Good),
        ]);
        let folder = tempfile::tempdir().unwrap();
        let mask = folder.path().join("mask.png");
        GrayImage::from_fn(4, 4, |x, _| Luma([if x < 2 { 255 } else { 0 }])).save(&mask).unwrap();
        let mut rows = vec![
            row("good.jpg", Some("ok"), "done"),
            row("alarm.jpg", Some("ng"), "done"),
            row("found.jpg", Some("ng"), "done"),
            row("missed.jpg", Some("ok"), "done"),
            row("broken.jpg", None, "failed"),
            row("waiting.jpg", None, "pending"),
            row("refused.jpg", None, "failed"),
        ];
        rows[2].mask_path = Some(mask.to_str().unwrap().to_owned());
        rows[2].overlay_path = Some("/overlay.png".into());
        let tally = tally(&plan, &rows);
        assert_eq!((tally.sent, tally.arrived, tally.lost, tally.mistaken), (8, 7, 2, 1));
        assert_eq!((tally.ok, tally.ng, tally.failed), (2, 2, 2));
        assert_eq!((tally.good, tally.false_alarms), (2, 1));
        assert_eq!((tally.defective, tally.misses, tally.located), (2, 1, 1));
        assert_eq!(tally.good_margin, 1.0);
        assert_eq!(tally.by_bank, (4, 0));
        assert!(!tally.complete());
        let finds = finds(&plan, &rows);
        assert_eq!(finds.len(), 1);
        assert_eq!((finds[0].frame.name.as_str(), finds[0].overlay), ("found.jpg", "/overlay.png"));
    }

    #[test]
    fn a_row_too_many_is_not_complete() {
        let plan = plan(vec![frame("a.jpg", PartTruth::Good)]);
        let one = row("a.jpg", Some("ok"), "done");
        assert!(tally(&plan, std::slice::from_ref(&one)).complete());
        assert!(!tally(&plan, &[one.clone(), one]).complete());
    }

    #[test]
    fn the_table_is_aligned_ascii() {
        let tallies = Product::ALL.map(|product| (product, DemoTally { sent: 38, good: 24, false_alarms: 1, ..DemoTally::default() }));
        let mut out = Vec::new();
        print(&tallies, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.is_ascii());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].len(), lines[1].len());
        assert_eq!(lines[1].len(), lines[2].len());
        assert!(lines[1].contains("1 of 24"), "{}", lines[1]);
    }
}
