//! What a machine may lack. A test that needs it says so and does nothing, or fails where everything must be there.

use std::io::Write;
use std::process::{Command, Stdio};

/// Set to 1, nothing may be lacking.
const REQUIRE_ALL: &str = "REQUIRE_ALL";

/// Says what a test lacks here, and so does not show; with `REQUIRE_ALL=1` the test fails for it.
pub fn skip(what: &str) {
    assert!(
        std::env::var_os(REQUIRE_ALL).is_none_or(|value| value != "1"),
        "needs {what}, and {REQUIRE_ALL}=1 allows no test to be skipped"
    );
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not by `println!`, of which nobody hears when the test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test} needs {what}");
}

/// The same, for what a test would have got.
pub fn skipped<T>(what: &str) -> Option<T> {
    skip(what);
    None
}

/// Runs the command; when it fails, says that `what` is missing, for which the test does nothing.
pub fn can(what: &str, program: &str, arguments: &[&str]) -> Option<()> {
    if works(program, arguments) { Some(()) } else { skipped(what) }
}

/// Whether the command can be run, and succeeds.
pub fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[test]
#[ignore = "for the test below, which runs it"]
fn a_test_that_lacks_something() {
    skip("a program that no machine has");
}

#[test]
fn a_skip_is_told_and_fails_where_everything_must_be_there() {
    let run = |required: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--test-threads=2", "helper::skip::a_test_that_lacks_something"]).env(REQUIRE_ALL, required);
        let output = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    };
    let (passed, said) = run("");
    let expected = "SKIPPED: helper::skip::a_test_that_lacks_something needs a program that no machine has";
    assert!(passed && said.contains(expected), "{said}");
    let (passed, said) = run("1");
    assert!(!passed && said.contains("1 failed") && said.contains("needs a program that no machine has"), "{said}");
}
