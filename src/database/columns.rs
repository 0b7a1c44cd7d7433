//! How times and paths are stored.

use jiff::Timestamp;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// `2026-11-23T08:42:00.123Z`: one width, so that text order is time order.
pub fn time_text(time: Timestamp) -> String {
    format!("{time:.3}")
}

pub fn parse_time(text: &str) -> Result<Timestamp, sqlx::Error> {
    text.parse().map_err(|e: jiff::Error| sqlx::Error::Decode(e.into()))
}

/// The two columns of a path: the text for people, and the bytes when they are not UTF-8.
#[derive(Clone)]
pub struct PathColumns {
    pub shown: String,
    pub raw: Option<Vec<u8>>,
}

impl PathColumns {
    pub fn of(path: &Path) -> Self {
        let bytes = path.as_os_str().as_bytes();
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { shown: text.to_owned(), raw: None },
            Err(_) => {
                let mut shown = String::new();
                for chunk in bytes.utf8_chunks() {
                    shown.push_str(chunk.valid());
                    shown.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}")));
                }
                Self { shown, raw: Some(bytes.to_owned()) }
            }
        }
    }

    pub fn into_path(self) -> PathBuf {
        match self.raw {
            Some(bytes) => OsString::from_vec(bytes).into(),
            None => OsStr::new(&self.shown).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_text_of_one_width_in_order() {
        let text = |t: &str| time_text(t.parse().unwrap());
        assert_eq!(text("2026-11-23T08:42:00.1239Z"), "2026-11-23T08:42:00.123Z");
        assert_eq!(text("2026-11-23T08:42:00Z"), "2026-11-23T08:42:00.000Z");
        assert_eq!(text("2026-11-23T10:42:00.5+02:00"), "2026-11-23T08:42:00.500Z");
    }

    #[test]
    fn a_path_comes_back_byte_for_byte() {
        for bytes in [&b"/a/b.jpg"[..], b"/a/\xff\xfe b\\xFF.jpg", "/ä/ö.png".as_bytes()] {
            let path = Path::new(OsStr::from_bytes(bytes));
            assert_eq!(PathColumns::of(path).into_path(), path);
        }
        assert_eq!(PathColumns::of(Path::new(OsStr::from_bytes(b"/a\xffb"))).shown, "/a\\xFFb");
    }
}
