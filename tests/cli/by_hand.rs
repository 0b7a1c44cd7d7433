//! `build`, `infer` and `eval`.

use crate::helper::{Part, arg, has_int8, patchcored, run_fails, run_ok, write_image};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Folders with OK and NG parts, and a bank built from the former.
pub struct Bench {
    pub folder: TempDir,
}

pub const SMALL: [&str; 10] =
    ["--backbone", "efficientnet_lite0", "--shorter", "64", "--stride", "1", "--coreset", "0.1", "--precision", "float32"];

impl Bench {
    pub fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["ok", "more", "ng", "masks"] {
            std::fs::create_dir(bench.path(name)).unwrap();
        }
        for number in 0..8 {
            write_image(&bench.path("ok").join(format!("{number}.png")), Part::ok(number));
            write_image(&bench.path("more").join(format!("{number}.png")), Part::ok(50 + number));
            write_image(&bench.path("ng").join(format!("{number}.jpg")), Part::ng(100 + number));
        }
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn build(&self, extra: &[&str]) -> Value {
        let (ok, bank) = (self.path("ok"), self.path("bank"));
        let mut arguments = vec!["build", "--ok-dir", arg(&ok), "--out-dir", arg(&bank)];
        arguments.extend(SMALL);
        arguments.extend(extra);
        let stdout = run_ok(&arguments);
        serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn build_writes_a_bank_and_says_so() {
    let bench = Bench::new();
    let said = bench.build(&[]);
    assert_eq!(said["images"], 8);
    assert_eq!(said["patches"], 8 * 8 * 8);
    assert_eq!(said["bank"], serde_json::json!([51 + 51 + 40 + 112 + 320 + 1, 128]));
    let tau = json(&bench.path("bank/tau.json"));
    assert_eq!(tau["image"], said["tau"]["image"]);
    // Eight images are too few for the default percentile, and that is said with tau.
    assert!(said["false_alarms_per_1000"]["expected"].as_f64().unwrap() < said["false_alarms_per_1000"]["bound"].as_f64().unwrap());
    assert!(said["tau_warning"].as_str().unwrap().contains("is a fit to the scores of 8 groups"));
    let config = json(&bench.path("bank/bank_config.json"));
    assert_eq!((&config["false_alarms"], &config["tau_warning"]), (&said["false_alarms_per_1000"], &said["tau_warning"]));
    let keys: Vec<&str> = config.as_object().unwrap().keys().take(7).map(String::as_str).collect();
    assert_eq!(keys, ["shorter", "stride", "layers", "coreset", "reservoir_max", "pixel_pct", "image_pct"]);
    assert_eq!(config["scored_right_by_python_scripts"], false);
    for phase in ["embed_s", "coreset_s", "calibrate_s"] {
        assert!(said[phase].is_number());
    }
}

#[test]
fn the_same_seed_gives_the_same_bank() {
    let bench = Bench::new();
    let bytes = || std::fs::read(bench.path("bank/memory_bank.pt")).unwrap();
    bench.build(&[]);
    let first = bytes();
    bench.build(&[]);
    assert!(first == bytes());
    bench.build(&["--seed", "7"]);
    assert!(first != bytes());
}

#[test]
fn a_bank_in_int8_is_measured_against_float32_and_scored_in_int8() {
    let bench = Bench::new();
    let (ok, bank, more, ng) = (bench.path("ok"), bench.path("bank"), bench.path("more"), bench.path("ng"));
    let small = SMALL.map(|word| if word == "float32" { "int8" } else { word });
    let mut arguments = vec!["build", "--ok-dir", arg(&ok), "--out-dir", arg(&bank)];
    arguments.extend(small);
    if !has_int8() {
        let error = run_fails(1, &arguments);
        assert!(error.contains("no exact 8-bit products") && error.contains("use `precision: auto`"), "{error}");
        return;
    }
    let said: Value = serde_json::from_str(run_ok(&arguments).lines().last().unwrap()).unwrap();
    let cost = |key: &str| said["int8_cost"][key].as_u64().unwrap();
    assert_eq!(said["precision"], "int8");
    assert!(cost("pictures") > 100 && cost("missed") <= cost("pictures") / 20 + cost("gained"), "{said}");
    let config = json(&bank.join("bank_config.json"));
    assert_eq!((&config["precision"], &config["scored_right_by_python_scripts"]), (&"int8".into(), &false.into()));
    assert!(config["activation_ranges"]["_conv_stem"].as_f64().unwrap() > 0.0);

    let measured = run_ok(&["eval", "--bank-dir", arg(&bank), "--ok", arg(&more), "--ng", arg(&ng), "--json"]);
    let measured: Value = serde_json::from_str(&measured).unwrap();
    assert_eq!(measured["image_auroc"], 1.0);
    let error = run_fails(1, &["eval", "--bank-dir", arg(&bank), "--ok", arg(&more), "--ng", arg(&ng), "--precision", "float32"]);
    assert!(error.contains("the bank was built in int8, but the network runs in float32"), "{error}");

    // A file without the ranges is damaged.
    let text = std::fs::read_to_string(bank.join("bank_config.json")).unwrap().replace("activation_ranges", "other");
    std::fs::write(bank.join("bank_config.json"), text).unwrap();
    let error = run_fails(1, &["eval", "--bank-dir", arg(&bank), "--ok", arg(&more), "--ng", arg(&ng)]);
    assert!(error.contains("`activation_ranges` does not go with `precision`: int8"), "{error}");
}

#[test]
fn the_python_spellings_and_the_guide_preset_work() {
    let bench = Bench::new();
    let (ok, bank, image, out) = (bench.path("ok"), bench.path("bank"), bench.path("ng/0.jpg"), bench.path("out"));
    run_ok(&[
        "build",
        "--ok_dir",
        arg(&ok),
        "--out_dir",
        arg(&bank),
        "--backbone",
        "efficientnet_lite0",
        "--shorter",
        "64",
        "--stride",
        "1",
        "--layers",
        "layer2",
        "layer3",
        "--reservoir_max",
        "300",
        "--pixel_pct",
        "0.99",
        "--image_pct",
        "0.9",
        "--preset",
        "guide",
    ]);
    let config = json(&bank.join("bank_config.json"));
    assert_eq!(config["coreset_method"], "kmeans");
    assert_eq!(config["calibration"], "in_sample");
    assert_eq!((&config["neighbourhood"], &config["smoothing"]), (&1.into(), &0.into()));
    assert_eq!(config["precision"], "float32");
    assert_eq!(config["scored_right_by_python_scripts"], true);
    assert_eq!(config["rows"], 6);
    // An in-sample tau promises nothing.
    assert!(config["false_alarms"].is_null() && config["tau_warning"].as_str().unwrap().contains("in_sample"));
    run_ok(&["infer", "--bank_dir", arg(&bank), "--img", arg(&image), "--out_dir", arg(&out), "--fuse_ref", arg(&ok.join("0.png"))]);
    for name in ["heat_gray.png", "mask.png", "overlay.png", "side_by_side.png"] {
        image::open(out.join(name)).unwrap();
    }
    let scores = json(&out.join("scores.json"));
    let tau = json(&bank.join("tau.json"));
    assert_eq!((&scores["image_tau"], &scores["pixel_tau"]), (&tau["image"], &tau["pixel"]));
    assert!(scores["image_score"].as_f64().unwrap() > tau["image"].as_f64().unwrap());
    let error = run_fails(2, &["build", "--ok-dir", arg(&ok), "--out-dir", arg(&bank), "--preset", "guide", "--neighbourhood", "3"]);
    assert!(error.contains("--neighbourhood: 3 contradicts `preset: guide`"), "{error}");
}

#[test]
fn a_folder_is_inspected_with_the_bank_loaded_once_and_a_bad_image_does_not_stop_it() {
    let bench = Bench::new();
    bench.build(&[]);
    std::fs::write(bench.path("ng/bad.jpg"), "no image").unwrap();
    let (bank, images, out) = (bench.path("bank"), bench.path("ng"), bench.path("out"));
    let listed = run_ok(&["infer", "--bank-dir", arg(&bank), "--img-dir", arg(&bench.path("ok")), "--out-dir", arg(&bench.path("first"))]);
    let named: Vec<Value> = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["image"].clone()).collect();
    let expected: Vec<Value> = (0..8).map(|number| arg(&bench.path("ok").join(format!("{number}.png"))).into()).collect();
    assert_eq!(named, expected, "one line per image, in the order of the names");
    let error = run_fails(1, &["infer", "--bank-dir", arg(&bank), "--img-dir", arg(&images), "--out-dir", arg(&out)]);
    assert!(error.contains("bad.jpg") && error.contains("1 of 9"), "{error}");
    for number in 0..8 {
        assert_eq!(json(&out.join(format!("{number}.jpg/scores.json")))["decision"], "ng");
    }
}

#[test]
fn eval_measures() {
    let bench = Bench::new();
    bench.build(&[]);
    // The defect of the formula: a bar along the diagonal, within the disc.
    let mask = image::GrayImage::from_fn(96, 96, |x, y| {
        let (dx, dy) = (x as i32 - 48, y as i32 - 48);
        image::Luma([if (dx - dy).abs() < 5 && dx * dx + dy * dy < 900 { 255 } else { 0 }])
    });
    for number in 0..8 {
        mask.save(bench.path("masks").join(format!("{number}.png"))).unwrap();
    }
    let (bank, ok, ng, masks) = (bench.path("bank"), bench.path("more"), bench.path("ng"), bench.path("masks"));
    let arguments = ["eval", "--bank-dir", arg(&bank), "--ok", arg(&ok), "--ng", arg(&ng), "--masks", arg(&masks)];
    let table = run_ok(&arguments);
    assert!(table.contains("image AUROC"), "{table}");
    let said: Value = serde_json::from_str(&run_ok(&[&arguments[..], &["--json"]].concat())).unwrap();
    assert_eq!(said["image_auroc"], 1.0);
    assert_eq!(said["recall"], 1.0);
    assert_eq!((&said["ok_images"], &said["ng_images"]), (&8.into(), &8.into()));
    assert!(said["pixel_auroc"].as_f64().unwrap() > 0.8, "{said}");
    assert!(said["aupro"].as_f64().unwrap() > 0.3, "{said}");
    let images = said["images"].as_array().unwrap();
    let rejected = |truth: &str| {
        images.iter().filter(|i| i["truth"] == truth && i["image_score"].as_f64().unwrap() > said["image_tau"].as_f64().unwrap()).count()
    };
    assert_eq!((images.len(), rejected("ng")), (16, 8));
    assert_eq!(said["false_alarm_rate"], rejected("ok") as f64 / 8.0);
}

#[test]
fn eval_leaves_bad_files_out_by_name_and_reads_masks_of_other_tools() {
    let bench = Bench::new();
    bench.build(&[]);
    let (bank, ok, ng, masks) = (bench.path("bank"), bench.path("more"), bench.path("ng"), bench.path("masks"));
    let defect = |x: u32, y: u32| x.abs_diff(y) < 5;
    for number in 0..8u32 {
        let mask: image::DynamicImage = match number % 3 {
            0 => image::GrayImage::from_fn(96, 96, |x, y| image::Luma([u8::from(defect(x, y)) * 255])).into(),
            1 => image::ImageBuffer::from_fn(96, 96, |x, y| image::Luma([u16::from(defect(x, y)) * 3])).into(),
            _ => image::RgbaImage::from_fn(96, 96, |x, y| image::Rgba([255, 255, 255, u8::from(defect(x, y)) * 255])).into(),
        };
        mask.save(masks.join(format!("{number}.png"))).unwrap();
    }
    let eval = ["eval", "--bank-dir", arg(&bank), "--ok", arg(&ok), "--ng", arg(&ng), "--masks", arg(&masks), "--json"];
    let measured = |output: &str| -> Value { serde_json::from_str(output).unwrap() };
    let whole = measured(&run_ok(&eval));
    for number in 0..8 {
        let mask = image::GrayImage::from_fn(96, 96, |x, y| image::Luma([u8::from(defect(x, y)) * 255]));
        mask.save(masks.join(format!("{number}.png"))).unwrap();
    }
    assert_eq!(whole, measured(&run_ok(&eval)), "all kinds of mask say the same");

    std::fs::write(ok.join("junk.png"), "no image").unwrap();
    std::fs::write(masks.join("3.png"), "no mask").unwrap();
    let output = patchcored().args(eval).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (said, error) = (measured(&String::from_utf8_lossy(&output.stdout)), String::from_utf8_lossy(&output.stderr).into_owned());
    assert_eq!((&said["ok_images"], &said["ng_images"], &said["masks"]), (&8.into(), &8.into(), &7.into()));
    assert_eq!(said["image_auroc"], whole["image_auroc"]);
    let left_out: Vec<&str> = said["left_out"].as_array().unwrap().iter().map(|file| file["file"].as_str().unwrap()).collect();
    assert_eq!(left_out, [arg(&ok.join("junk.png")), arg(&masks.join("3.png"))]);
    assert!(error.contains("junk.png") && error.contains("mask of") && error.contains("3.png") && error.contains("2 files"), "{error}");
    let small = image::GrayImage::new(8, 8);
    (0..8).for_each(|number| small.save(masks.join(format!("{number}.png"))).unwrap());
    let error = run_fails(1, &eval);
    assert!(error.contains("no mask can be used") && error.contains("8×8"), "{error}");
}

#[test]
fn an_ok_image_of_any_time_is_built_in() {
    let bench = Bench::new();
    let time = |name: &str, time: &str| {
        let file = bench.path("ok").join(name);
        assert!(std::process::Command::new("touch").args(["-d", time, arg(&file)]).status().unwrap().success());
    };
    // Beyond what 64 bits of nanoseconds hold, on either side, where the file system can keep such times.
    time("0.png", "2300-01-01");
    time("1.png", "1650-01-01");
    time("2.png", "1969-12-31");
    assert_eq!(bench.build(&[])["images"], 8);
}

#[test]
fn one_image_of_an_odd_kind_stops_neither_build_nor_infer() {
    let bench = Bench::new();
    let odd = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/image_files");
    // A palette in a TIFF, a header that contradicts itself, premultiplied alpha.
    let refused: Vec<String> = std::fs::read_to_string(odd.join("rows.tsv"))
        .unwrap()
        .lines()
        .filter(|line| line.ends_with("unsupported_format"))
        .map(|line| line.split('\t').nth(2).unwrap().to_owned())
        .collect();
    for name in &refused {
        std::fs::copy(odd.join(name), bench.path("ok").join(name)).unwrap();
    }
    let said = bench.build(&[]);
    assert_eq!((&said["images"], &said["skipped"]), (&8.into(), &refused.len().into()));
    let (bank, images, out) = (bench.path("bank"), bench.path("ok"), bench.path("out"));
    let error = run_fails(1, &["infer", "--bank-dir", arg(&bank), "--img-dir", arg(&images), "--out-dir", arg(&out)]);
    assert!(refused.iter().all(|name| error.contains(name)) && !error.contains("panicked"), "{error}");
    assert!(out.join("7.png/scores.json").exists(), "the last one is inspected");
}
