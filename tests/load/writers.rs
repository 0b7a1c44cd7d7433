//! Cameras that write slowly, preallocate, pause, or die in the middle.

use crate::helper::{Part, image_bytes};
use jiff::Timestamp;
use rustix::fs::FallocateFlags;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The four readiness modes, each with its product; `ready:` of the drop folder.
pub const MODES: [(&str, &str); 4] =
    [("closed", "close_write"), ("renamed", "rename"), ("quiet", "{quiet: 500ms}"), ("marked", "{marker: .done}")];
const FORMATS: [(&str, image::ImageFormat); 4] = [
    ("jpg", image::ImageFormat::Jpeg),
    ("png", image::ImageFormat::Png),
    ("bmp", image::ImageFormat::Bmp),
    ("tif", image::ImageFormat::Tiff),
];
/// Holes are told by whole blocks of the file system.
const BLOCK: usize = 4096;
/// Between two chunks; shorter than the shortest quiet time in use.
const SHORT_PAUSE: Duration = Duration::from_millis(120);
/// Longer than the time after which an unchanged file is looked at.
const LONG_PAUSE: Duration = Duration::from_millis(2600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    /// The file grows as it is written.
    Grows,
    /// ftruncate to its full size first: a hole.
    Truncated,
    /// fallocate first: blocks without contents.
    Allocated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// In chunks with short pauses.
    Slow,
    /// A prefix, a long pause, the rest.
    Pausing,
    /// A prefix, and nothing more.
    Cut,
}

/// One file to be written.
#[derive(Debug, Clone)]
pub struct Job {
    pub mode: usize,
    pub path: PathBuf,
    bytes: Vec<u8>,
    space: Space,
    course: Course,
    cut_at: usize,
}

/// What was written, by the writer's clock.
#[derive(Debug)]
pub struct Written {
    pub job: Job,
    /// Last byte, close, rename or marker, whichever tells that the file is complete.
    pub complete_at: Timestamp,
}

/// Kinds of everything, evenly mixed: job `i` of a run.
pub fn job(i: usize, drop: impl Fn(&str) -> PathBuf) -> Job {
    let mode = i % MODES.len();
    let kind = i / MODES.len();
    let (extension, format) = FORMATS[kind % FORMATS.len()];
    let space = [Space::Grows, Space::Truncated, Space::Allocated][kind / FORMATS.len() % 3];
    // Two good ones to each cut one.
    let course = [Course::Slow, Course::Cut, Course::Pausing][kind / (FORMATS.len() * 3) % 3];
    let bytes = image_bytes(Part::ok(i as u32), format);
    // Anywhere, in steps that meet every remainder.
    let cut_at = bytes.len() * (1 + i * 37 % 97) / 100;
    Job { mode, path: drop(MODES[mode].0).join(format!("part{i:05}.{extension}")), bytes, space, course, cut_at }
}

impl Job {
    pub fn is_cut(&self) -> bool {
        self.course == Course::Cut
    }

    pub fn hash(&self) -> String {
        blake3::hash(&self.bytes).to_hex().to_string()
    }

    /// A file that is left with zeros where its last rows belong is a picture with black rows, in a format without checks and without
    /// a hole: nobody can tell. Where its writer says in effect that this was all (it closes the file, or is silent for longer than
    /// the quiet time), the prefix leaves at least one whole block.
    fn prefix(&self) -> usize {
        let uncompressed = self.path.extension().is_some_and(|e| e == "bmp" || e == "tif");
        let said_complete = self.is_cut() || MODES[self.mode].0 == "quiet";
        let can_be_told = (self.bytes.len() / BLOCK).saturating_sub(1) * BLOCK;
        if uncompressed && said_complete && self.space != Space::Grows { self.cut_at.min(can_be_told) } else { self.cut_at }
    }

    fn name_while_writing(&self) -> PathBuf {
        if MODES[self.mode].1 == "rename" { with(&self.path, ".part") } else { self.path.clone() }
    }

    pub fn write(self) -> Written {
        let name = self.name_while_writing();
        let file = File::create(&name).unwrap();
        match self.space {
            Space::Grows => {}
            Space::Truncated => file.set_len(self.bytes.len() as u64).unwrap(),
            Space::Allocated => rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.bytes.len() as u64).unwrap(),
        }
        let prefix = self.prefix();
        match self.course {
            Course::Slow => {
                let chunk = self.bytes.len().div_ceil(4);
                for (i, part) in self.bytes.chunks(chunk).enumerate() {
                    std::thread::sleep(SHORT_PAUSE);
                    file.write_all_at(part, (i * chunk) as u64).unwrap();
                }
            }
            Course::Pausing => {
                file.write_all_at(&self.bytes[..prefix], 0).unwrap();
                std::thread::sleep(LONG_PAUSE);
                file.write_all_at(&self.bytes[prefix..], prefix as u64).unwrap();
            }
            Course::Cut => file.write_all_at(&self.bytes[..prefix], 0).unwrap(),
        }
        drop(file);
        match MODES[self.mode].1 {
            "rename" => std::fs::rename(&name, &self.path).unwrap(),
            "{marker: .done}" => std::fs::write(with(&self.path, ".done"), "").unwrap(),
            _ => {}
        }
        Written { job: self, complete_at: Timestamp::now() }
    }
}

impl std::fmt::Display for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (ready, size, prefix) = (MODES[self.mode].1, self.bytes.len(), self.prefix());
        write!(f, "{} ({ready}, {:?}, {:?} at {prefix} of {size} bytes)", self.path.display(), self.space, self.course)
    }
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
