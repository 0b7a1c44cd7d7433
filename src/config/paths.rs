//! Paths as people bring them from other machines and programs: what is none of this machine, and what to write instead.

/// What is wrong with a path that can be none of this machine, and what to do; `None` for all others.
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

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::foreign;

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
            // A drive has one letter, and `a:b/c` is taken for one: nobody names a folder like that.
            assert_eq!(foreign(path).is_some(), path == "a:b/c", "{path}");
        }
    }

    #[test]
    fn every_key_that_takes_a_path_says_so() {
        let foreign = r"'\\nas\line1'";
        let text = format!(
            "database: {foreign}\nengine: {{weights: {{resnet50: {foreign}}}}}\nmetrics: {{socket: {foreign}}}\n\
             mqtt: {{broker: 'mqtts://b', username: u, ca: {foreign}, password_file: {foreign}}}\nproducts:\n- name: a\n  drop: [{{path: {foreign}}}]\n  \
             ok: {foreign}\n  bank: {foreign}\n  reference: {foreign}\n  outputs: {{dir: {foreign}}}\n  on_ng: {{command: [{foreign}]}}\n"
        );
        let problems = Config::parse(&text).unwrap_err().0;
        let mut keys: Vec<&str> =
            problems.iter().filter(|problem| problem.message.contains("mount the share")).map(|p| p.key.as_str()).collect();
        keys.sort_unstable();
        let product = ["bank", "drop[0].path", "ok", "on_ng.command", "outputs.dir", "reference"].map(|key| format!("products[0].{key}"));
        let line = ["database", "engine.weights.resnet50", "metrics.socket", "mqtt.ca", "mqtt.password_file"].map(str::to_owned);
        assert_eq!(keys, [&line[..], &product].concat(), "{problems:?}");
        assert!(!problems.iter().any(|problem| problem.message.contains("mkdir")), "{problems:?}");
    }
}
