//! Commands for `on_ng`, as a line engineer writes them.

use super::{Line, arg};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// An executable shell script in the line's folder, with `$OUT` set to the folder `out` there.
pub fn script(line: &Line, name: &str, text: &str) -> PathBuf {
    let (path, out) = (line.path(name), line.path("out"));
    std::fs::create_dir_all(&out).unwrap();
    std::fs::write(&path, format!("#!/bin/sh\nOUT='{}'\n{text}\n", arg(&out))).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}
