//! Who else than the service may change what it goes by. A camera account belongs into drop folders only: whoever can write the history, a
//! bank or its thresholds decides which parts are good. docs/rights.md has the groups and the whole table.

use super::machine::{CheckFinding, FindingLevel};
use crate::banks::BANK_FILES;
use crate::config::{Config, ProductConfig};
use crate::platform::files::shell_word;
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a group or all others may do, as bits of a file's mode.
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const GROUP_READS: u32 = 0o040;
const STICKY: u32 = 0o1000;

/// What is open to more people than it should be, each with the command that closes it. All are warnings: the line works.
pub fn problems(config_file: &Path, config: &Config) -> Vec<CheckFinding> {
    let mut findings = Vec::new();
    // The folder of a missing file is looked at all the same: who may write there can make the file.
    let of_service = |key: &str, paths: &[PathBuf], findings: &mut Vec<CheckFinding>| {
        // In a folder like /tmp nobody can replace the files of others.
        let replaceable = |path: &&PathBuf| !fs::metadata(path).is_ok_and(|meta| meta.is_dir() && meta.mode() & STICKY != 0);
        findings.extend(paths.iter().filter(replaceable).find_map(|path| writable(key, path, GROUP_WRITES | OTHERS_WRITE)));
    };
    let with_folder = |file: &Path| [file.to_owned(), file.parent().unwrap_or(Path::new("/")).to_owned()];
    of_service("config", &with_folder(config_file), &mut findings);
    of_service("database", &with_folder(&config.database), &mut findings);
    let cameras = camera_groups(config);
    for (i, product) in config.products.iter().enumerate() {
        let of_bank: Vec<PathBuf> =
            [product.bank.clone()].into_iter().chain(BANK_FILES.iter().map(|name| product.bank.join("current").join(name))).collect();
        of_service(&format!("products[{i}].bank"), &of_bank, &mut findings);
        findings.extend(writable(&format!("products[{i}].ok"), &product.ok, OTHERS_WRITE));
        findings.extend(shared_with_cameras(&format!("products[{i}].ok"), &product.ok, GROUP_WRITES, &cameras));
        for (j, drop) in product.drop.iter().enumerate() {
            findings.extend(writable(&format!("products[{i}].drop[{j}].path"), &drop.path, OTHERS_WRITE));
        }
    }
    if let Some(file) = config.mqtt.as_ref().and_then(|mqtt| mqtt.password_file.as_deref()) {
        findings.extend(shared_with_cameras("mqtt.password_file", file, GROUP_READS, &cameras));
    }
    findings
}

/// The groups that may write into drop folders, each with one of these folders.
fn camera_groups(config: &Config) -> BTreeMap<u32, PathBuf> {
    let folders = config.products.iter().flat_map(|ProductConfig { drop, .. }| drop.iter().map(|drop| &drop.path));
    let open =
        folders.filter_map(|path| fs::metadata(path).ok().filter(|meta| meta.mode() & GROUP_WRITES != 0).map(|meta| (meta.gid(), path)));
    open.map(|(group, path)| (group, path.clone())).collect()
}

fn writable(key: &str, path: &Path, bits: u32) -> Option<CheckFinding> {
    let meta = fs::metadata(path).ok()?;
    let open = meta.mode() & bits;
    let (who, change) = match (open & OTHERS_WRITE != 0, open & GROUP_WRITES != 0) {
        (false, false) => return None,
        (true, false) => ("everybody on this machine", "o-w"),
        (false, true) => ("every member of its group", "g-w"),
        (true, true) => ("everybody on this machine", "go-w"),
    };
    let message = format!("{who} may write {}; take that away with `chmod {change} {}`", shown(path, &meta), shell_word(path));
    Some(warning(key, message))
}

/// What the group of a file may do with it, when cameras are in that group.
fn shared_with_cameras(key: &str, path: &Path, bits: u32, cameras: &BTreeMap<u32, PathBuf>) -> Option<CheckFinding> {
    let meta = fs::metadata(path).ok()?;
    let drop = cameras.get(&meta.gid()).filter(|_| meta.mode() & bits != 0)?;
    let may = if bits == GROUP_READS { "read" } else { "write" };
    let message = format!(
        "the group that writes images into {} may {may} {}; give it another group with `chgrp`, see docs/rights.md",
        drop.display(),
        shown(path, &meta)
    );
    Some(warning(key, message))
}

