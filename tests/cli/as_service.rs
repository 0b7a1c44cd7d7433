//! `check --as-service`, with stand-ins for systemd's programs: there is none where the tests run.

use crate::helper::{Line, Product, arg, patchcored};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

fn program(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// With these programs before all others.
fn check(line: &Line, programs: &Path) -> Output {
    let mut command = patchcored();
    command.args(["check", "--as-service", "--config", "config.yaml"]).current_dir(line.path(""));
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display())).output().unwrap()
}

#[test]
fn the_check_runs_with_the_settings_of_the_unit_and_its_drop_ins() {
    let line = Line::new(&[Product::new("disc")]);
    let programs = tempfile::tempdir().unwrap();
    let systemd = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let (unit, network) = (systemd.join("patchcored.service"), systemd.join("patchcored.service.d/network.conf.example"));
    program(programs.path(), "systemctl", &format!("[ \"$*\" = 'cat patchcored.service' ] && cat {} {}", arg(&unit), arg(&network)));
    let asked = line.path("asked");
    let run = format!("printf '%s\\n' \"$@\" >{}\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"", arg(&asked));
    program(programs.path(), "systemd-run", &run);

    let output = check(&line, programs.path());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("config.yaml: OK, ready to start: 1 product"), "{said}");
    let asked = std::fs::read_to_string(&asked).unwrap();
    let settings: Vec<&str> = asked.lines().take_while(|word| *word != "--").collect();
    for setting in
        ["User=patchcored", "Group=patchcored-read", "UMask=0027", "ProtectSystem=strict", "ReadWritePaths=-/srv/camera -/srv/banks"]
    {
        assert!(settings.contains(&setting), "{setting} is not in {settings:?}");
    }
    let at = |setting: &str| settings.iter().position(|word| *word == setting).unwrap_or_else(|| panic!("{setting}: {settings:?}"));
    assert!(at("PrivateNetwork=true") < at("PrivateNetwork=no"), "the drop-in counts");
    assert!(
        !settings.iter().any(|word| word.starts_with("ExecStart") || word.starts_with("Restart=") || word.starts_with("RuntimeDirectory"))
    );
    assert!(asked.ends_with(&format!("\ncheck\n--config\n{}\n", arg(&line.config()))), "{asked}");

    // What the check inside finds is the answer.
    std::fs::remove_dir(line.drop("disc")).unwrap();
    let output = check(&line, programs.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("NOT ready to start"));
}

#[test]
fn without_the_service_it_says_so() {
    let line = Line::new(&[Product::new("disc")]);
    let programs = tempfile::tempdir().unwrap();
    program(programs.path(), "systemctl", "echo 'No files found for patchcored.service.' >&2; exit 1");
    let output = check(&line, programs.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("No files found for patchcored.service.; install the package first"), "{said}");
}
