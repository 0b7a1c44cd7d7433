//! Configuration files kept as fixtures. Each line `# expect: line L, column C: KEY: MESSAGE` at the top of a file is the beginning of a
//! problem that loading it must report, and there may be no other; a file without such lines must load.

use crate::helper::{Line, Product, arg, patchcored, run_fails, run_ok};
use patchcored::config::Config;
use std::path::{Path, PathBuf};

fn fixtures() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_fixture_loads_or_reports_what_it_says() {
    let mut wrong = Vec::new();
    for file in fixtures() {
        let text = std::fs::read_to_string(&file).unwrap();
        let expected: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("# expect: ")).collect();
        let found = Config::load(&file).err().map(|e| e.to_string()).unwrap_or_default();
        let first = found.lines().next().unwrap_or_default();
        let problems: Vec<&str> = found.lines().skip(1).map(|l| l.strip_prefix("  ").unwrap_or(l)).collect();
        let named =
            expected.is_empty() || (first.contains(&*file.to_string_lossy()) && first.contains(&format!(" {} problem", expected.len())));
        let all = expected.iter().all(|e| problems.iter().filter(|p| p.starts_with(e)).count() == 1);
        if !named || !all || problems.len() != expected.len() {
            wrong.push(format!("{}: {found}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(fixtures().len() >= 10, "the fixtures are gone");
}

#[test]
fn check_prints_the_schema_that_the_example_names_and_needs_no_configuration_for_it() {
    let example = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.yaml.example")).unwrap();
    assert!(example.starts_with("# yaml-language-server: $schema=/usr/share/patchcored/config.schema.json\n"));
    let printed = run_ok(&["check", "--schema"]);
    assert_eq!(printed, patchcored::config::schema());
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(schema["properties"]["intake"]["properties"]["rescan"]["default"], "30s");
    run_fails(2, &["check", "--schema", "--config", "config.yaml"]);
}

/// The shortest configuration, with these files as the only weights of this machine.
fn checked_with(weights: &[&str], build: &str) -> (Option<i32>, String) {
    let line = Line::new(&[Product::new("disc")]);
    let text = std::fs::read_to_string(line.config()).unwrap();
    let text: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("build:")).collect();
    std::fs::write(line.config(), format!("{}\n{build}", text.join("\n"))).unwrap();
    std::fs::create_dir(line.path("weights")).unwrap();
    for name in weights {
        std::fs::write(line.path("weights").join(name), "").unwrap();
    }
    let mut command = patchcored();
    command.args(["check", "--config", arg(&line.config())]);
    command.env("PATCHCORED_WEIGHTS", line.path("weights")).env("XDG_CACHE_HOME", line.path("none")).env("HOME", line.path("none"));
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn without_weights_of_the_default_the_packaged_network_is_used_and_that_is_said() {
    let (lite0, resnet50) = ("efficientnet-lite0-57934424.pth", "resnet50-11ad3fa6.pth");
    let (code, said) = checked_with(&[lite0], "");
    assert!(code == Some(0) && said.contains("warning: products: no backbone is named for disc"), "{said}");
    assert!(said.contains("efficientnet_lite0 is used") && said.contains("OK, ready to start"), "{said}");
    for (weights, build) in [(&[lite0, resnet50][..], ""), (&[lite0][..], "    build: {backbone: efficientnet_lite0}\n")] {
        let (code, said) = checked_with(weights, build);
        assert!(code == Some(0) && !said.contains("no backbone is named"), "{said}");
    }
    // The method of the Python scripts has one network; and without any weights the default is what is missing.
    for (weights, build) in [(&[lite0][..], "    build: {preset: guide}\n"), (&[][..], "")] {
        let (code, said) = checked_with(weights, build);
        assert!(code == Some(1) && said.contains("error: engine.weights.resnet50"), "{said}");
    }
}
