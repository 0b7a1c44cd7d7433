//! What on this machine would hinder the line: folders, permissions, free space, inotify limits.

use crate::banks::try_links;
use crate::config::{Config, ProductConfig};
use crate::domain::TEMPORARY_PREFIX;
use crate::platform::disk_space::{DiskSpace, disk_space};
use crate::platform::files;
use crate::routing::rules::{enters, routing_problems};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Below this much free space a warning is given: the line would stop within hours.
const LITTLE_SPACE: u64 = 1 << 30;

/// Events that one image and its outputs cause in their folder, at most, before the daemon has read any of them.
const EVENTS_PER_FOLDER: u64 = 16;

/// inotify instances to have in hand: the daemon's own and those of other programs of the same user.
const INSTANCES: u64 = 16;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingLevel {
    /// The line cannot work like this.
    Error,
    /// It works, but slower, or not for long.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFinding {
    /// How bad it is.
    pub level: FindingLevel,
    /// The key of the configuration it belongs to, as `products[0].ok`, or the kernel setting.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Everything on this machine that would hinder the line with this configuration: rules that overlap, folders, permissions, free
/// space, inotify limits. All at once, errors first. Folders are tried with the permissions of the calling user, so this is best
/// called as the user of the service; a folder is tried by making a file in it that is removed at once and that no watcher heeds.
pub fn problems(config: &Config) -> Vec<CheckFinding> {
    let mut findings = Findings::default();
    findings.0.extend(routing_problems(config).into_iter().map(|(key, message)| CheckFinding { level: FindingLevel::Error, key, message }));
    check_database(&config.database, &mut findings);
    let mut written: Vec<(String, PathBuf)> = vec![("database".into(), config.database.clone())];
    let mut watched = 0;
    for (i, product) in config.products.iter().enumerate() {
        watched += check_product(product, &format!("products[{i}]"), &mut findings, &mut written);
    }
    check_links(config, &mut findings);
    check_space(&written, &mut findings);
    check_sync(&written, &mut findings);
    check_limits(watched, kernel_limit, &mut findings);
    findings.0.sort_by_key(|f| f.level);
    findings.0
}

#[derive(Default)]
struct Findings(Vec<CheckFinding>);

impl Findings {
    fn error(&mut self, key: &str, message: String) {
        self.0.push(CheckFinding { level: FindingLevel::Error, key: key.to_owned(), message });
    }

    fn warning(&mut self, key: &str, message: String) {
        self.0.push(CheckFinding { level: FindingLevel::Warning, key: key.to_owned(), message });
    }
}

fn check_database(path: &Path, findings: &mut Findings) {
    let shown = path.display();
    if path.is_dir() {
        return findings.error("database", format!("{shown} is a folder; name a file in it, as {shown}/history.db"));
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    check_writable("database", folder, findings);
    if path.is_file()
        && let Err(e) = fs::OpenOptions::new().append(true).open(path)
    {
        findings.error("database", format!("cannot write {shown}: {e}; give the file to the service's user with chown"));
    }
}

/// Returns how many folders of this product are watched; adds the folders that are written to `written`.
fn check_product(product: &ProductConfig, key: &str, findings: &mut Findings, written: &mut Vec<(String, PathBuf)>) -> u64 {
    let outputs = &product.outputs;
    let any_output = outputs.mask || outputs.overlay.is_some() || outputs.heat || outputs.side_by_side || outputs.scores;
    let mut watched = 0;
    for (j, drop) in product.drop.iter().enumerate() {
        let key = format!("{key}.drop[{j}].path");
        if !check_readable(&key, &drop.path, findings) {
            continue;
        }
        if any_output && outputs.dir.is_none() {
            check_writable(&key, &drop.path, findings);
            written.push((key.clone(), drop.path.clone()));
        }
        watched += 1 + if drop.recursive { count_folders(&key, &drop.path, &enters(drop), findings) } else { 0 };
    }
    let ok_key = format!("{key}.ok");
    watched += u64::from(check_readable(&ok_key, &product.ok, findings));
    let bank_key = format!("{key}.bank");
    check_bank_folder(&bank_key, &product.bank, findings);
    written.push((bank_key, product.bank.clone()));
    if let Some(dir) = &outputs.dir {
        let key = format!("{key}.outputs.dir");
        let _ = check_creatable(&key, dir, findings);
        written.push((key, dir.clone()));
    }
    if let Some(reference) = &product.reference {
        check_reference(&format!("{key}.reference"), reference, findings);
    }
    watched
}

fn check_reference(key: &str, path: &Path, findings: &mut Findings) {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => findings.error(key, format!("{} is no file; name the golden image", path.display())),
        // Opened only when it is a file: opening a pipe would wait for ever.
        found => {
            if let Err(e) = found.and_then(|_| fs::File::open(path)) {
                findings.error(key, format!("cannot read {}: {e}; copy the golden image there, or correct the path", path.display()));
            }
        }
    }
}

/// True when the folder can be listed.
fn check_readable(key: &str, folder: &Path, findings: &mut Findings) -> bool {
    let shown = folder.display();
    match fs::read_dir(folder) {
        Ok(_) => return true,
        Err(e) if e.kind() == io::ErrorKind::NotFound => findings.error(
            key,
            format!(
                "the folder {shown} does not exist; make it with `mkdir -p {}`, mount what should be there, or correct the path",
                files::shell_word(folder)
            ),
        ),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            findings.error(key, format!("{shown} is no folder; name the folder that holds the images"))
        }
        Err(e) => {
            findings.error(key, format!("cannot list the folder {shown}: {e}; give the service's user read and execute rights to it"))
        }
    }
    false
}

