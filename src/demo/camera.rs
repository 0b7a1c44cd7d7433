//! A camera: writes its pictures into a folder the way real ones do, some at once, some slowly, some under another name first.

use super::plan::{Delivery, Frame};
use anyhow::Context;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// From one picture to the next.
const PACE: Duration = Duration::from_millis(600);
/// Between two pieces of a slow file; shorter than the quiet time after which a file counts as complete.
const PAUSE: Duration = Duration::from_millis(60);
const PIECES: usize = 4;

/// What the cameras have in common with the one who watches them.
#[derive(Debug, Default)]
pub struct CameraSignals {
    /// Files sent so far.
    pub sent: AtomicU64,
    /// Set to make the cameras stop early.
    pub stop: AtomicBool,
}

/// Sends `frames` into `folder`, one every `PACE`, and does `halfway` after half of them.
pub fn play(frames: &[Frame], folder: &Path, signals: &CameraSignals, halfway: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (first, second) = frames.split_at(frames.len() / 2);
    send(first, folder, signals)?;
    if !signals.stop.load(Ordering::Relaxed) {
        halfway()?;
    }
    send(second, folder, signals)
}

fn send(frames: &[Frame], folder: &Path, signals: &CameraSignals) -> anyhow::Result<()> {
    for frame in frames {
        if signals.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        deliver(frame, folder)?;
        signals.sent.fetch_add(1, Ordering::Relaxed);
        sleep(PACE);
    }
    Ok(())
}

/// Writes one file into `folder` in the frame's own way.
pub fn deliver(frame: &Frame, folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(&frame.name);
    let written = match frame.delivery {
        Delivery::Whole => fs::write(&path, &frame.bytes),
        Delivery::Pieces => in_pieces(&path, &frame.bytes),
        Delivery::Rename => {
            let under_way = folder.join(format!("{}.part", frame.name));
            fs::write(&under_way, &frame.bytes).and_then(|()| fs::rename(&under_way, &path))
        }
    };
    written.with_context(|| format!("the demo's camera cannot write {}", path.display()))
}

fn in_pieces(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    for (index, piece) in bytes.chunks(bytes.len().div_ceil(PIECES).max(1)).enumerate() {
        if index > 0 {
            sleep(PAUSE);
        }
        file.write_all(piece)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::plan::PartTruth;

    #[test]
    fn however_a_file_is_delivered_it_arrives_whole_and_alone() {
        for delivery in [Delivery::Whole, Delivery::Pieces, Delivery::Rename] {
            let folder = tempfile::tempdir().unwrap();
            let bytes: Vec<u8> = (0..1001u32).map(|i| i as u8).collect();
            let frame = Frame { name: "a.jpg".into(), bytes: bytes.clone(), delivery, truth: PartTruth::Good, mask: None };
            deliver(&frame, folder.path()).unwrap();
            assert_eq!(fs::read(folder.path().join("a.jpg")).unwrap(), bytes);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{delivery:?}");
        }
    }

    #[test]
    fn a_stopped_camera_sends_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let frame = Frame { name: "a.jpg".into(), bytes: vec![1], delivery: Delivery::Whole, truth: PartTruth::Good, mask: None };
        let signals = CameraSignals { stop: AtomicBool::new(true), ..CameraSignals::default() };
        play(&[frame], folder.path(), &signals, || unreachable!("a stopped camera has no half-time")).unwrap();
        assert_eq!(signals.sent.load(Ordering::Relaxed), 0);
    }
}
