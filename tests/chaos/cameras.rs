//! Cameras with different habits, each a thread that writes one image whenever it is told to.

use super::ledger::Book;
use crate::helper::{Part, image_bytes};
use image::ImageFormat;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How a camera delivers its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// In one go, under a new name.
    AtOnce,
    /// In pieces, with pauses.
    Slow,
    /// Into a sub-folder that it makes for the image.
    NewFolder,
    /// Under another name, then renamed.
    Rename,
    /// As some SFTP servers rename: a hard link, and the first name removed.
    Link,
    /// The image, then an empty file `NAME.done`.
    Marker,
    /// Always the same name, once the image before it is decided.
    SameName,
}

/// A running camera.
pub struct Camera {
    shots: Option<Sender<u64>>,
    thread: Option<JoinHandle<()>>,
}

impl Camera {
    /// `is_decided` tells whether the rows of a path that was written so often are all decided.
    pub fn start(habit: Habit, folder: PathBuf, book: Arc<Book>, is_decided: impl Fn(&Path, u32) -> bool + Send + 'static) -> Self {
        let (shots, orders) = channel();
        let thread = std::thread::spawn(move || work(habit, &folder, &book, &orders, &is_decided));
        Self { shots: Some(shots), thread: Some(thread) }
    }

    /// Has one image taken; everything about it follows from `seed`.
    pub fn shoot(&self, seed: u64) {
        self.shots.as_ref().unwrap().send(seed).unwrap();
    }

    /// Waits until all images ordered are written.
    pub fn finish(mut self) {
        drop(self.shots.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

fn work(habit: Habit, folder: &Path, book: &Book, orders: &Receiver<u64>, is_decided: &impl Fn(&Path, u32) -> bool) {
    for (number, seed) in orders.iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let part = Part { number: rng.random(), defect: rng.random_bool(0.3) };
        let (extension, format) = if rng.random() { ("png", ImageFormat::Png) } else { ("jpg", ImageFormat::Jpeg) };
        let bytes = image_bytes(part, format);
        let path = folder.join(format!("{habit:?}-{number:05}.{extension}"));
        let written = deliver(habit, path, &bytes, book, &mut rng, is_decided);
        if let Some(path) = written {
            book.dropped(&path);
        }
    }
}

/// The path that now holds a new image; none when the camera lets this one go.
fn deliver(
    habit: Habit,
    path: PathBuf,
    bytes: &[u8],
    book: &Book,
    rng: &mut ChaCha8Rng,
    is_decided: &impl Fn(&Path, u32) -> bool,
) -> Option<PathBuf> {
    let first = path.with_extension("part");
    match habit {
        Habit::AtOnce => std::fs::write(&path, bytes).unwrap(),
        Habit::Slow => {
            let mut file = std::fs::File::create(&path).unwrap();
            for piece in bytes.chunks(bytes.len() / 5) {
                file.write_all(piece).unwrap();
                std::thread::sleep(Duration::from_millis(rng.random_range(0..80)));
            }
        }
        Habit::NewFolder => {
            let folder = path.with_extension("");
            std::fs::create_dir(&folder).unwrap();
            let path = folder.join(path.file_name().unwrap());
            std::fs::write(&path, bytes).unwrap();
            return Some(path);
        }
        Habit::Rename => {
            std::fs::write(&first, bytes).unwrap();
            std::fs::rename(&first, &path).unwrap();
        }
        Habit::Link => {
            std::fs::write(&first, bytes).unwrap();
            std::fs::hard_link(&first, &path).unwrap();
            std::fs::remove_file(&first).unwrap();
        }
        Habit::Marker => {
            std::fs::write(&path, bytes).unwrap();
            std::thread::sleep(Duration::from_millis(rng.random_range(0..80)));
            let mut marker = path.clone().into_os_string();
            marker.push(".done");
            std::fs::write(marker, "").unwrap();
        }
        Habit::SameName => {
            let path = path.with_file_name("latest.png");
            let written = book.times(&path);
            if written > 0 && !is_decided(&path, written) {
                return None;
            }
            std::fs::write(&first, bytes).unwrap();
            std::fs::rename(&first, &path).unwrap();
            return Some(path);
        }
    }
    Some(path)
}