fn check_writable(key: &str, folder: &Path, findings: &mut Findings) {
    if let Err(e) = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(folder) {
        let shown = folder.display();
        let remedy = match e.kind() {
            io::ErrorKind::NotFound => {
                format!("make the folder with `mkdir -p {}`, or correct the path", files::shell_word(folder))
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                "mount it writable; if only the service may not write there, name the folder in `ReadWritePaths=` of its unit (docs/systemd.md)".into()
            }
            _ if key.ends_with(".path") => "give the service's user write rights to it, or set `outputs.dir` to a folder elsewhere".into(),
            _ => "give the service's user write rights to it".into(),
        };
        findings.error(key, format!("cannot write to the folder {shown}: {}; {remedy}", plain(&e)));
    }
}

/// For folders that are made when missing: the nearest one that exists must be writable. Returns it, if it is a folder.
fn check_creatable<'a>(key: &str, folder: &'a Path, findings: &mut Findings) -> Option<&'a Path> {
    let exists = |f: &&Path| fs::symlink_metadata(f).is_ok();
    let nearest = folder.ancestors().find(exists).unwrap_or(Path::new("/"));
    if nearest.is_dir() {
        check_writable(key, nearest, findings);
        return Some(nearest);
    }
    findings.error(key, format!("{} is in the way and no folder; remove it, or correct the path", nearest.display()));
    None
}

/// A bank folder also needs symbolic links, and names in it must survive a power cut.
fn check_bank_folder(key: &str, folder: &Path, findings: &mut Findings) {
    let before = findings.0.len();
    let Some(nearest) = check_creatable(key, folder, findings).filter(|_| findings.0.len() == before) else { return };
    check_bank_links(key, nearest, try_links(nearest), findings);
    if let Err(e) = files::can_sync_folder(nearest) {
        let shown = nearest.display();
        findings.error(key, format!("cannot sync the folder {shown}: {e}; check the disk or the share, or put the bank folder elsewhere"));
    }
}

fn check_bank_links(key: &str, folder: &Path, tried: io::Result<()>, findings: &mut Findings) {
    let Err(e) = tried else { return };
    let (shown, e) = (folder.display(), plain(&e));
    let remedy = "put the bank folder on a local disk, or mount the share with symbolic links (SMB: mount option `mfsymlinks`); \
                  `patchcored explain no_symbolic_links` says more";
    findings.error(key, format!("cannot make symbolic links in the folder {shown}: {e}; {remedy}"));
}

/// tempfile adds the random path it tried, which helps nobody here.
fn plain(error: &io::Error) -> String {
    error.raw_os_error().map(io::Error::from_raw_os_error).map_or_else(|| error.kind().to_string(), |e| e.to_string())
}

