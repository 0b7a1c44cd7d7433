//! `selftest`.

use super::by_hand::Bench;
use crate::helper::{arg, patchcored, run_fails, run_ok};
use serde_json::Value;

/// Arguments for a short run: two sizes, one contrast.
fn short<'a>(bench: &'a Bench, ok: &'a str) -> Vec<String> {
    let (bank, ok) = (bench.path("bank"), bench.path(ok));
    let words = ["selftest", "--bank-dir", arg(&bank), "--ok", arg(&ok), "--placements", "4", "--sizes", "4,40", "--contrasts", "2,80"];
    words.map(str::to_owned).to_vec()
}

fn with<'a>(arguments: &'a [String], extra: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().map(String::as_str).chain(extra.iter().copied()).collect()
}

#[test]
fn large_strong_defects_are_found_and_the_planting_itself_is_not() {
    let bench = Bench::new();
    bench.build(&[]);
    let (arguments, grid) = (short(&bench, "ok"), bench.path("grid.png"));
    let text = run_ok(&with(&arguments, &["--json", "--out", arg(&grid)]));
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["images"], &report["medium_contrast"]), (&8.into(), &80.0.into()));
    let cells = report["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 6 * 2 * 2);
    let found = |length: u32, contrast: f64| -> u64 {
        let those = cells.iter().filter(|cell| cell["length"] == length && cell["contrast"] == contrast);
        those.map(|cell| cell["found"].as_u64().unwrap()).sum()
    };
    // Six kinds, four of each.
    assert!(found(40, 80.0) >= 18, "{text}");
    assert!(found(4, 2.0) <= 4, "{text}");
    // The same pixels cut out and put back: no score moves.
    assert_eq!(report["control"], serde_json::json!({"planted": 4, "found": 0, "largest_change": 0.0}));
    assert_eq!(report["smallest"].as_array().unwrap().len(), 6);
    let grid = image::open(grid).unwrap();
    assert!(grid.width() > 400 && grid.height() > 1000, "two columns, six rows");
    assert_eq!(text, run_ok(&with(&arguments, &["--json"])), "the same seed tells the same");
    assert_ne!(text, run_ok(&with(&arguments, &["--json", "--seed", "1"])));
}

#[test]
fn it_says_in_sentences_what_is_found_and_names_what_it_leaves_out() {
    let bench = Bench::new();
    bench.build(&[]);
    std::fs::write(bench.path("ng/junk.png"), "no image").unwrap();
    std::fs::copy(bench.path("ok/0.png"), bench.path("ng/good.png")).unwrap();
    let output = patchcored().args(short(&bench, "ng")).output().unwrap();
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{error}");
    assert!(error.contains("junk.png") && !error.contains("panicked"), "{error}");
    assert!(said.contains(" px at 80 % contrast is found in "), "{said}");
    assert!(said.contains("images: 9, 8 of them ng without a defect"), "{said}");
    assert!(said.contains("control: planted without a defect, 0 of 4 are ng, and the score changes by at most 0.0000\n"), "{said}");
}

#[test]
fn it_refuses_what_it_cannot_use() {
    let bench = Bench::new();
    bench.build(&[]);
    let arguments = short(&bench, "ng");
    let error = run_fails(1, &with(&arguments, &[]));
    assert!(error.contains("no image to plant defects into") && error.contains("ng without a defect"), "{error}");
    let (bank, ok) = (bench.path("bank"), bench.path("ok"));
    let base = ["selftest", "--bank-dir", arg(&bank), "--ok", arg(&ok)];
    let error = run_fails(1, &[&base[..], &["--sizes", "90"]].concat());
    assert!(error.contains("at most half as large"), "{error}");
    for wrong in [["--contrasts", "300"], ["--sizes", "0"], ["--placements", "0"]] {
        run_fails(2, &[&base[..], &wrong].concat());
    }
}
