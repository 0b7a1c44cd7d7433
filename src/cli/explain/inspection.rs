//! Why an image was decided as it was, for the person who has the part in hand.

use crate::codes;
use crate::config::ProductConfig;
use crate::domain::printable::printable;
use crate::domain::{FalseAlarms, LocalTime};
use crate::history::{DecidingBank, InspectionAccount, InspectionRow};
use std::fmt::Write;

/// The whole text. `product` is that of the image, if the configuration has it.
pub fn text(account: &InspectionAccount, product: Option<&ProductConfig>, local: &LocalTime) -> String {
    let deleted = |path: &str, at: Option<&str>| at.map_or(path.to_owned(), |at| format!("{path} (deleted {})", local.show(at)));
    let row = &account.row;
    let result = row.decision.as_deref().unwrap_or(&row.state);
    let mut text = format!("inspection {}: {result}\n", row.id);
    let mut line = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<12}{value}");
    };
    line("image", &deleted(&printable(&row.image_path), row.image_deleted_at.as_deref()));
    let none = || row.product.clone().unwrap_or_else(|| "none: no product takes images of this folder and name".to_owned());
    line("product", &printable(&product.map_or_else(none, ProductConfig::title)));
    line("seen", &times(row, local));
    if row.state == "done" {
        decision(row, &mut line);
    }
    if let Some(reason) = &row.reason {
        line("reason", &format!("{}: {}", row.reason_code.as_deref().unwrap_or("none"), printable(reason)));
    }
    if let Some(bank) = &account.bank {
        line("bank", &bank_line(bank, local));
    }
    for (name, path) in [("mask", &row.mask_path), ("overlay", &row.overlay_path), ("heat map", &row.heat_path)] {
        if let Some(path) = path {
            line(name, &deleted(&printable(path), row.outputs_deleted_at.as_deref()));
        }
    }
    for (name, rows) in [("before", &account.before), ("after", &account.after)] {
        if !rows.is_empty() {
            line(name, &rows.iter().map(neighbour).collect::<Vec<_>>().join(", "));
        }
    }
    text + "\nWhat to do:\n" + &advice(row, product)
}

fn decision(row: &InspectionRow, line: &mut impl FnMut(&str, &str)) {
    match (row.image_score, row.image_tau, row.image_ratio) {
        (Some(score), Some(tau), Some(ratio)) => line("score", &format!("{score:.4}, tau {tau:.4}: {ratio:.2} times tau")),
        (Some(score), Some(tau), None) => line("score", &format!("{score:.4}, tau {tau:.4}")),
        _ => line("score", "not a number, so the part cannot pass"),
    }
    if row.sensitivity != 1.0 {
        line("sensitivity", &format!("{}: the thresholds of the bank were divided by it", row.sensitivity));
    }
    let (pixels, regions) = (row.mask_pixels.unwrap_or(0), row.mask_regions.unwrap_or(0));
    line(
        "mask size",
        &if pixels == 0 {
            "empty".to_owned()
        } else {
            format!("{pixels} pixels in {}", if regions == 1 { "1 region".to_owned() } else { format!("{regions} regions") })
        },
    );
    let is_ng = row.decision.as_deref() == Some("ng");
    line(
        "decided by",
        match (row.decided_by.as_deref(), is_ng) {
            (Some("image"), true) if row.image_score.is_none() => "image: the score is not a number",
            (Some("image"), true) => "image: the score is above tau",
            (Some("image"), false) => "image: the score is not above tau",
            (Some("mask"), true) => "mask: pixels are left in the mask (`decide_by` is mask or either), whatever the score is",
            (Some("mask"), false) => "mask: the mask is empty (`decide_by: mask`), whatever the score is",
            (Some("both"), true) => "both: the score is above tau, and pixels are left in the mask",
            (Some("both"), false) => "both: the score is not above tau, and the mask is empty",
            _ => "not recorded by the version that decided it",
        },
    );
}

fn times(row: &InspectionRow, local: &LocalTime) -> String {
    let ended = if row.state == "done" { "decided" } else { "ended" };
    let decided = row.decided_at.as_ref().map_or(String::new(), |at| format!(", {ended} {}", local.show(at)));
    let attempts = if row.attempts == 1 { "1 attempt".to_owned() } else { format!("{} attempts", row.attempts) };
    format!("{}{decided}, {attempts}", local.show(&row.seen_at))
}

fn bank_line(bank: &DecidingBank, local: &LocalTime) -> String {
    let mut text = format!("version {} of {}", bank.version, local.show(&bank.created_at));
    if let Some(images) = bank.images {
        text += &format!(", {images} OK images");
    }
    text += &match bank.replaced_by {
        Some(version) => format!("; version {version} is in use now"),
        None => "; in use".to_owned(),
    };
    if let Some((expected, bound)) = bank.expected_false_alarms.zip(bank.false_alarms_bound) {
        text += &format!("; {}", FalseAlarms { expected, bound });
    }
    text
}

fn neighbour(row: &InspectionRow) -> String {
    let ratio = row.image_ratio.map_or(String::new(), |ratio| format!(" ({ratio:.2})"));
    format!("{} {}{ratio}", row.id, row.decision.as_deref().unwrap_or("?"))
}

