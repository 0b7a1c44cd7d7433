//! The files for systemd, as its own tools see them. Without these tools the tests are skipped.

use crate::docs::pages;
use crate::helper::can;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// The worst that `systemd-analyze security` may say of the unit, from 0 (shut in) to 10, and with one of the drop-ins, which open it.
const EXPOSURE: f64 = 2.0;
const EXPOSURE_OPENED: f64 = 2.5;
const EXAMPLES: [&str; 3] = ["cuda", "folders", "network"];

fn source(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

/// The unit with these drop-ins in place, and the binary under test in the place of the installed one.
fn unit(examples: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(source("patchcored.service")).unwrap();
    assert!(text.contains("ExecStart=/usr/bin/patchcored run"), "{text}");
    let text = text.replace("/usr/bin/patchcored", env!("CARGO_BIN_EXE_patchcored"));
    std::fs::write(folder.path().join("patchcored.service"), text).unwrap();
    let drop_ins = folder.path().join("patchcored.service.d");
    std::fs::create_dir(&drop_ins).unwrap();
    for example in examples {
        std::fs::copy(source(&format!("patchcored.service.d/{example}.conf.example")), drop_ins.join(format!("{example}.conf"))).unwrap();
    }
    folder
}

fn analyze(arguments: &[&str], unit: &TempDir) -> Output {
    Command::new("systemd-analyze").args(arguments).arg(unit.path().join("patchcored.service")).output().unwrap()
}

fn has_analyze() -> bool {
    can("systemd-analyze (Debian: apt install systemd)", "systemd-analyze", &["--version"]).is_some()
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit_and_its_drop_ins() {
    if !has_analyze() {
        return;
    }
    for examples in [&[][..], &EXAMPLES] {
        let output = analyze(&["verify"], &unit(examples));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{examples:?}: {said}");
    }
    // It does find what is wrong: a key that it does not know, in a drop-in.
    let wrong = unit(&[]);
    std::fs::write(wrong.path().join("patchcored.service.d/wrong.conf"), "[Service]\nWatchdogSecs=60\n").unwrap();
    let said = analyze(&["verify"], &wrong).stderr;
    assert!(String::from_utf8_lossy(&said).contains("WatchdogSecs"));
}

#[test]
fn the_unit_is_shut_in() {
    if !has_analyze() {
        return;
    }
    let alone = ["cuda", "folders", "network"].map(|example| vec![example]);
    for examples in [vec![]].into_iter().chain(alone) {
        let output = analyze(&["security", "--offline=true"], &unit(&examples));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let exposure = said.split("exposure level for patchcored.service: ").nth(1).and_then(|rest| rest.split(' ').next());
        let exposure: f64 = exposure.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr))).parse().unwrap();
        println!("{examples:?}: {exposure}");
        let limit = if examples.is_empty() { EXPOSURE } else { EXPOSURE_OPENED };
        assert!(exposure <= limit, "{examples:?}: {said}");
    }
}

/// What came after 239 is ignored there, with a warning in the log: whoever reads the unit would believe in a fence that is not there.
#[test]
fn the_unit_uses_nothing_that_systemd_239_lacks() {
    const LATER: [&str; 14] = [
        "ProtectKernelLogs",
        "ProtectHostname",
        "ProtectClock",
        "ProtectProc",
        "ProcSubset",
        "OOMPolicy",
        "LoadCredential",
        "RestrictSUIDSGID",
        "TimeoutAbortSec",
        "LogRateLimit",
        "Type=exec",
        "notify-reload",
        "RestartSteps",
        "ExecCondition",
    ];
    let unit = std::fs::read_to_string(source("patchcored.service")).unwrap();
    assert!(unit.contains("\nSystemCallErrorNumber=EPERM\n"), "its @system-service lacks pidfd_open, which starting a build tries");
    let mut files = vec![source("patchcored.service")];
    files.extend(EXAMPLES.map(|example| source(&format!("patchcored.service.d/{example}.conf.example"))));
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(!LATER.iter().any(|key| line.contains(key)), "{}: {line}", file.display());
        }
    }
}

#[test]
fn user_and_folders_are_made_with_the_modes_that_the_service_needs() {
    if ["systemd-sysusers", "systemd-tmpfiles"].iter().any(|tool| can(tool, tool, &["--version"]).is_none()) {
        return;
    }
    let Some(()) = can("root, to make folders of another user", "sh", &["-c", "test $(id -u) = 0"]) else { return };
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("etc")).unwrap();
    let run = |tool: &str, options: &[&str], snippet: &str| {
        let output = Command::new(tool).arg("--root").arg(root.path()).args(options).arg(source(snippet)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{tool}: {said}");
    };
    run("systemd-sysusers", &[], "patchcored.sysusers.conf");
    let users = std::fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    let user: Vec<&str> = users.lines().find_map(|line| line.strip_prefix("patchcored:")).unwrap().split(':').collect();
    assert_eq!(user[3..], ["patchcored visual inspection", "/var/lib/patchcored", "/usr/sbin/nologin"][..], "{users}");
    let groups = std::fs::read_to_string(root.path().join("etc/group")).unwrap();
    let group = |name: &str| -> Vec<String> {
        let line = groups.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap_or_else(|| panic!("{name}: {groups}"));
        line.split(':').map(str::to_owned).collect()
    };
    assert_eq!(group("patchcored")[2], "", "nobody joins the group of the service");
    for name in ["camera", "engineer", "read"] {
        assert_eq!(group(&format!("patchcored-{name}"))[2], "patchcored", "the service reads what they make");
    }
    run("systemd-tmpfiles", &["--create"], "patchcored.tmpfiles.conf");
    for (folder, mode, owner) in [
        ("var/lib/patchcored", 0o2750, "patchcored"),
        ("var/lib/patchcored/weights", 0o2750, "patchcored"),
        ("etc/patchcored", 0o750, "root"),
    ] {
        use std::os::unix::fs::MetadataExt;
        let meta = std::fs::metadata(root.path().join(folder)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o7777, mode, "{folder}");
        assert_eq!(meta.uid() == 0, owner == "root", "{folder}");
        assert_eq!(meta.gid().to_string(), group("patchcored-read")[1], "{folder}");
    }
    let unit = std::fs::read_to_string(source("patchcored.service")).unwrap();
    for line in ["Group=patchcored-read", "SupplementaryGroups=patchcored patchcored-camera patchcored-engineer", "UMask=0027"] {
        assert!(unit.lines().any(|of_unit| of_unit == line), "{line}");
    }
    assert!(unit.contains("StateDirectoryMode=2750\n"), "as the tmpfiles snippet has it: each start sets it");
}

/// Without `PrivateNetwork=no` a service with the right families still has no network.
#[test]
fn a_page_that_opens_the_network_opens_it() {
    let blocks: Vec<_> = pages().into_iter().flat_map(|page| page.blocks).filter(|block| block.text.contains("AF_INET")).collect();
    assert!(blocks.len() >= 2);
    for block in blocks {
        assert!(block.text.contains("PrivateNetwork=no") || block.text.contains("PrivateNetwork=false"), "{}", block.text);
    }
}
