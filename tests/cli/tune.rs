//! `tune`.

use crate::helper::{Part, arg, patchcored, run_fails, write_image};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;
use tempfile::TempDir;

/// A configured product with OK images and a bank folder; nothing has run yet.
struct ConfiguredProduct {
    folder: TempDir,
}

impl ConfiguredProduct {
    fn new(images: u32, build: &str) -> Self {
        let product = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["ok", "bank", "drop", "tmp"] {
            std::fs::create_dir(product.path(name)).unwrap();
        }
        for number in 0..images {
            write_image(&product.path("ok").join(format!("{number:03}.png")), Part::ok(number));
        }
        std::fs::write(product.path("bank/note.txt"), "somebody's own file").unwrap();
        let config = format!(
            "database: history.db\nengine: {{device: cpu, precision: float32, weights: {{resnet18: nowhere.pth}}}}\n\
             products:\n  - {{name: disc, drop: [{{path: drop}}], ok: ok, bank: bank, build: {build}}}\n"
        );
        std::fs::write(product.path("config.yaml"), config).unwrap();
        product
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Every file and folder, with its content and the time of its last change.
    fn state(&self) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
        let mut state = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let is_folder = path.is_dir();
                // The folder for temporary files may change; it has to be empty again.
                let changed = if path.ends_with("tmp") { SystemTime::UNIX_EPOCH } else { path.metadata().unwrap().modified().unwrap() };
                state.insert(path.clone(), (changed, if is_folder { Vec::new() } else { std::fs::read(&path).unwrap() }));
                if is_folder {
                    folders.push(path);
                }
            }
        }
        state
    }

    fn tune(&self, extra: &[&str]) -> String {
        let config = self.path("config.yaml");
        let mut command = patchcored();
        command.args(["tune", "disc", "--config", arg(&config)]).args(extra).env("TMPDIR", self.path("tmp"));
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, code: i32, product: &str) -> String {
        run_fails(code, &["tune", product, "--config", arg(&self.path("config.yaml"))])
    }
}

const SMALL: &str = "{backbone: efficientnet_lite0, shorter: 64, stride: 2, coreset: 0.1}";

#[test]
fn settings_are_compared_and_nothing_is_changed() {
    let product = ConfiguredProduct::new(20, SMALL);
    let before = product.state();
    let report: Value = serde_json::from_str(&product.tune(&["--minutes", "60", "--budget", "10s", "--json"])).unwrap();
    assert!(product.state() == before, "a file was changed, made or removed");

    let candidates = report["candidates"].as_array().unwrap();
    let names: Vec<&str> = candidates.iter().map(|candidate| candidate["settings"].as_str().unwrap()).collect();
    let singles =
        ["as configured", "shorter: 96", "stride: 1", "layers: [layer1, layer2, layer3]", "layers: [layer2, layer3]", "shorter: 32"];
    for name in singles.into_iter().chain(["score: guide"]) {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert_eq!((names[0], &report["bank_images"], &report["budget_ms"]), ("as configured", &10.into(), &10_000.0.into()));
    for candidate in candidates {
        assert!(candidate["planted"] == 8 * 6 * 2 * 2 && candidate["held_out"] == 10, "{candidate}");
        assert!(candidate["found"].as_u64() <= candidate["planted"].as_u64(), "{candidate}");
        assert!(candidate["ms_per_image"].as_f64().unwrap() > 0.0 && candidate["build_s"].as_f64().unwrap() > 0.0, "{candidate}");
    }
    // Resnet18 is configured with a file that is not there.
    let not_tried = report["not_tried"].as_array().unwrap();
    assert!(not_tried.iter().any(|not| not["settings"].as_str().unwrap().contains("resnet18")), "{not_tried:?}");

    let recommended = &candidates[report["recommended"].as_u64().unwrap() as usize];
    let share = |candidate: &Value| candidate["found"].as_f64().unwrap() / candidate["planted"].as_f64().unwrap();
    assert!(recommended["within_budget"] == true && recommended["as_promised"] == true, "{recommended}");
    assert!(share(recommended) >= share(&candidates[0]), "{report}");
    assert!(recommended["yaml"].as_str().unwrap().starts_with("build:\n  backbone: efficientnet_lite0\n"), "{recommended}");
}

#[test]
fn the_table_says_what_does_not_fit_into_the_budget() {
    let product = ConfiguredProduct::new(12, SMALL);
    let text = product.tune(&["--minutes", "60", "--budget", "1ms"]);
    assert!(text.starts_with("disc: each bank is of 6 OK images"), "{text}");
    // Nothing is planted for settings that cannot be recommended, except for those in use.
    let begins_with = |settings: &str, found: &str| {
        let line = text.lines().find(|line| line.starts_with(settings)).unwrap_or_default();
        line[settings.len()..].trim_start().starts_with(found)
    };
    assert!(begins_with("shorter: 32 ", "- ") && !begins_with("as configured ", "- "), "{text}");
    assert!(text.lines().any(|line| line.starts_with("shorter: 32 ") && line.ends_with("too slow")), "{text}");
    assert!(text.ends_with("\nkeep what you have: no settings are within 1ms\n"), "{text}");
}

#[test]
fn it_refuses_what_it_cannot_compare() {
    let few = ConfiguredProduct::new(9, SMALL);
    let error = few.fails(1, "disc");
    assert!(error.contains("9 OK images are too few to compare settings; put at least 10 there"), "{error}");
    let error = few.fails(2, "disk");
    assert!(error.contains("error[unknown_product]") && error.contains("did you mean `disc`? There are: disc"), "{error}");
    let error = ConfiguredProduct::new(12, "{backbone: resnet18}").fails(1, "disc");
    assert!(error.contains("error[weights_missing]") && error.contains("nowhere.pth is not there"), "{error}");
    assert!(!few.path("history.db").exists());
}
