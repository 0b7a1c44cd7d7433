//! The JSON files of a bank folder, as Python writes them: its `json.dump` also writes NaN and Infinity, which JSON has not.

use super::error::EngineError;
use crate::inspection::Tau;
use serde::de::DeserializeOwned;
use std::path::Path;

/// What to do about a bank file that cannot be used.
pub(super) const REMEDY: &str = "build the bank again, or restore the file from a copy";

/// Reads a JSON file; NaN and infinities count as `null`.
///
/// # Errors
/// [`EngineError::BankFile`] when it is missing, unreadable, not JSON or lacks a key.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, EngineError> {
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(path, &e))?;
    serde_json::from_str(&without_non_finite(&text)).map_err(|e| damaged(path, &e.to_string()))
}

/// Reads `tau.json`; other keys are let pass.
///
/// # Errors
/// As [`read`], and when a threshold is not a finite number.
pub(super) fn read_tau(path: &Path) -> Result<Tau, EngineError> {
    #[derive(serde::Deserialize)]
    struct Written {
        pixel: Option<f64>,
        image: Option<f64>,
    }
    let written: Written = read(path)?;
    let finite = |key: &str, value: Option<f64>| {
        value.filter(|v| v.is_finite()).ok_or_else(|| damaged(path, &format!("`{key}` is missing or not a finite number")))
    };
    Ok(Tau { pixel: finite("pixel", written.pixel)?, image: finite("image", written.image)? })
}

/// The error of a bank file that the system would not give.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> EngineError {
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "it is missing; a bank folder holds memory_bank.pt, bank_config.json and tau.json, as `patchcored build` writes them".to_owned()
        }
        _ => format!("it cannot be read: {error}; {REMEDY}"),
    };
    EngineError::BankFile { path: path.to_owned(), reason }
}

/// The error of a bank file with wrong content.
pub(super) fn damaged(path: &Path, what: &str) -> EngineError {
    EngineError::BankFile { path: path.to_owned(), reason: format!("{what}; {REMEDY}") }
}

/// `NaN`, `Infinity` and `-Infinity` outside of strings become `null`.
fn without_non_finite(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    // Between quotes that no backslash escapes, every second piece is a string.
    let (mut start, mut in_string, mut escaped) = (0, false, false);
    let mut push = |piece: &str, in_string: bool| match in_string {
        true => clean.push_str(piece),
        false => clean.push_str(&piece.replace("-Infinity", "null").replace("Infinity", "null").replace("NaN", "null")),
    };
    for (i, byte) in text.bytes().enumerate() {
        if byte == b'"' && !escaped {
            push(&text[start..i], in_string);
            (start, in_string) = (i, !in_string);
        }
        escaped = byte == b'\\' && !escaped;
    }
    push(&text[start..], in_string);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tau(text: &str) -> Result<Tau, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tau.json");
        std::fs::write(&path, text).unwrap();
        read_tau(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn thresholds_must_be_finite() {
        assert_eq!(tau(r#"{"pixel": 1, "image": 2.5, "note": "NaN \" Infinity", "x": NaN}"#), Ok(Tau { pixel: 1.0, image: 2.5 }));
        for (text, key) in [
            (r#"{"pixel": NaN, "image": 1.0}"#, "`pixel`"),
            (r#"{"pixel": 1.0, "image": -Infinity}"#, "`image`"),
            (r#"{"pixel": 1.0, "image": Infinity}"#, "`image`"),
            (r#"{"image": 1.0}"#, "`pixel`"),
            (r#"{"pixel": 1.0, "image": "1.0"}"#, "string"),
            (r#"{"pixel": 1.0, "im"#, "EOF"),
            ("", "EOF"),
        ] {
            let error = tau(text).unwrap_err();
            assert!(error.contains("tau.json") && error.contains(key) && error.contains("build the bank again"), "{error}");
        }
    }

    #[test]
    fn thresholds_come_back_to_the_last_bit() {
        // Off by one bit, an image that scored exactly tau would change sides; serde_json reads this one so without `float_roundtrip`.
        assert_eq!(
            tau(r#"{"pixel": 61.0705732536316, "image": 99.01030040740969}"#).unwrap().image.to_bits(),
            99.01030040740969_f64.to_bits()
        );
    }

    #[test]
    fn strings_are_left_alone() {
        let text = r#"{"a": "NaN", "b\"NaN": [NaN, -Infinity], "ü\\": Infinity}"#;
        assert_eq!(without_non_finite(text), r#"{"a": "NaN", "b\"NaN": [null, null], "ü\\": null}"#);
    }
}
