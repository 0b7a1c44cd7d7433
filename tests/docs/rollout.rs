//! The example of docs/rollout/: Ansible can read it, and each PC gets a configuration that patchcored accepts.

use super::page::repository;
use crate::helper::{arg, can};
use patchcored::config::Config;
use std::process::Command;

#[test]
fn the_playbook_is_valid_and_each_pc_gets_a_configuration() {
    let Some(()) = can("ansible-core", "ansible-playbook", &["--version"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = |program: &str, words: &[&str]| {
        let mut command = Command::new(program);
        command.args(["-i", "inventory.yml"]).args(words).current_dir(repository().join("docs/rollout"));
        // Ansible leaves files in the home folder.
        let output = command.env("HOME", folder.path()).env_remove("LD_LIBRARY_PATH").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {words:?}: {said}");
        said.into_owned()
    };
    run("ansible-playbook", &["--syntax-check", "playbook.yml"]);

    let destination = format!("src=config.yaml.j2 dest={}/{{{{ inventory_hostname }}}}.yaml", arg(folder.path()));
    run("ansible", &["line_pcs", "--connection", "local", "-m", "ansible.builtin.template", "-a", &destination]);
    let hosts = run("ansible", &["line_pcs", "--list-hosts"]);
    let names: Vec<&str> = hosts.lines().skip(1).map(str::trim).collect();
    assert!(names.len() >= 3, "{hosts}");
    for name in names {
        let config = Config::load(&folder.path().join(format!("{name}.yaml"))).unwrap();
        assert!(!config.products.is_empty(), "{name}");
    }
}