fn shown(path: &Path, meta: &Metadata) -> String {
    format!("{} {}", if meta.is_dir() { "the folder" } else { "the file" }, path.display())
}

fn warning(key: &str, message: String) -> CheckFinding {
    CheckFinding { level: FindingLevel::Warning, key: key.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Line {
        folder: tempfile::TempDir,
    }

    impl Line {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            for name in ["drop", "ok", "bank/versions/000001", "db"] {
                fs::create_dir_all(folder.path().join(name)).unwrap();
            }
            std::os::unix::fs::symlink("versions/000001", folder.path().join("bank/current")).unwrap();
            let line = Self { folder };
            for name in ["line.yaml", "db/h.db", "bank/current/tau.json", "password"] {
                fs::write(line.path(name), "").unwrap();
            }
            let mqtt = "mqtt: {broker: \"mqtt://localhost\", username: u, password_file: password}\n";
            let product = "products: [{name: a, drop: [{path: drop}], ok: ok, bank: bank}]\n";
            fs::write(line.path("line.yaml"), format!("database: db/h.db\n{mqtt}{product}")).unwrap();
            for (name, mode) in [("", 0o755), ("drop", 0o770), ("ok", 0o750), ("bank", 0o755), ("db", 0o750), ("bank/current", 0o755)] {
                line.chmod(name, mode);
            }
            for (name, mode) in [("line.yaml", 0o640), ("db/h.db", 0o640), ("bank/current/tau.json", 0o640), ("password", 0o400)] {
                line.chmod(name, mode);
            }
            line
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn chmod(&self, name: &str, mode: u32) {
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        }

        fn found(&self) -> Vec<(String, String)> {
            let file = self.path("line.yaml");
            problems(&file, &Config::load(&file).unwrap()).into_iter().map(|finding| (finding.key, finding.message)).collect()
        }
    }

    #[test]
    fn what_only_the_service_may_change_is_no_finding() {
        assert_eq!(Line::new().found(), []);
    }

    #[test]
    fn each_open_file_is_named_with_the_command_that_closes_it() {
        for (name, mode, key, who, change) in [
            ("line.yaml", 0o660, "config", "every member of its group", "g-w"),
            ("db", 0o770, "database", "every member of its group", "g-w"),
            ("db/h.db", 0o666, "database", "everybody on this machine", "go-w"),
            ("bank", 0o775, "products[0].bank", "every member of its group", "g-w"),
            ("bank/current/tau.json", 0o662, "products[0].bank", "everybody on this machine", "go-w"),
            ("ok", 0o752, "products[0].ok", "everybody on this machine", "o-w"),
            ("ok", 0o1757, "products[0].ok", "everybody on this machine", "o-w"),
            ("drop", 0o1777, "products[0].drop[0].path", "everybody on this machine", "o-w"),
        ] {
            let line = Line::new();
            line.chmod(name, mode);
            let found = line.found();
            assert_eq!((found.len(), found[0].0.as_str()), (1, key), "{name}: {found:?}");
            let shown = if key == "products[0].bank" && name != "bank" { "tau.json" } else { name };
            assert!(
                found[0].1.starts_with(who) && found[0].1.contains(&format!("`chmod {change} ")) && found[0].1.contains(shown),
                "{found:?}"
            );
        }
        let line = Line::new();
        line.chmod("db", 0o1777);
        assert_eq!(line.found(), [], "files in a folder like /tmp belong to their owners");
    }

    #[test]
    fn ok_images_and_password_are_not_for_the_group_of_the_cameras() {
        let line = Line::new();
        line.chmod("ok", 0o770);
        line.chmod("password", 0o440);
        let found = line.found();
        assert_eq!(found.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["products[0].ok", "mqtt.password_file"]);
        assert!(found[0].1.contains("/drop may write the folder") && found[1].1.contains("/drop may read the file"), "{found:?}");
        // Without write permission to the drop folder the group has no cameras.
        line.chmod("drop", 0o750);
        assert_eq!(line.found(), []);
    }
}
