//! Bad input: each message names the file or key, what is wrong and what to do.

use super::by_hand::{Bench, SMALL};
use crate::helper::{Part, arg, jpeg_bytes, patchcored, run_fails, run_ok};

/// The message of `infer` for this image.
fn infer_fails(bench: &Bench, name: &str, content: &[u8]) -> String {
    std::fs::write(bench.path(name), content).unwrap();
    let (bank, image, out) = (bench.path("bank"), bench.path(name), bench.path("out"));
    let error = run_fails(1, &["infer", "--bank-dir", arg(&bank), "--img", arg(&image), "--out-dir", arg(&out)]);
    assert!(!out.join("scores.json").exists(), "nothing is written for it");
    error
}

fn says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "`{word}` is missing in: {error}");
    }
}

#[test]
fn a_config_with_three_mistakes_lists_all_three() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    let text = "database: h.db\nengine: {devices: cpu}\nproducts:\n  - name: a b\n    drop: [{path: d}]\n    ok: ok\n    bank: bank\n    \
                build: {shorter: 5}\n";
    std::fs::write(&config, text).unwrap();
    for command in ["check", "run"] {
        let error = run_fails(78, &[command, "--config", arg(&config)]);
        says(
            &error,
            &[
                "config.yaml",
                "3 ",
                "line 2, column 10: engine.devices",
                "line 4, column 5: products[0].name",
                "line 8, column 13: products[0].build.shorter",
                "32 to 8192",
            ],
        );
    }
}

#[test]
fn check_lists_what_is_missing_on_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    let text =
        "database: h.db\nengine: {weights: {resnet50: nowhere.pth}}\nproducts:\n  - {name: a, drop: [{path: d}], ok: ok, bank: bank}\n";
    std::fs::write(&config, text).unwrap();
    let output = patchcored().args(["check", "--config", arg(&config)]).output().unwrap();
    assert_ne!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    says(&said, &["products[0].drop[0].path", "products[0].ok", "nowhere.pth"]);
}

#[test]
fn missing_and_foreign_weights() {
    let bench = Bench::new();
    let (ok, bank, none) = (bench.path("ok"), bench.path("bank"), bench.path("none.pth"));
    let base = ["build", "--ok-dir", arg(&ok), "--out-dir", arg(&bank)];
    let error = run_fails(1, &[&base[..], &["--backbone", "resnet50", "--weights", arg(&none)]].concat());
    says(&error, &["none.pth", "resnet50"]);
    let output =
        patchcored().args(base).env("PATCHCORED_WEIGHTS", bench.path("more")).env("XDG_CACHE_HOME", bench.path("ng")).output().unwrap();
    says(
        &String::from_utf8_lossy(&output.stderr),
        &["resnet50-11ad3fa6.pth", "/var/lib/patchcored/weights", "https://download.pytorch.org/models/"],
    );
    let lite0 = patchcored_weights();
    let error = run_fails(1, &[&base[..], &["--backbone", "resnet50", "--weights", arg(&lite0)]].concat());
    says(&error, &["efficientnet-lite0-57934424.pth", "resnet50", "conv1.weight"]);
}

/// The weights that `make setup` fetched.
fn patchcored_weights() -> std::path::PathBuf {
    patchcored::patchcore::find_weights(patchcored::domain::Backbone::EfficientnetLite0, None).unwrap()
}

#[test]
fn images_that_are_none() {
    let bench = Bench::new();
    bench.build(&[]);
    says(&infer_fails(&bench, "x.jpg", b"this is a shopping list"), &["x.jpg", "JPEG, PNG, BMP or TIFF"]);
    let jpeg = jpeg_bytes(Part::ok(1));
    says(&infer_fails(&bench, "cut.jpg", &jpeg[..jpeg.len() / 2]), &["cut.jpg", "incomplete"]);
    says(&infer_fails(&bench, "empty.png", b""), &["empty.png", "incomplete"]);
    let (ok, out) = (bench.path("nothing"), bench.path("b2"));
    std::fs::create_dir(&ok).unwrap();
    says(&run_fails(1, &["build", "--ok-dir", arg(&ok), "--out-dir", arg(&out)]), &["nothing", "no images"]);
}

#[test]
fn banks_that_do_not_fit() {
    let bench = Bench::new();
    bench.build(&[]);
    let (bank, image, out) = (bench.path("bank"), bench.path("ng/0.jpg"), bench.path("out"));
    let infer = ["infer", "--bank-dir", arg(&bank), "--img", arg(&image), "--out-dir", arg(&out)];

    let error = run_fails(1, &[&infer[..], &["--backbone", "resnet18"]].concat());
    says(&error, &["resnet18"]);

    let tau = std::fs::read_to_string(bank.join("tau.json")).unwrap();
    for bad in ["{\"pixel\": NaN, \"image\": 1.0}", "{\"pixel\": 1.0}", "{\"pixel\": 1.0, \"image\": Infinity}"] {
        std::fs::write(bank.join("tau.json"), bad).unwrap();
        says(&run_fails(1, &infer), &["tau.json"]);
    }
    std::fs::write(bank.join("tau.json"), tau).unwrap();
    run_ok(&infer);

    let mut bytes = std::fs::read(bank.join("memory_bank.pt")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(bank.join("memory_bank.pt"), bytes).unwrap();
    says(&run_fails(1, &infer), &["memory_bank.pt"]);
    std::fs::remove_file(bank.join("memory_bank.pt")).unwrap();
    says(&run_fails(1, &infer), &["memory_bank.pt"]);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    run_fails(2, &["build"]);
    run_fails(2, &["infer", "--bank-dir", "b", "--out-dir", "o"]);
    let bench = Bench::new();
    let (ok, bank) = (bench.path("ok"), bench.path("bank"));
    let mut arguments = vec!["build", "--ok-dir", arg(&ok), "--out-dir", arg(&bank)];
    arguments.extend(SMALL);
    says(&run_fails(2, &[&arguments[..], &["--neighbourhood", "2"]].concat()), &["--neighbourhood", "odd"]);
}