fn advice(row: &InspectionRow, product: Option<&ProductConfig>) -> String {
    let Some(decision) = &row.decision else {
        let code = row.reason_code.as_deref().and_then(codes::explain);
        return code.unwrap_or_else(|| "  Nothing: it waits for its turn.\n".to_owned());
    };
    let by_mask = row.decided_by.as_deref() == Some("mask");
    if decision == "ok" {
        return match needed(row) {
            Some(needed) if !by_mask => format!(
                "  If the part is bad: `sensitivity: {needed:.2}` or more would have rejected it, and more good parts with it. Try it on your parts\n  first: \
                 docs/tuning.md. Never copy the image into the ok folder.\n"
            ),
            _ => "  If the part is bad: docs/tuning.md says how to find smaller defects. Never copy the image into the ok folder.\n"
                .to_owned(),
        };
    }
    let folder = product.map_or("the ok folder of the product".to_owned(), |product| printable(&product.ok.display().to_string()));
    let mut text = "  Look at the overlay: the cross is the most unusual place.\n".to_owned();
    text += &format!(
        "  If the part is good: copy the image into {folder}, and several others of its kind; the daemon builds\n  a new bank and says what it changes.\n"
    );
    text += &match needed(row) {
        _ if by_mask => "  If good parts often have such small regions: raise `mask: min_area`, or use `decide_by: image`.\n".to_owned(),
        Some(needed) => {
            format!(
                "  If many good parts are rejected: with `sensitivity` below {needed:.2} it would have passed, and so would some bad parts: docs/tuning.md.\n"
            )
        }
        None => String::new(),
    };
    text
}

/// The sensitivity at which the score would be at tau.
fn needed(row: &InspectionRow) -> Option<f64> {
    let needed = row.sensitivity / row.image_ratio?;
    needed.is_finite().then_some(needed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn row() -> InspectionRow {
        InspectionRow {
            id: 4711,
            product: Some("prod1".into()),
            image_path: "/drop/a\u{1b}.jpg".into(),
            state: "done".into(),
            decision: Some("ng".into()),
            decided_by: Some("image".into()),
            image_score: Some(1.5),
            image_tau: Some(1.2),
            image_ratio: Some(1.25),
            sensitivity: 1.0,
            mask_pixels: Some(40),
            mask_regions: Some(2),
            attempts: 1,
            seen_at: "2026-11-23T08:42:00.123Z".into(),
            decided_at: Some("2026-11-23T08:42:00.431Z".into()),
            overlay_path: Some("/drop/a.jpg.overlay.png".into()),
            ..InspectionRow::default()
        }
    }

    #[test]
    fn a_rejected_part_is_explained_with_what_to_do() {
        let bank = DecidingBank {
            version: 7,
            created_at: "2026-11-20T08:00:00.000Z".into(),
            images: Some(50),
            expected_false_alarms: None,
            false_alarms_bound: None,
            replaced_by: Some(8),
        };
        let before = vec![InspectionRow { id: 4710, decision: Some("ok".into()), image_ratio: Some(0.8), ..InspectionRow::default() }];
        let account = InspectionAccount { row: row(), bank: Some(bank), before, after: Vec::new() };
        let config = "{database: /h.db, products: [{name: prod1, display_name: 전면 검사, drop: [{path: /d}], ok: /srv/ok, bank: /b}]}";
        let product = Config::parse(config).unwrap().products.remove(0);
        let text = text(&account, Some(&product), &LocalTime::of_machine().in_utc());
        let expected = "inspection 4711: ng
image       /drop/a\\u{1b}.jpg
product     prod1 (전면 검사)
seen        2026-11-23T08:42:00.123Z, decided 2026-11-23T08:42:00.431Z, 1 attempt
score       1.5000, tau 1.2000: 1.25 times tau
mask size   40 pixels in 2 regions
decided by  image: the score is above tau
bank        version 7 of 2026-11-20T08:00:00.000Z, 50 OK images; version 8 is in use now
overlay     /drop/a.jpg.overlay.png
before      4710 ok (0.80)

What to do:
  Look at the overlay: the cross is the most unusual place.
  If the part is good: copy the image into /srv/ok, and several others of its kind; the daemon builds
  a new bank and says what it changes.
  If many good parts are rejected: with `sensitivity` below 0.80 it would have passed, and so would some bad parts: docs/tuning.md.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn each_rule_and_state_has_its_own_words() {
        let says =
            |row: InspectionRow| text(&InspectionAccount { row, ..InspectionAccount::default() }, None, &LocalTime::of_machine().in_utc());
        let by_mask = says(InspectionRow { decided_by: Some("mask".into()), image_ratio: Some(0.9), ..row() });
        assert!(by_mask.contains("whatever the score is") && by_mask.contains("min_area"), "{by_mask}");
        let passed = says(InspectionRow { decision: Some("ok".into()), image_ratio: Some(0.5), sensitivity: 1.1, ..row() });
        assert!(
            passed.contains("not above tau") && passed.contains("`sensitivity: 2.20`") && passed.contains("sensitivity 1.1"),
            "{passed}"
        );
        let odd = says(InspectionRow { image_score: None, image_ratio: None, ..row() });
        assert!(odd.contains("not a number, so the part cannot pass") && !odd.contains("sensitivity"), "{odd}");
        let old = says(InspectionRow { decided_by: None, ..row() });
        assert!(old.contains("not recorded"), "{old}");
        let reason = (Some("unreadable".to_owned()), Some("permission denied".to_owned()));
        let failed =
            InspectionRow { state: "failed".into(), decision: None, reason_code: reason.0, reason: reason.1, product: None, ..row() };
        let failed = says(failed);
        assert!(failed.contains("unreadable: permission denied") && failed.contains("What to do:"), "{failed}");
        assert!(!failed.contains("score") && failed.contains("no product takes"), "{failed}");
        let waits = says(InspectionRow { state: "pending".into(), decision: None, ..row() });
        assert!(waits.contains("waits for its turn"), "{waits}");
    }
}
