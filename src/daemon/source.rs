//! Reading one image file: whole, unchanged while it was read, and as the product expects it.

use crate::codes::ReasonCode;
use crate::config::InputConfig;
use crate::error::ImageError;
use crate::imaging::decode::{DecodeLimits, Decoded, decode};
use crate::inspection::Picture;
use crate::intake::{FileVersion, version_of};
use jiff::Timestamp;
use rustix::fs::{Mode, OFlags, SeekFrom};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// What an image file must be.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    /// Most pixels, in 10^6.
    pub max_megapixels: u32,
    /// Shape and depth; `None` fields accept all.
    pub input: InputConfig,
}

/// A decoded file.
#[derive(Debug)]
pub struct Source {
    /// The pixels.
    pub picture: Picture,
    /// What was read, so that a later writing of the same path is told apart.
    pub version: FileVersion,
    /// When the file system last changed the file, by its own clock: nobody sets this time.
    pub changed_at: Timestamp,
    /// BLAKE3 of the file, hex.
    pub content_hash: String,
    /// Reading and decoding.
    pub decode_time: Duration,
}

/// [`read`] for files that a person named: symbolic links are followed.
///
/// # Errors
/// As [`read`].
pub fn read_linked(path: &Path, expect: &Expectation) -> Result<Source, ImageError> {
    let target = path.canonicalize().map_err(|source| ImageError::Read { path: path.to_owned(), source })?;
    read(&target, expect)
}

/// Reads and decodes `path`, a regular file and no link.
///
/// # Errors
/// [`ImageError::Incomplete`] when it may still be being written: cut off, with holes, or changing under our eyes;
/// [`ImageError::Rejected`] when it is whole but not what the product expects.
pub fn read(path: &Path, expect: &Expectation) -> Result<Source, ImageError> {
    let begin = Instant::now();
    let unreadable = |source: io::Error| ImageError::Read { path: path.to_owned(), source };
    let rejected = |code: ReasonCode, reason: &str| ImageError::rejected(path, code, reason);
    let incomplete = |reason: &str| ImageError::Incomplete { path: path.to_owned(), reason: reason.to_owned() };

    // A link could lead out of the drop folder, and opening a pipe would wait for ever.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(rustix::io::Errno::LOOP) => return Err(rejected(ReasonCode::NotAFile, "is a symbolic link; drop the file itself")),
        Err(error) => return Err(unreadable(error.into())),
    };
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err(rejected(ReasonCode::NotAFile, "is not a regular file"));
    }
    let version = version_of(&meta);
    let max_pixels = u64::from(expect.max_megapixels) * 1_000_000;
    // 16-bit RGBA, uncompressed, with room for headers: nothing that may be decoded is larger.
    let max_bytes = max_pixels * 8 + (1 << 20);
    if version.size > max_bytes {
        let text = format!(
            "has {} bytes, more than an image of {} megapixels can need; raise intake.max_megapixels if it is one",
            version.size, expect.max_megapixels
        );
        return Err(rejected(ReasonCode::TooLarge, &text));
    }
    if has_hole(&file, version.size) {
        return Err(incomplete("parts of it are not written yet (the file has holes)"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(version.size).unwrap_or(0));
    (&mut file).take(max_bytes + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if version_of(&file.metadata().map_err(unreadable)?) != version || bytes.len() as u64 != version.size {
        return Err(incomplete("it was written to while it was read"));
    }
    let decoded = decode(path, &bytes, &DecodeLimits { max_pixels }, expect.input.bit_depth)?;
    check_input(&decoded, &expect.input).map_err(|(code, text)| rejected(code, &text))?;
    let content_hash = blake3::hash(&bytes).to_hex().to_string();
    Ok(Source { picture: decoded.picture, version, changed_at: changed_at(&meta), content_hash, decode_time: begin.elapsed() })
}

fn changed_at(meta: &Metadata) -> Timestamp {
    let nanoseconds = i32::try_from(meta.ctime_nsec()).unwrap_or(0);
    Timestamp::new(meta.ctime(), nanoseconds).unwrap_or(Timestamp::MAX)
}

/// A preallocated or partly copied file has holes. File systems that cannot tell report none.
fn has_hole(file: &File, size: u64) -> bool {
    let hole = rustix::fs::seek(file, SeekFrom::Hole(0));
    let back = rustix::fs::seek(file, SeekFrom::Start(0));
    back.is_err() || hole.is_ok_and(|at| at < size)
}

fn check_input(decoded: &Decoded, input: &InputConfig) -> Result<(), (ReasonCode, String)> {
    let picture = &decoded.picture;
    let wrong = |code: ReasonCode, what: &str, is: u64, expected: u64| {
        Err((code, format!("has {what} {is}, but the product's input.{what} is {expected}; correct the camera or the configuration")))
    };
    match input {
        InputConfig { width: Some(w), .. } if *w != picture.width => {
            wrong(ReasonCode::WrongSize, "width", picture.width.into(), (*w).into())
        }
        InputConfig { height: Some(h), .. } if *h != picture.height => {
            wrong(ReasonCode::WrongSize, "height", picture.height.into(), (*h).into())
        }
        InputConfig { channels: Some(c), .. } if *c != decoded.file_channels => {
            wrong(ReasonCode::WrongChannels, "channels", decoded.file_channels.into(), (*c).into())
        }
        InputConfig { bit_depth: Some(8), .. } if decoded.file_bit_depth != 8 => {
            wrong(ReasonCode::WrongDepth, "bit_depth", decoded.file_bit_depth.into(), 8)
        }
        InputConfig { bit_depth: Some(b), .. } if *b > 8 && decoded.file_bit_depth == 8 => {
            wrong(ReasonCode::WrongDepth, "bit_depth", 8, (*b).into())
        }
        _ => Ok(()),
    }
}
