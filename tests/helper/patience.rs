//! How long the tests wait. Every wait for something to happen ends here, and is longer by the factor `TEST_PATIENCE`: a machine that is ten
//! times slower passes with `TEST_PATIENCE=10`. What is part of a test itself (the pace of a camera, a time of the configuration that has to
//! pass) is no such wait: it stays as it is, as a constant whose name says what it stands for.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Far longer than anything takes on a busy 2-core machine.
const LONG: Duration = Duration::from_secs(300);

/// Between two looks, at first and at most. Each look at a database costs time that the daemons of other tests need.
const ROUNDS: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(120));
/// What is waited for this many times as long may be looked at so much less often.
const AS_LONG: u32 = 20;

/// A limit, as long as this machine needs it.
pub fn scaled(limit: Duration) -> Duration {
    static FACTOR: OnceLock<f64> = OnceLock::new();
    limit.mul_f64(*FACTOR.get_or_init(|| factor(&std::env::var("TEST_PATIENCE").unwrap_or_default())))
}

/// The same, as the configuration has it.
pub fn scaled_seconds(limit: u64) -> String {
    format!("{}s", scaled(Duration::from_secs(limit)).as_secs().max(1))
}

/// A test that waits as long as this has failed.
pub fn patience() -> Duration {
    scaled(LONG)
}

/// A factor that is set to nothing is not set.
fn factor(text: &str) -> f64 {
    if text.is_empty() {
        return 1.0;
    }
    let factor = text.parse().ok().filter(|factor: &f64| *factor > 0.0 && factor.is_finite());
    factor.unwrap_or_else(|| panic!("TEST_PATIENCE={text} is not a number above 0, as 1 or 2.5"))
}

/// Waits until `condition` gives a value; panics with `what` and the last thing seen when it never does.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Result<T, String>) -> T {
    let mut seen = String::new();
    let found = wait_up_to(patience(), || condition().map_err(|error| seen = error).ok());
    found.unwrap_or_else(|| panic!("waited {:?} for {what}; last seen: {seen}", patience()))
}

/// Waits until `condition` gives a value, up to this limit, which is to be [`scaled`].
pub fn wait_up_to<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        let found = condition();
        if found.is_some() || begin.elapsed() > limit {
            return found;
        }
        std::thread::sleep((begin.elapsed() / AS_LONG).clamp(ROUNDS.0, ROUNDS.1));
    }
}

#[test]
fn the_factor_is_a_number_above_zero() {
    assert_eq!((factor(""), factor("10"), factor("0.5")), (1.0, 10.0, 0.5));
    for wrong in ["0", "-1", "inf", "much"] {
        assert!(std::panic::catch_unwind(|| factor(wrong)).is_err(), "{wrong}");
    }
}

/// Outside this file no limit and no pause is a bare number: either it is [`scaled`], or its name says why it is not.
#[test]
fn no_wait_of_the_tests_is_a_bare_number() {
    let mut files = Vec::new();
    collect(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut files);
    assert!(files.len() > 50);
    for path in files.iter().filter(|path| !path.ends_with("helper/patience.rs")) {
        let text = std::fs::read_to_string(path).unwrap();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains("Duration::from_")) {
            let digits = line
                .split("Duration::from_")
                .skip(1)
                .any(|rest| rest.split_once('(').is_some_and(|(_, n)| n.starts_with(|c: char| c.is_ascii_digit())));
            let named = line.trim_start().starts_with("const ");
            let of_a_rate = line.contains("/ PER_SECOND");
            assert!(!digits || named || of_a_rate || line.contains("scaled("), "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

fn collect(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
