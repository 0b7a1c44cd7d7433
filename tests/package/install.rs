//! The tarball's install.sh and uninstall.sh, and the Debian package, with the scriptlets that the RPM runs too, as root of a machine of their own: this one under an
//! overlay, with a systemctl that writes down what it is asked.

use super::{said, script, staged};
use crate::helper::{Mount, can, skipped};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A machine whose changes stay in memory, and the unpacked tarball on it.
struct Machine {
    folder: tempfile::TempDir,
    _changes: Mount,
}

impl Machine {
    /// None, said, where there can be none.
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let changes = Mount::tmpfs(&folder.path().join("changes"), "2g")?;
        for name in ["changes/new", "changes/work", "machine", "content"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let machine = Self { folder, _changes: changes };
        let has_tools = machine.run("command -v useradd systemd-tmpfiles").status.success();
        if has_tools { Some(machine) } else { skipped("overlay mounts, useradd and systemd-tmpfiles") }
    }

    /// The tarball lies unpacked in /opt/patchcored.
    fn with_tarball() -> Option<Self> {
        let machine = Self::new()?;
        let tarball = machine.path("content");
        staged(&tarball);
        std::fs::create_dir(tarball.join("scriptlets")).unwrap();
        for (name, to) in [
            ("install.sh", "install.sh"),
            ("uninstall.sh", "uninstall.sh"),
            ("pre.sh", "scriptlets/pre.sh"),
            ("post.sh", "scriptlets/post.sh"),
            ("preun.sh", "scriptlets/preun.sh"),
            ("postun.sh", "scriptlets/postun.sh"),
        ] {
            std::fs::copy(scripts().join(name), tarball.join(to)).unwrap();
        }
        Some(machine)
    }

    /// In /opt/patchcored lie this version and a next one as Debian packages, and install.sh of the tarball.
    fn with_debian_packages() -> Option<Self> {
        can("dpkg-dev", "dpkg-shlibdeps", &["--version"])?;
        let machine = Self::new()?;
        let content = machine.path("content");
        let tree = staged(&content);
        let made = script("package/debian").arg(&tree).output().unwrap();
        assert!(made.status.success(), "{}", said(&made));
        let control = tree.join("DEBIAN/control");
        let described = std::fs::read_to_string(&control).unwrap();
        for version in [env!("CARGO_PKG_VERSION"), "99.0.0"] {
            std::fs::write(&control, described.replace(env!("CARGO_PKG_VERSION"), version)).unwrap();
            let file = content.join(format!("{version}.deb"));
            let built = Command::new("dpkg-deb").args(["--root-owner-group", "-Znone", "--build"]).args([&tree, &file]).output().unwrap();
            assert!(built.status.success(), "{}", said(&built));
        }
        std::fs::copy(scripts().join("install.sh"), content.join("install.sh")).unwrap();
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

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/package")
}

const RIGHTS: &str = "stat -c '%A %U %G %n' /etc/patchcored /etc/patchcored/config.yaml /var/lib/patchcored /usr/bin/patchcored";
const RIGHTS_OF_AN_INSTALLATION: &str = "drwxr-x--- root patchcored-read /etc/patchcored\n\
     -rw-r----- root patchcored-read /etc/patchcored/config.yaml\ndrwxr-s--- patchcored patchcored-read /var/lib/patchcored\n\
     -rwxr-xr-x root root /usr/bin/patchcored\n";

fn the_program_is_gone_and_what_belongs_to_the_line_stays(machine: &Machine) {
    let asked = machine.asked();
    assert_eq!(asked.first().map(String::as_str), Some("systemctl --quiet disable --now patchcored.service"), "{asked:?}");
    assert!(!asked.iter().any(|line| line.contains("try-restart")), "{asked:?}");
    for gone in ["/usr/bin/patchcored", "/usr/lib64/patchcored", "/usr/share/doc/patchcored", "/usr/lib/systemd/system/patchcored.service"]
    {
        machine.ok(&format!("! test -e {gone}"));
    }
    assert!(machine.ok("cat /var/lib/patchcored/history.db /etc/patchcored/config.yaml").contains("# mine"));
    // It still has an owner.
    machine.ok("getent passwd patchcored");
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

    assert_eq!(machine.ok(RIGHTS), RIGHTS_OF_AN_INSTALLATION);
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
    the_program_is_gone_and_what_belongs_to_the_line_stays(&machine);
}

#[test]
fn dpkg_installs_upgrades_and_removes() {
    let Some(machine) = Machine::with_debian_packages() else { return };
    let install = |version: &str| machine.ok(&format!("dpkg --install /opt/patchcored/{version}.deb"));
    install(env!("CARGO_PKG_VERSION"));
    let asked = machine.asked();
    assert!(asked.contains(&"systemctl daemon-reload".to_owned()), "{asked:?}");
    assert!(asked.contains(&"sysctl --quiet --load=/usr/lib/sysctl.d/60-patchcored.conf".to_owned()), "{asked:?}");
    // Debian's presets enable every service.
    assert!(!asked.iter().any(|line| line.contains("start") || line.contains("enable") || line.contains("preset")), "{asked:?}");
    assert_eq!(machine.ok(RIGHTS), RIGHTS_OF_AN_INSTALLATION);
    assert_eq!(machine.ok("dpkg --verify patchcored"), "");
    assert!(machine.ok("setpriv --reuid patchcored --regid patchcored --clear-groups patchcored --version").starts_with("patchcored "));
    let refused = machine.run("/opt/patchcored/install.sh");
    assert!(!refused.status.success() && said(&refused).contains("apt remove patchcored"), "{}", said(&refused));

    machine.ok("echo '# mine' >>/etc/patchcored/config.yaml; echo row >/var/lib/patchcored/history.db");
    install("99.0.0");
    assert!(machine.ok("dpkg-query --show patchcored").contains("99.0.0-1"));
    assert!(machine.ok("tail -n 1 /etc/patchcored/config.yaml").contains("# mine"));
    assert_eq!(machine.ok(RIGHTS), RIGHTS_OF_AN_INSTALLATION);
    let asked = machine.asked();
    assert_eq!(asked.iter().filter(|line| *line == "systemctl try-restart patchcored.service").count(), 1, "{asked:?}");
    assert!(!asked.iter().any(|line| line.contains("disable")), "{asked:?}");

    machine.ok("dpkg --remove patchcored");
    the_program_is_gone_and_what_belongs_to_the_line_stays(&machine);
}
