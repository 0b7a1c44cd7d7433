//! scripts/check-symbols: what starts on Rocky Linux 8, and what does not.

use super::{said, script};
use crate::helper::can;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of one C file, linked against this machine's own libraries.
fn compiled(folder: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let (file, program) = (folder.join(format!("{name}.c")), folder.join(name));
    std::fs::write(&file, source).unwrap();
    let output = Command::new("cc").arg("-o").arg(&program).arg(&file).args(flags).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    program
}

/// A library that offers `symbol` under this version, and a program that wants it.
fn program_that_wants(folder: &Path, version: &str, symbol: &str) -> PathBuf {
    let list = folder.join("versions");
    std::fs::write(&list, format!("{version} {{ global: {symbol}; }};")).unwrap();
    let library = folder.join("libnew.so");
    let flags = ["-shared", "-fPIC", &format!("-Wl,--version-script={}", list.display())];
    std::fs::rename(compiled(folder, "lib", &format!("int {symbol}(void) {{ return 0; }}"), &flags), &library).unwrap();
    // No start code, which would want the newest of this machine's own library.
    let source = format!("int {symbol}(void); void _start(void) {{ {symbol}(); }}");
    compiled(folder, "program", &source, &["-nostdlib", "-nostartfiles", library.to_str().unwrap()])
}

#[test]
fn a_program_that_wants_too_much_is_refused_with_the_symbols() {
    let folder = tempfile::tempdir().unwrap();
    let Some(()) = can("objdump", "objdump", &["--version"]) else { return };
    for (version, verdict) in [
        ("GLIBC_2.28", true),
        ("GLIBC_2.29", false),
        ("GLIBC_2.4", true),
        ("GLIBC_3.1", false),
        ("GLIBC_PRIVATE", false),
        ("GLIBCXX_3.4.25", true),
        ("GLIBCXX_3.4.26", false),
        ("GLIBCXX_3.4.9", true),
        ("CXXABI_1.3.11", true),
        ("CXXABI_1.3.12", false),
        ("CXXABI_FLOAT128", true),
        ("GCC_12.0.0", false),
        ("OWN_99.1", true),
    ] {
        let program = program_that_wants(folder.path(), version, "wanted_symbol");
        let output = script("check-symbols").arg(&program).output().unwrap();
        assert_eq!(output.status.success(), verdict, "{version}: {}", said(&output));
        if !verdict {
            let line = format!("{} wants {version}, Rocky Linux 8 has", program.display());
            let said = said(&output);
            assert!(said.lines().any(|l| l.starts_with(&line) && l.ends_with(": wanted_symbol")), "{said}");
        }
    }
}

#[test]
fn one_bad_file_among_good_ones_is_enough_and_what_is_no_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let Some(()) = can("objdump", "objdump", &["--version"]) else { return };
    let good = folder.path().join("good");
    std::fs::rename(program_that_wants(folder.path(), "GLIBC_2.17", "old"), &good).unwrap();
    let bad = program_that_wants(folder.path(), "GLIBC_2.34", "newer");
    assert!(script("check-symbols").arg(&good).status().unwrap().success());
    for files in [[&bad, &good], [&good, &bad]] {
        assert_eq!(script("check-symbols").args(files).output().unwrap().status.code(), Some(1));
    }
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let output = script("check-symbols").arg(&good).arg(text).output().unwrap();
    assert!(output.status.code() == Some(1) && said(&output).contains("Cargo.toml is no program"), "{}", said(&output));
}