/// Folders below `root` that are watched; those that are left out need not be readable, and often are not.
fn count_folders(key: &str, root: &Path, enters: &impl Fn(&Path) -> bool, findings: &mut Findings) -> u64 {
    let mut count = 0;
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) => {
                findings.error(
                    key,
                    format!("cannot list the sub-folder {}: {e}; give the service's user read and execute rights to it", folder.display()),
                );
                continue;
            }
        };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) && enters(&entry.path()) {
                count += 1;
                open.push(entry.path());
            }
        }
    }
    count
}

/// Looks at the folders again as they are behind symbolic links, which the comparison by name in the configuration cannot see.
fn check_links(config: &Config, findings: &mut Findings) {
    let mut real = config.clone();
    for product in &mut real.products {
        let drops = product.drop.iter_mut().map(|d| &mut d.path);
        for path in drops.chain([&mut product.ok, &mut product.bank]).chain(&mut product.outputs.dir) {
            if let Ok(behind) = fs::canonicalize(&path) {
                *path = behind;
            }
        }
    }
    if real == *config {
        return;
    }
    let known: Vec<(String, String)> = findings.0.iter().map(|f| (f.key.clone(), f.message.clone())).collect();
    let place_problems = real.place_problems().into_iter().map(|p| (p.key, p.message));
    for (key, message) in routing_problems(&real).into_iter().chain(place_problems) {
        if !known.iter().any(|(k, _)| *k == key) {
            findings.error(&key, format!("behind symbolic links: {message}"));
        }
    }
}

fn check_space(written: &[(String, PathBuf)], findings: &mut Findings) {
    // One warning per file system, under the first key that writes to it.
    let mut seen = BTreeSet::new();
    for (key, path) in written {
        let Some((folder, device)) = path.ancestors().find_map(|p| fs::metadata(p).ok().map(|m| (p, m.dev()))) else { continue };
        let Ok(DiskSpace { free, .. }) = disk_space(folder) else { continue };
        if free < LITTLE_SPACE && seen.insert(device) {
            let message = format!("{} has only {} MiB free; make room, at least 1 GiB", folder.display(), free >> 20);
            findings.warning(key, message);
        }
    }
}

fn check_sync(written: &[(String, PathBuf)], findings: &mut Findings) {
    // One warning per file system, as above.
    let mut seen = BTreeSet::new();
    for (key, path) in written {
        let Some((folder, device)) = path.ancestors().find_map(|p| fs::metadata(p).ok().filter(|m| m.is_dir()).map(|m| (p, m.dev())))
        else {
            continue;
        };
        if seen.insert(device) && matches!(files::can_sync_folder(folder), Ok(false)) {
            let message = format!(
                "the file system of {} cannot sync folders; the line works, but after a power cut names written in the last seconds may be missing",
                folder.display()
            );
            findings.warning(key, message);
        }
    }
}

fn kernel_limit(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys/fs/inotify").join(name)).ok()?.trim().parse().ok()
}

