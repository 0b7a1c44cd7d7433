//! The tarball's install.sh and uninstall.sh with the scriptlets that the RPM runs too, as root of a machine of their own: this one under an
//! overlay, with a systemctl that writes down what it is asked.

use super::{said, script};
use crate::helper::{Mount, arg, skipped};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A machine whose changes stay in memory, and the unpacked tarball on it.
struct Machine {
    folder: tempfile::TempDir,
    _changes: Mount,
}

impl Machine {
    /// None, said, where there can be none.
    fn with_tarball() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let changes = Mount::tmpfs(&folder.path().join("changes"), "2g")?;
        for name in ["changes/new", "changes/work", "machine", "content/scriptlets"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let machine = Self { folder, _changes: changes };
        let has_tools = machine.run("command -v useradd systemd-tmpfiles").status.success();
        if !has_tools {
            return skipped("overlay mounts, useradd and systemd-tmpfiles");
        }
        let tarball = machine.path("content");
        let stage = script("package/stage")
            .args([env!("CARGO_BIN_EXE_patchcored"), arg(&tarball.join("root"))])
            .env("WITHOUT_LICENCES", "1")
            .output()
            .unwrap();
        assert!(stage.status.success(), "{}", said(&stage));
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/package");
        for (name, to) in [
            ("install.sh", "install.sh"),
            ("uninstall.sh", "uninstall.sh"),
            ("pre.sh", "scriptlets/pre.sh"),
            ("post.sh", "scriptlets/post.sh"),
            ("preun.sh", "scriptlets/preun.sh"),
            ("postun.sh", "scriptlets/postun.sh"),
        ] {
            std::fs::copy(scripts.join(name), tarball.join(to)).unwrap();
        }
        Some(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Types `commands` as root of the machine.
    fn run(&self, commands: &str) -> Output {
        let make = format!(
            "cd {folder}
             mount -t overlay -o lowerdir=/,upperdir=changes/new,workdir=changes/work machine machine || exit
             mkdir -p machine/opt/patchcored machine/run/systemd/system machine/usr/local/sbin
             mount --bind content machine/opt/patchcored
             mount --rbind /dev machine/dev
             mount --rbind /proc machine/proc
             for tool in systemctl sysctl; do
                 printf '#!/bin/sh\\necho \"%s $*\" >>/opt/asked\\n' $tool >machine/usr/local/sbin/$tool
                 chmod 755 machine/usr/local/sbin/$tool
             done
             PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin exec chroot machine /bin/bash -ec \"$1\"",
            folder = self.folder.path().display()
        );
        Command::new("unshare").args(["--mount", "bash", "-c", &make, "bash", commands]).env_remove("LD_LIBRARY_PATH").output().unwrap()
    }

    /// The same for what must succeed; its output.
    fn ok(&self, commands: &str) -> String {
        let output = self.run(commands);
        assert!(output.status.success(), "{commands}: {}", said(&output));
        said(&output)
    }

    /// What systemctl and sysctl were asked since the last time.
    fn asked(&self) -> Vec<String> {
        self.ok("cat /opt/asked; rm /opt/asked").lines().map(str::to_owned).collect()
    }
}

#[test]
fn install_upgrade_and_remove() {
    let Some(machine) = Machine::with_tarball() else { return };
    // With DESTDIR nothing but the files, which work where they lie.
    machine.ok("DESTDIR=/srv/image /opt/patchcored/install.sh && /srv/image/usr/bin/patchcored --version");
    machine.ok("test -e /srv/image/etc/patchcored/config.yaml && ! test -e /opt/asked && ! test -e /usr/bin/patchcored");
    machine.ok("! getent passwd patchcored && DESTDIR=/srv/image /opt/patchcored/uninstall.sh && ! test -e /srv/image/usr/bin/patchcored");

    let said = machine.ok("/opt/patchcored/install.sh");
    assert!(said.contains("edit /etc/patchcored/config.yaml"), "{said}");
    let asked = machine.asked();
    assert!(asked.contains(&"systemctl daemon-reload".to_owned()), "{asked:?}");
    assert!(asked.contains(&"systemctl --quiet preset patchcored.service".to_owned()), "{asked:?}");
    assert!(asked.contains(&"sysctl --quiet --load=/usr/lib/sysctl.d/60-patchcored.conf".to_owned()), "{asked:?}");
    assert!(
        !asked.iter().any(|line| line.contains("start") || line.contains("enable")),
        "a new service waits for its configuration: {asked:?}"
    );

    let rights = "stat -c '%A %U %G %n' /etc/patchcored /etc/patchcored/config.yaml /var/lib/patchcored /usr/bin/patchcored";
    assert_eq!(
        machine.ok(rights),
        "drwxr-x--- root patchcored-read /etc/patchcored\n-rw-r----- root patchcored-read /etc/patchcored/config.yaml\n\
         drwxr-s--- patchcored patchcored-read /var/lib/patchcored\n-rwxr-xr-x root root /usr/bin/patchcored\n"
    );
    // As the service's user, and with nothing but its own libtorch.
    assert!(machine.ok("setpriv --reuid patchcored --regid patchcored --clear-groups patchcored --version").starts_with("patchcored "));
    machine.ok("man -w patchcored-run || ls /usr/share/man/man1/patchcored-run.1.gz");

    // Again is an upgrade: the line's configuration and data stay, and a running service is restarted.
    // A release with one group for all left it these.
    let of_one_group = "cd /var/lib/patchcored; echo row >history.db; chown patchcored:patchcored history.db; chmod 660 history.db";
    machine.ok(&format!("({of_one_group}); chgrp patchcored /etc/patchcored/config.yaml"));
    machine.ok("echo '# mine' >>/etc/patchcored/config.yaml; sed -i s/^/#/ /usr/share/doc/patchcored/README.md");
    let said = machine.ok("/opt/patchcored/install.sh");
    assert!(said.contains("kept /etc/patchcored/config.yaml"), "{said}");
    machine.ok("tail -n 1 /etc/patchcored/config.yaml | grep '# mine' && grep -q '^# patchcored' /usr/share/doc/patchcored/README.md");
    let rights = "stat -c '%A %U %G' /var/lib/patchcored/history.db /etc/patchcored/config.yaml";
    assert_eq!(machine.ok(rights), "-rw-r----- patchcored patchcored-read\n-rw-r----- root patchcored-read\n");
    let asked = machine.asked();
    assert!(asked.contains(&"systemctl try-restart patchcored.service".to_owned()), "{asked:?}");
    assert!(!asked.iter().any(|line| line.contains("preset")), "what was chosen by hand stays: {asked:?}");

    machine.ok("/opt/patchcored/uninstall.sh");
    let asked = machine.asked();
    assert_eq!(asked.first().map(String::as_str), Some("systemctl --quiet disable --now patchcored.service"), "{asked:?}");
    assert!(!asked.iter().any(|line| line.contains("try-restart")), "{asked:?}");
    for gone in ["/usr/bin/patchcored", "/usr/lib64/patchcored", "/usr/share/doc/patchcored", "/usr/lib/systemd/system/patchcored.service"]
    {
        machine.ok(&format!("! test -e {gone}"));
    }
    assert!(machine.ok("cat /var/lib/patchcored/history.db /etc/patchcored/config.yaml").contains("# mine"));
    // What belongs to the line still has an owner.
    machine.ok("getent passwd patchcored");
}
