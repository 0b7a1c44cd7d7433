//! The report as a table and in sentences.

use super::report::{Measured, NotTried, TuneReport, TunedCandidate};
use comfy_table::{CellAlignment, Table, presets};
use std::fmt::Write;

const HEADINGS: [&str; 9] = ["settings", "found", "scratch", "spot", "false alarms", "promised", "ms per image", "build", ""];

impl TuneReport {
    /// A table of the candidates, those that were not tried, the advice, and the section `build:` that it means.
    pub fn text(&self) -> String {
        let Self { product, bank_images, .. } = self;
        let Measured { held_out, planted, smallest, .. } =
            self.candidates.first().map(|current| current.measured.clone()).unwrap_or_default();
        let mut text =
            format!("{product}: each bank is of {bank_images} OK images, and {planted} defects are planted into {held_out} others;\n");
        let _ = writeln!(text, "scratch, spot: the smallest size that is found at {} % contrast\n", smallest.contrast);
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(HEADINGS);
        for (number, candidate) in self.candidates.iter().enumerate() {
            table.add_row(self.cells(number, candidate));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
            let is_text = column.index == 0 || column.index == HEADINGS.len() - 1;
            column.set_cell_alignment(if is_text { CellAlignment::Left } else { CellAlignment::Right });
        }
        for line in table.lines() {
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text.push('\n');
        for (reason, settings) in self.by_reason() {
            let _ = writeln!(text, "not compared, {reason}: {settings}");
        }
        let _ = write!(text, "\n{}\n", self.advice);
        if let Some(taken) = self.candidates.get(self.recommended).filter(|_| self.recommended > 0) {
            let _ = write!(text, "the section for it, in place of the one in use, also in `defaults`:\n\n{}", taken.yaml);
        }
        text
    }

    fn cells(&self, number: usize, candidate: &TunedCandidate) -> [String; 9] {
        let TunedCandidate { settings, within_budget, as_promised, measured, .. } = candidate;
        let size = |size: Option<u32>| size.map_or_else(|| "-".to_owned(), |size| format!("{size} px"));
        let promised = match measured.promise {
            Some(promise) => format!("{:.0} (at most {:.0}) of 1000", promise.expected, promise.bound),
            None => "-".to_owned(),
        };
        let mark = match (number == self.recommended, within_budget, as_promised) {
            (true, ..) if number > 0 => "recommended",
            (true, ..) => "keep",
            (_, false, _) => "too slow",
            (_, _, false) => "rejects too many",
            _ => "",
        };
        [
            settings.clone(),
            if measured.planted == 0 { "-".to_owned() } else { format!("{:.1} %", 100.0 * measured.share()) },
            size(measured.smallest.scratch),
            size(measured.smallest.spot),
            format!("{} of {}", measured.false_alarms, measured.held_out),
            promised,
            format!("{:.1}", measured.ms_per_image),
            format!("{:.1} s", measured.build_s),
            mark.to_owned(),
        ]
    }

    /// Each reason once, with all settings that were not tried for it.
    fn by_reason(&self) -> Vec<(&str, String)> {
        let mut reasons: Vec<(&str, String)> = Vec::new();
        for NotTried { settings, reason } in &self.not_tried {
            match reasons.iter_mut().find(|(known, _)| known == reason) {
                Some((_, all)) => _ = write!(all, "; {settings}"),
                None => reasons.push((reason, settings.clone())),
            }
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::FoundSizes;
    use super::*;
    use crate::domain::FalseAlarms;

    fn report() -> TuneReport {
        let candidate = |settings: &str, found, ms_per_image| {
            let measured = Measured {
                found,
                planted: 288,
                smallest: FoundSizes { contrast: 60.0, scratch: None, spot: Some(16) },
                false_alarms: 1,
                held_out: 18,
                promise: Some(FalseAlarms { expected: 52.4, bound: 215.6 }),
                ms_per_image,
                build_s: 12.34,
                ..Measured::default()
            };
            TunedCandidate {
                settings: settings.to_owned(),
                yaml: "build:\n  stride: 1\n".to_owned(),
                within_budget: ms_per_image < 100.0,
                as_promised: true,
                measured,
            }
        };
        let not = |settings: &str, reason: &str| NotTried { settings: settings.to_owned(), reason: reason.to_owned() };
        TuneReport {
            product: "disc".to_owned(),
            bank_images: 18,
            budget_ms: Some(100.0),
            candidates: vec![
                candidate("as configured", 144, 50.0),
                candidate("shorter: 768", 288, 130.0),
                candidate("stride: 1", 216, 60.0),
            ],
            not_tried: vec![not("a", "no time"), not("b", "no weights"), not("c", "no time")],
            unusable: Vec::new(),
            recommended: 2,
            advice: "take `stride: 1`".to_owned(),
        }
    }

    fn words(line: &str) -> String {
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn it_shows_every_candidate_and_the_yaml_of_the_recommended_one() {
        let text = report().text();
        let lines: Vec<String> = text.lines().map(words).collect();
        assert_eq!(lines[0], "disc: each bank is of 18 OK images, and 288 defects are planted into 18 others;");
        assert_eq!(lines[1], "scratch, spot: the smallest size that is found at 60 % contrast");
        assert_eq!(lines[4], "as configured 50.0 % - 16 px 1 of 18 52 (at most 216) of 1000 50.0 12.3 s");
        assert!(lines[5].starts_with("shorter: 768 100.0 %") && lines[5].ends_with("12.3 s too slow"), "{text}");
        assert!(lines[6].starts_with("stride: 1 75.0 %") && lines[6].ends_with("recommended"), "{text}");
        assert!(
            text.ends_with("not compared, no time: a; c\nnot compared, no weights: b\n\ntake `stride: 1`\nthe section for it, in place of the one in use, also in `defaults`:\n\nbuild:\n  stride: 1\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_kept_needs_no_yaml() {
        let kept = TuneReport { recommended: 0, advice: "keep what you have".to_owned(), ..report() }.text();
        assert!(kept.ends_with("\n\nkeep what you have\n") && kept.contains(" keep\n") && !kept.contains("recommended"), "{kept}");
    }
}
