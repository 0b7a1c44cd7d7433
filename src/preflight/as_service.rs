//! A command as the service would run it: its user, its groups, its sandbox. What `check` finds there is what the daemon will find.

use anyhow::{Context, bail, ensure};
use std::ffi::OsString;
use std::process::{Command, ExitStatus};

const UNIT: &str = "patchcored.service";

/// What shuts the service in, or decides what it may do. Other settings of the unit say how it is started and stopped.
const SETTINGS: [&str; 31] = [
    "User",
    "Group",
    "SupplementaryGroups",
    "UMask",
    "Environment",
    "EnvironmentFile",
    "WorkingDirectory",
    "RootDirectory",
    "StateDirectory",
    "StateDirectoryMode",
    "ReadWritePaths",
    "ReadOnlyPaths",
    "InaccessiblePaths",
    "BindPaths",
    "BindReadOnlyPaths",
    "TemporaryFileSystem",
    "IPAddressAllow",
    "IPAddressDeny",
    "DevicePolicy",
    "DeviceAllow",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "NoNewPrivileges",
    "LockPersonality",
    "RemoveIPC",
    "KeyringMode",
    "MemoryDenyWriteExecute",
    "LimitNOFILE",
    "LimitMEMLOCK",
];

/// So do all settings that begin like this.
const SETTINGS_LIKE: [&str; 5] = ["Protect", "Private", "SystemCall", "Capability", "Ambient"];

/// Runs the command as the service would, and waits for it. It writes where this process does.
///
/// # Errors
/// No systemd, no such service, or not allowed to start one.
pub fn run(command: &[OsString]) -> anyhow::Result<ExitStatus> {
    let output = Command::new("systemctl").args(["cat", UNIT]).output().context("cannot run systemctl, which knows the service")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "systemctl does not know {UNIT}: {}; install the package first", said.trim());
    let settings = settings(&String::from_utf8_lossy(&output.stdout));
    if !settings.iter().any(|setting| setting.starts_with("User=")) {
        bail!("{UNIT} has no User=, so it is no service of patchcored; see `systemctl cat {UNIT}`");
    }
    let mut run = Command::new("systemd-run");
    run.args(["--quiet", "--wait", "--pipe", "--collect"]);
    for setting in settings {
        run.arg("-p").arg(setting);
    }
    run.arg("--").args(command).status().context("cannot run systemd-run, which starts a command like a service")
}

/// The settings in the order of the unit and its drop-ins: a later one counts, and an empty one takes back a list.
fn settings(unit: &str) -> Vec<String> {
    let mut in_service = false;
    let mut found = Vec::new();
    for line in unit.replace("\\\n", " ").lines().map(str::trim) {
        if line.starts_with('[') {
            in_service = line == "[Service]";
        }
        let Some((name, value)) = line.split_once('=').filter(|_| in_service && !line.starts_with(['#', ';'])) else { continue };
        if name == "RuntimeDirectory" {
            // Not the setting itself: the folder of the running service would be removed when this one ends.
            found.extend(value.split_whitespace().map(|folder| format!("ReadWritePaths=-/run/{folder}")));
        } else if SETTINGS.contains(&name) || SETTINGS_LIKE.iter().any(|begin| name.starts_with(begin)) {
            found.push(line.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::settings;

    #[test]
    fn the_settings_that_shut_a_service_in_are_taken_in_their_order() {
        let unit = "# /usr/lib/systemd/system/patchcored.service\n[Unit]\nUser=of no service\n[Service]\nType=notify\n#Group=a\nUser=patchcored\n\
                    ExecStart=/usr/bin/patchcored run\nReadWritePaths=-/srv/camera \\\n  -/srv/banks\nRuntimeDirectory=patchcored\nPrivateNetwork=true\n\n\
                    # /etc/systemd/system/patchcored.service.d/network.conf\n[Service]\nPrivateNetwork=no\nSystemCallFilter=\n[Install]\nUMask=0\n";
        let expected = [
            "User=patchcored",
            "ReadWritePaths=-/srv/camera    -/srv/banks",
            "ReadWritePaths=-/run/patchcored",
            "PrivateNetwork=true",
            "PrivateNetwork=no",
            "SystemCallFilter=",
        ];
        assert_eq!(settings(unit), expected);
    }
}
