//! Completions and manual pages come from the program and name every command.

use super::said;
use crate::helper::{arg, can, run_fails, run_ok};
use std::path::Path;
use std::process::Command;

/// Commands as `--help` lists them.
fn commands() -> Vec<String> {
    let help = run_ok(&["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let lines = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<_> = lines.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect();
    assert!(names.len() >= 9 && names.contains(&"run".to_owned()), "{names:?} in {help}");
    assert!(!names.contains(&"generate".to_owned()), "only for packaging: {help}");
    names
}

fn generated() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    run_ok(&["generate", "--dir", arg(&folder.path().join("new"))]);
    folder
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn every_command_has_a_page_and_is_completed() {
    let folder = generated();
    let at = |name: &str| folder.path().join("new").join(name);
    let overview = read(&at("patchcored.1"));
    for name in commands() {
        // In roff a hyphen of the name is written `\-`.
        assert!(overview.contains(&format!("patchcored\\-{name}(1)")), "{name} is not in {overview}");
        let page = read(&at(&format!("patchcored-{name}.1")));
        let help = run_ok(&[&name, "--help"]);
        let options: Vec<_> = help.split_whitespace().filter(|word| word.starts_with("--")).map(|word| word.trim_matches(',')).collect();
        assert!(options.contains(&"--help"));
        for option in options.iter().filter(|option| option.chars().skip(2).all(|c| c.is_ascii_lowercase() || c == '-')) {
            assert!(page.contains(&option.replace('-', "\\-")), "patchcored-{name}.1 lacks {option}: {page}");
        }
        for shell in ["patchcored.bash", "_patchcored", "patchcored.fish"] {
            assert!(read(&at(shell)).contains(&name), "{shell} lacks {name}");
        }
    }
    assert!(!at("patchcored-generate.1").exists());
}

#[test]
fn shells_and_page_readers_accept_what_is_generated() {
    let folder = generated();
    let at = |name: &str| folder.path().join("new").join(name);
    for (program, arguments, file) in [
        ("bash", &["-n"][..], "patchcored.bash"),
        ("zsh", &["-n"], "_patchcored"),
        ("fish", &["-n"], "patchcored.fish"),
        ("man", &["--warnings", "--encoding=UTF-8", "--local-file"], "patchcored.1"),
        ("mandoc", &["-Tlint", "-Wwarning"], "patchcored-run.1"),
    ] {
        if can(program, "sh", &["-c", &format!("command -v {program}")]).is_none() {
            continue;
        }
        let output = Command::new(program).args(arguments).arg(at(file)).env("MANWIDTH", "100").output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{program} {file}: {}", said(&output));
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let folder = generated();
    let asked = format!(
        "source {}; COMP_WORDS=(patchcored \"$@\"); COMP_CWORD=$#; _patchcored patchcored \"${{@: -1}}\" \"\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        arg(&folder.path().join("new/patchcored.bash"))
    );
    let complete = |words: &[&str]| {
        let output = Command::new("bash").args(["-c", &asked, "bash"]).args(words).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete(&["hist"]), ["history"]);
    assert!(complete(&["history", "--pro"]).contains(&"--product".to_owned()));
}

#[test]
fn a_folder_that_cannot_be_written_is_said() {
    let stderr = run_fails(1, &["generate", "--dir", "/proc/nowhere"]);
    assert!(stderr.contains("cannot write completions and manual pages to /proc/nowhere"), "{stderr}");
}
