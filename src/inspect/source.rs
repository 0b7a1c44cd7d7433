//! Reads one image file: whole, unchanged while it was read, and as the product requires it.

use crate::codes::ReasonCode;
use crate::config::InputConfig;
use crate::domain::{EngineSize, Picture, ResizedImage, SaidWhole};
use crate::imaging::ImageError;
use crate::imaging::decode::{DecodeLimits, Decoded, DefectMask, contained, decode, decode_mask};
use crate::imaging::resize::{check_engine_size, resize_for_engine};
use crate::intake::{FileId, FileVersion, file_id_of, version_of};
use jiff::Timestamp;
use rustix::fs::{Mode, OFlags, SeekFrom};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The requirements for an image file.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    /// The most pixels, in millions.
    pub max_megapixels: u32,
    /// Shape and depth; `None` fields accept all.
    pub input: InputConfig,
    /// Who says that the file is whole, even when it has holes.
    pub said_whole: SaidWhole,
}

impl Expectation {
    fn limits(&self) -> DecodeLimits {
        DecodeLimits { max_pixels: u64::from(self.max_megapixels) * 1_000_000 }
    }
}

/// A decoded file.
#[derive(Debug)]
pub struct Source {
    /// The pixels.
    pub picture: Picture,
    /// The version that was read, to tell it from a later file of the same path.
    pub version: FileVersion,
    /// The file's identity, if its file system gives one.
    pub file_id: Option<FileId>,
    /// When the file system last changed the file, by its own clock: nobody sets this time.
    pub changed_at: Timestamp,
    /// BLAKE3 of the file, hex.
    pub content_hash: String,
    /// Time for reading and decoding.
    pub decode_time: Duration,
}

/// Reads a file that a person named, and resizes the picture for the engine as well. It follows symbolic links.
///
/// # Errors
/// As [`read`]; [`ReasonCode::TooElongated`] for a strip that would be enlarged beyond measure.
pub fn read_linked(path: &Path, expect: &Expectation, size: EngineSize) -> Result<(Source, ResizedImage), ImageError> {
    let target = path.canonicalize().map_err(|source| ImageError::Read { path: path.to_owned(), source })?;
    read_for_engine(&target, expect, size)
}

/// [`read`], and the picture resized for the engine as well.
///
/// # Errors
/// As [`read`]; [`ReasonCode::TooElongated`] for a strip that the resize would enlarge too much.
pub(super) fn read_for_engine(path: &Path, expect: &Expectation, size: EngineSize) -> Result<(Source, ResizedImage), ImageError> {
    let mut source = read(path, expect)?;
    let begin = Instant::now();
    let resized = contained(path, || {
        check_engine_size(&source.picture, size)
            .map_err(|error| ImageError::rejected(path, ReasonCode::TooElongated, error.to_string()))?;
        Ok(resize_for_engine(&source.picture, size))
    })?;
    source.decode_time += begin.elapsed();
    Ok((source, resized))
}

/// Reads and decodes `path`, a regular file and no link.
///
/// # Errors
/// [`ImageError::Incomplete`] when its writer may not have finished: it is cut off, has holes, or changes while it is read;
/// [`ImageError::Rejected`] when it is whole but not what the product requires.
pub fn read(path: &Path, expect: &Expectation) -> Result<Source, ImageError> {
    let begin = Instant::now();
    let content = Content::read(path, expect)?;
    let decoded = decode(path, &content.bytes, &expect.limits(), expect.input.bit_depth)?;
    check_input(&decoded, &expect.input).map_err(|(code, text)| ImageError::rejected(path, code, text))?;
    let content_hash = blake3::hash(&content.bytes).to_hex().to_string();
    let Content { version, file_id, changed_at, .. } = content;
    Ok(Source { picture: decoded.picture, version, file_id, changed_at, content_hash, decode_time: begin.elapsed() })
}

/// Reads and decodes a ground-truth mask; it follows symbolic links.
///
/// # Errors
/// As [`read`].
pub fn read_mask(path: &Path, expect: &Expectation) -> Result<DefectMask, ImageError> {
    let target = path.canonicalize().map_err(|source| ImageError::Read { path: path.to_owned(), source })?;
    decode_mask(path, &Content::read(&target, expect)?.bytes, &expect.limits())
}

/// The bytes of a file, read while nobody wrote to it.
struct Content {
    bytes: Vec<u8>,
    version: FileVersion,
    file_id: Option<FileId>,
    changed_at: Timestamp,
}

impl Content {
    fn read(path: &Path, expect: &Expectation) -> Result<Content, ImageError> {
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
        // 16-bit RGBA, uncompressed, with room for headers: no image that may be decoded is larger.
        let max_bytes = expect.limits().max_pixels * 8 + (1 << 20);
        if version.size > max_bytes {
            let text = format!(
                "has {} bytes, more than an image of {} megapixels can need; raise intake.max_megapixels if it is one",
                version.size, expect.max_megapixels
            );
            return Err(rejected(ReasonCode::TooLarge, &text));
        }
        match (holes(&file, version.size), expect.said_whole) {
            (Holes::None, _) | (_, SaidWhole::Person) | (Holes::Within, SaidWhole::Writer) => {}
            (Holes::Within | Holes::AtTheEnd, _) => return Err(incomplete("parts of it are not written yet (the file has holes)")),
        }
        let mut bytes = Vec::with_capacity(usize::try_from(version.size).unwrap_or(0));
        (&mut file).take(max_bytes + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if version_of(&file.metadata().map_err(unreadable)?) != version || bytes.len() as u64 != version.size {
            return Err(incomplete("it was written to while it was read"));
        }
        Ok(Content { bytes, version, file_id: file_id_of(&meta), changed_at: changed_at(&meta) })
    }
}

fn changed_at(meta: &Metadata) -> Timestamp {
    let nanoseconds = i32::try_from(meta.ctime_nsec()).unwrap_or(0);
    Timestamp::new(meta.ctime(), nanoseconds).unwrap_or(Timestamp::MAX)
}

/// Where a file has holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holes {
    /// Nowhere, or on a file system that cannot tell.
    None,
    /// Data follows the last hole. A file system or a copy leaves a whole file like this, to save the space of zeros. So does a writer
    /// that is not done, but it has not closed the file either.
    Within,
    /// The file ends with a hole, for example after its space was reserved and its writer died, which closes it.
    AtTheEnd,
}

fn holes(file: &File, size: u64) -> Holes {
    let mut found = Holes::None;
    let mut at = 0;
    while at < size {
        let Some(hole) = rustix::fs::seek(file, SeekFrom::Hole(at)).ok().filter(|hole| *hole < size) else { break };
        found = Holes::Within;
        match rustix::fs::seek(file, SeekFrom::Data(hole)) {
            Ok(data) => at = data,
            // No data follows.
            Err(_) => {
                found = Holes::AtTheEnd;
                break;
            }
        }
    }
    if rustix::fs::seek(file, SeekFrom::Start(0)).is_err() { Holes::AtTheEnd } else { found }
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