/// inotify only makes the daemon quick; without it files wait for the next scan, so these are warnings.
fn check_limits(watched: u64, limit: impl Fn(&str) -> Option<u64>, findings: &mut Findings) {
    let needs = [
        ("max_user_watches", watched.saturating_mul(2), format!("{watched} folders are to be watched")),
        ("max_user_instances", INSTANCES, "other programs of the same user need some too".to_owned()),
        ("max_queued_events", watched.saturating_mul(EVENTS_PER_FOLDER), format!("{watched} folders may report at once")),
    ];
    for (name, need, why) in needs {
        let Some(have) = limit(name) else { continue };
        if have < need {
            let setting = format!("fs.inotify.{name}");
            let message = format!(
                "is {have}, but {why}; files would wait for the next scan. Raise it with `sysctl -w {setting}={need}`, and for good with the line `{setting} = {need}` in /etc/sysctl.d/90-patchcored.conf"
            );
            findings.warning(&setting, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Line {
        folder: tempfile::TempDir,
        config: Config,
    }

    /// One product with all its folders there, under a root that is no symbolic link.
    fn line() -> Line {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["drop/sub", "ok"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let file = root.join("line.yaml");
        fs::write(&file, "database: h.db\nproducts: [{name: a, drop: [{path: drop}], ok: ok, bank: banks/a}]\n").unwrap();
        Line { config: Config::load(&file).unwrap(), folder }
    }

    /// Errors only: how much space is free and what the kernel's limits are is the machine's affair.
    fn errors(config: &Config) -> Vec<(String, String)> {
        problems(config).into_iter().filter(|f| f.level == FindingLevel::Error).map(|f| (f.key, f.message)).collect()
    }

    #[test]
    fn a_line_that_is_ready_has_no_errors_and_is_left_as_it_was() {
        let line = line();
        assert_eq!(errors(&line.config), []);
        assert_eq!(fs::read_dir(line.folder.path().join("drop")).unwrap().count(), 1, "the trial files are gone");
        assert!(!line.folder.path().join("banks").exists(), "nothing is made");
    }

    #[test]
    fn everything_that_is_missing_is_listed_at_once() {
        let mut line = line();
        let root = line.folder.path();
        fs::remove_dir_all(root.join("drop")).unwrap();
        fs::write(root.join("drop"), "").unwrap();
        fs::remove_dir(root.join("ok")).unwrap();
        fs::write(root.join("banks"), "").unwrap();
        fs::create_dir(root.join("h.db")).unwrap();
        let product = &mut line.config.products[0];
        product.reference = Some(root.join("golden.jpg"));
        product.outputs.dir = Some(root.join("banks/out"));
        let found = errors(&line.config);
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        let expected = [
            "database",
            "products[0].drop[0].path",
            "products[0].ok",
            "products[0].bank",
            "products[0].outputs.dir",
            "products[0].reference",
        ];
        assert_eq!(keys, expected);
        assert!(found[1].1.contains("is no folder") && found[2].1.contains("mkdir -p") && found[3].1.contains("in the way"), "{found:?}");
    }

    #[test]
    fn folders_that_are_the_same_behind_links_are_found() {
        let mut line = line();
        let root = line.folder.path().canonicalize().unwrap();
        std::os::unix::fs::symlink(root.join("drop/sub"), root.join("good")).unwrap();
        line.config.products[0].ok = root.join("good");
        let found = errors(&line.config);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0 == "products[0].ok" && found[0].1.starts_with("behind symbolic links"), "{found:?}");
    }

    #[test]
    fn a_bank_folder_without_symbolic_links_is_found() {
        let mut findings = Findings::default();
        check_bank_links("products[0].bank", Path::new("/srv/banks"), Ok(()), &mut findings);
        assert_eq!(findings.0, []);
        let unsupported = io::Error::from_raw_os_error(rustix::io::Errno::OPNOTSUPP.raw_os_error());
        check_bank_links("products[0].bank", Path::new("/srv/banks"), Err(unsupported), &mut findings);
        let CheckFinding { level, key, message } = &findings.0[0];
        assert_eq!((*level, key.as_str()), (FindingLevel::Error, "products[0].bank"));
        for part in ["symbolic links in the folder /srv/banks", "not supported", "local disk", "mfsymlinks", "no_symbolic_links"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn sub_folders_count_as_watched_but_hidden_ones_and_links_do_not() {
        let line = line();
        let drop = line.folder.path().join("drop");
        fs::create_dir_all(drop.join("sub/deeper")).unwrap();
        for left_out in [".hidden/deeper", "lost+found/deeper", "sub/archive/deeper"] {
            fs::create_dir_all(drop.join(left_out)).unwrap();
        }
        std::os::unix::fs::symlink(&drop, drop.join("loop")).unwrap();
        let mut config = line.config.products[0].drop[0].clone();
        (config.path, config.exclude) = (drop.clone(), vec!["archive".to_owned()]);
        assert_eq!(count_folders("k", &drop, &enters(&config), &mut Findings::default()), 2);
    }

    #[test]
    fn low_kernel_limits_are_warned_about_with_the_command() {
        let found = |watched| {
            let mut findings = Findings::default();
            let limit = |name: &str| (name != "max_user_instances").then_some(100);
            check_limits(watched, limit, &mut findings);
            findings.0
        };
        assert_eq!(found(6), []);
        let warnings = found(51);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert_eq!((warnings[0].level, warnings[0].key.as_str()), (FindingLevel::Warning, "fs.inotify.max_user_watches"));
        assert!(warnings[0].message.contains("`sysctl -w fs.inotify.max_user_watches=102`"), "{warnings:?}");
    }
}
