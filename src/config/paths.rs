//! Paths that people copy from other machines and programs: which ones cannot exist here, and what to write instead.

use std::path::{Component, Path, PathBuf};

/// The problem and the remedy of a path that cannot exist on this machine; `None` for all other paths.
pub(super) fn foreign(path: &str) -> Option<String> {
    let drive = |c: char| c.is_ascii_alphabetic();
    let has_drive = path.len() > 1 && path.starts_with(drive) && path[1..].starts_with(':');
    let share =
        "mount the share on this machine (see mount.cifs(8) and fstab(5)) and write the folder that it is mounted on, as /srv/camera/line1";
    if path.starts_with(r"\\") {
        Some(format!("`{path}` is the address of a Windows share and no path of this machine; {share}"))
    } else if has_drive {
        Some(format!("`{path}` is a path of a Windows machine; {share}"))
    } else if let Some(rest) = path.strip_prefix("file://") {
        Some(format!("`{path}` is an address and no path; write `{}`", if rest.starts_with('/') { rest } else { "/…, the path alone" }))
    } else if let Some((scheme, _)) = path.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        Some(format!("`{path}` is an address ({scheme}) and no path of this machine; {share}"))
    } else if path.starts_with('~') {
        Some(format!("`{path}`: `~` is not expanded; write the whole path, as /home/…"))
    } else if path.starts_with('$') || path.contains("${") {
        Some(format!("`{path}`: variables of a shell are not expanded; write the whole path"))
    } else if path.strip_prefix('%').is_some_and(|rest| rest.contains('%')) {
        Some(format!("`{path}`: variables of Windows are not expanded; write the whole path"))
    } else if path.contains('\\') && !path.contains('/') {
        Some(format!("`{path}` has the separators of Windows; write the path with `/`, as /srv/camera/line1"))
    } else {
        None
    }
}

/// The path with `.` and `..` resolved by name.
pub(super) fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_of_this_machine_is_told_with_what_to_do() {
        for (path, part) in [
            (r"\\server\share", "mount the share"),
            (r"\\10.0.0.7\cam$\line 1", "mount the share"),
            (r"C:\camera", "Windows machine"),
            ("c:/camera", "Windows machine"),
            ("D:", "Windows machine"),
            ("smb://server/share", "(smb)"),
            ("nfs://server/share", "(nfs)"),
            ("s3://bucket/x", "(s3)"),
            ("http://server/x.png", "(http)"),
            ("file:///srv/camera", "write `/srv/camera`"),
            ("file://server/x", "the path alone"),
            ("~/camera", "`~` is not expanded"),
            ("~line/camera", "`~` is not expanded"),
            ("$HOME/camera", "shell"),
            ("/srv/${LINE}/camera", "shell"),
            (r"%TEMP%\x", "Windows"),
            (r"camera\line1", "separators"),
        ] {
            let fault = foreign(path).unwrap_or_default();
            assert!(fault.contains(part) && fault.contains(path), "{path}: {fault}");
        }
        for path in [
            "/srv/camera",
            "camera/line1",
            "../x",
            "/srv/a:b",
            "a:b/c",
            "/srv/$RECYCLE",
            "/srv/100%/50%",
            r"/srv/odd\name",
            "/srv/x://y",
            "",
        ] {
            // A drive has one letter, so `a:b/c` counts as a drive: nobody names a folder like that.
            assert_eq!(foreign(path).is_some(), path == "a:b/c", "{path}");
        }
    }

    #[test]
    fn dots_are_resolved_by_name() {
        assert_eq!(without_dots(Path::new("/a/./b/../c")), Path::new("/a/c"));
        assert_eq!(without_dots(Path::new("/../a")), Path::new("/a"));
    }
}
