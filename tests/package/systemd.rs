//! The service under a real systemd, which is the first process of a machine of its own.

use super::{CONFIG, said, script, staged};
use crate::helper::{Part, wait_for, write_image};
use std::path::PathBuf;
use std::process::{Child, Command, Output};

/// Ends with its systemd.
struct Machine {
    folder: tempfile::TempDir,
    outside: Child,
}

impl Machine {
    fn boot() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let content = folder.path().join("content");
        staged(&content);
        std::fs::create_dir(content.join("scriptlets")).unwrap();
        let scripts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/package");
        for name in ["install.sh", "pre.sh", "post.sh", "postun.sh"] {
            let to = if name == "install.sh" { content.join(name) } else { content.join("scriptlets").join(name) };
            std::fs::copy(scripts.join(name), to).unwrap();
        }
        let outside = script("package/systemd-machine").arg(folder.path()).spawn().unwrap();
        let machine = Self { folder, outside };
        wait_for("systemd to be running", || {
            let state = said(&machine.run("systemctl is-system-running"));
            if state.contains("running") || state.contains("degraded") { Ok(()) } else { Err(state) }
        });
        machine
    }

    /// Types this as root of the machine.
    fn run(&self, command: &str) -> Output {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.outside.id())).unwrap();
        let mut enter = Command::new("nsenter");
        enter.args(["--target", children.trim(), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"]);
        enter.args(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "bash", "-ec", command]).output().unwrap()
    }

    fn ok(&self, command: &str) -> String {
        let output = self.run(command);
        assert!(output.status.success(), "{command}: {}\n{}", said(&output), said(&self.run("journalctl -u patchcored | tail -n 30")));
        said(&output)
    }

    fn wait_sql(&self, query: &str, value: &str) {
        wait_for(&format!("{query} = {value}"), || {
            let seen = said(&self.run(&format!("sqlite3 -readonly /var/lib/patchcored/history.db \"{query}\"")));
            if seen.trim() == value { Ok(()) } else { Err(format!("{seen}\n{}", said(&self.run("journalctl -u patchcored | tail -n 30")))) }
        });
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.outside.kill();
        let _ = self.outside.wait();
    }
}

#[test]
#[ignore = "boots systemd on a machine of its own: make try-systemd"]
fn a_real_systemd_runs_the_service() {
    let machine = Machine::boot();
    machine.ok("/opt/package/install.sh");
    // The binary under test was not linked for its place in the package.
    machine.ok("echo /usr/lib64/patchcored >/etc/ld.so.conf.d/patchcored.conf; ldconfig");
    machine.ok(&format!("cat >/etc/patchcored/config.yaml <<'END'\n{CONFIG}\nEND"));
    machine.ok("install -d -m 3770 -o patchcored -g patchcored-camera /srv/camera/line1/front
         install -d -m 2750 -o patchcored -g patchcored-read /srv/banks/prod1-front
         install -d -m 2770 -o patchcored -g patchcored-engineer /srv/banks/prod1-front/ok");
    // The sandbox is that of the unit: here everything is in order, and a folder that the unit does not open is found.
    let checked = machine.ok("patchcored check --as-service");
    assert!(checked.contains("OK, ready to start: 1 product, 0 warnings"), "{checked}");
    machine.ok("install -d -o patchcored /srv/elsewhere; echo '    outputs: { dir: /srv/elsewhere }' >>/etc/patchcored/config.yaml");
    let checked = said(&machine.run("patchcored check --as-service"));
    assert!(checked.contains("/srv/elsewhere: read-only filesystem") && checked.contains("`ReadWritePaths=`"), "{checked}");
    machine.ok(
        "sed -i '/elsewhere/d' /etc/patchcored/config.yaml; setpriv --reuid patchcored --regid patchcored --init-groups patchcored check",
    );

    // The parts come from outside, through the place of the package.
    let parts = machine.folder.path().join("content/parts");
    std::fs::create_dir(&parts).unwrap();
    for number in 0..6 {
        write_image(&parts.join(format!("ok{number}.png")), Part::ok(number));
    }
    write_image(&parts.join("bad.png"), Part::ng(101));
    machine.ok("useradd -G patchcored-camera,patchcored-read camera; install -o camera -m 640 -g patchcored-engineer /opt/package/parts/ok*.png /srv/banks/prod1-front/ok/");
    machine.ok("systemctl enable --now patchcored");
    machine.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "1");
    machine.ok("setpriv --reuid camera --regid camera --init-groups cp /opt/package/parts/bad.png /srv/camera/line1/front/");
    machine.wait_sql("SELECT decision FROM inspections", "ng");
    let status = machine.ok(
        "systemctl show -p ActiveState -p StatusText -p NRestarts patchcored; systemctl show -p Group -p SupplementaryGroups patchcored",
    );
    assert!(
        status.contains("ActiveState=active") && status.contains("NRestarts=0") && status.contains("Group=patchcored-read"),
        "{status}"
    );
    assert_eq!(
        machine.ok("stat -c '%A %U %G' /var/lib/patchcored /var/lib/patchcored/history.db /srv/camera/line1/front/bad.png.mask.png /srv/banks/prod1-front/current/tau.json"),
        "drwxr-s--- patchcored patchcored-read\n-rw-r----- patchcored patchcored-read\n-rw-r----- patchcored patchcored-camera\n-rw-r----- patchcored patchcored-read\n"
    );
    // A reader without any other right.
    machine.ok("setpriv --reuid camera --regid camera --init-groups patchcored history");

    // A daemon that stands still is ended by its watchdog and started again.
    machine.ok("mkdir -p /etc/systemd/system/patchcored.service.d; printf '[Service]\\nWatchdogSec=5\\nTimeoutAbortSec=2\\n' >/etc/systemd/system/patchcored.service.d/quick.conf");
    machine.ok("systemctl daemon-reload; systemctl restart patchcored");
    machine.ok("kill -STOP $(systemctl show -p MainPID --value patchcored)");
    wait_for("the watchdog", || {
        let seen = machine.ok("systemctl show -p NRestarts --value patchcored");
        if seen.trim() == "1" { Ok(()) } else { Err(seen) }
    });
    machine.ok("until systemctl is-active patchcored; do sleep 0.1; done; systemctl reload patchcored; systemctl stop patchcored");
    let ended = machine.ok("systemctl show -p Result -p ExecMainStatus patchcored");
    assert!(ended.contains("Result=success") && ended.contains("ExecMainStatus=0"), "{ended}");
    println!("{}", machine.ok("systemctl --version | head -n 1; journalctl -u patchcored | tail -n 40"));
}
