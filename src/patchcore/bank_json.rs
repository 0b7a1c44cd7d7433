//! The JSON files of a bank folder, as Python writes them: its `json.dump` also writes NaN and Infinity, which JSON has not.

use super::error::EngineError;
use crate::domain::Tau;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What to do about a bank file that cannot be used.
pub(super) const REMEDY: &str = "build the bank again, or restore the file from a copy";

/// A small file of a bank may have this many bytes; what is longer is none.
const LONGEST: u64 = 1 << 20;

/// `tau.json`, as it was at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct TauFile {
    /// The thresholds.
    pub tau: Tau,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// The file.
    pub bytes: Vec<u8>,
}

impl TauFile {
    /// Reads the file; other keys than `pixel` and `image` are let pass.
    ///
    /// # Errors
    /// [`EngineError::BankFile`] when it is missing, unreadable or not JSON, and when a threshold is missing or no distance can be it.
    pub fn read(path: &Path) -> Result<Self, EngineError> {
        #[derive(serde::Deserialize)]
        struct Written {
            pixel: Option<f64>,
            image: Option<f64>,
        }
        let bytes = read_bytes(path)?;
        let written: Written = parse(path, &bytes)?;
        let distance = |key: &str, value: Option<f64>| match value.filter(|value| value.is_finite()) {
            None => Err(damaged(path, &format!("`{key}` is missing or not a finite number"))),
            // Distances are float32 numbers.
            Some(value) if !(0.0..=f64::from(f32::MAX)).contains(&value) => {
                Err(damaged(path, &format!("`{key}` is {value:e}, which no distance can be: it is a number from 0 to 3.4e38")))
            }
            Some(value) => Ok(value),
        };
        let tau = Tau { pixel: distance("pixel", written.pixel)?, image: distance("image", written.image)? };
        Ok(Self { tau, sha256: sha256(&bytes), bytes })
    }
}

/// Reads a JSON file and its SHA-256; NaN and infinities count as `null`.
///
/// # Errors
/// [`EngineError::BankFile`] when it is missing, unreadable, not JSON or lacks a key.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<(T, String), EngineError> {
    let bytes = read_bytes(path)?;
    Ok((parse(path, &bytes)?, sha256(&bytes)))
}

/// Reads a small file, whatever may lie in its place: nobody waits for a pipe, and nobody reads a disk.
fn read_bytes(path: &Path) -> Result<Vec<u8>, EngineError> {
    let file = open_plain(path)?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|e| unreadable(path, &e))?;
    if bytes.len() as u64 > LONGEST {
        return Err(damaged(path, &format!("it is longer than {LONGEST} bytes, and no file of a bank")));
    }
    Ok(bytes)
}

/// Opens a bank file, which must be a plain file or a link to one.
pub(super) fn open_plain(path: &Path) -> Result<File, EngineError> {
    let file = File::options().read(true).custom_flags(NONBLOCK).open(path).map_err(|e| unreadable(path, &e))?;
    let meta = file.metadata().map_err(|e| unreadable(path, &e))?;
    if meta.is_file() { Ok(file) } else { Err(damaged(path, "it is no plain file")) }
}

/// Opening a pipe without it waits for a writer.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, EngineError> {
    let text = std::str::from_utf8(bytes).map_err(|e| damaged(path, &e.to_string()))?;
    serde_json::from_str(&without_non_finite(text)).map_err(|e| damaged(path, &e.to_string()))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
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
        TauFile::read(&path).map(|file| file.tau).map_err(|e| e.to_string())
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
            (r#"{"pixel": 1e308, "image": 1.0}"#, "`pixel` is 1e308, which no distance can be"),
            (r#"{"pixel": 1.0, "image": 3.5e38}"#, "`image`"),
            (r#"{"pixel": 1.0, "image": -0.5}"#, "`image` is -5e-1"),
            (r#"{"pixel": 1e999, "image": 1.0}"#, "out of range"),
            (r#"{"pixel": 1.0, "pixel": 2.0, "image": 1.0}"#, "duplicate"),
            (r#"{"pixel": 1.0, "im"#, "EOF"),
            ("", "EOF"),
        ] {
            let error = tau(text).unwrap_err();
            assert!(error.contains("tau.json") && error.contains(key) && error.contains("build the bank again"), "{error}");
        }
    }

    #[test]
    fn what_is_no_small_plain_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tau.json");
        let error = |what: &str| {
            let error = TauFile::read(&path).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
            let _ = std::fs::remove_file(&path);
        };
        error("it is missing");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        error("no plain file");
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        error("no plain file");
        std::fs::write(&path, vec![b' '; (LONGEST + 1) as usize]).unwrap();
        error("longer than");
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        error("utf-8");
        std::fs::write(&path, r#"{"x": "#.to_owned() + &"[".repeat(100_000)).unwrap();
        error("EOF");
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
