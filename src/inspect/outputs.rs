//! The files written for one image. Their names follow from the image's name, and each is written whole or not at all.

use super::verdict::Verdict;
use crate::codes::{Reason, ReasonCode};
use crate::domain::{Decision, OverlayFormat, OverlayStyle, Picture, ScoreMethod};
use crate::imaging::ImageError;
use crate::imaging::heat::{heat_gray, heat_of_tau};
use crate::imaging::jpeg::write_jpeg;
use crate::imaging::overlay::{OverlayMarks, overlay};
use crate::imaging::png::{write_gray, write_rgb};
use crate::imaging::side_by_side::side_by_side;
use crate::platform::files;
use image::RgbImage;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// The suffix of an overlay as JPEG.
const OVERLAY_JPEG: &str = ".overlay.jpg";
/// The most bytes of a file name on Linux.
const NAME_MAX: usize = 255;
/// The most bytes of a path on Linux, without the zero that ends it.
pub const PATH_MAX: usize = 4095;

/// Where each output goes; `None` = not wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputPaths {
    /// Binary mask, 0 or 255.
    pub mask: Option<PathBuf>,
    /// The image with the place of the defect.
    pub overlay: Option<PathBuf>,
    /// Gray heat map.
    pub heat: Option<PathBuf>,
    /// reference | test / mask | overlay; needs a reference.
    pub side_by_side: Option<PathBuf>,
    /// Score and thresholds.
    pub scores: Option<PathBuf>,
}

/// How the overlay of an image looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OverlayLook {
    /// The style that fits the bank.
    pub style: OverlayStyle,
    /// Decision, score and tau stand in a corner.
    pub text: bool,
}

impl OverlayLook {
    fn draw(self, picture: &Picture, verdict: &Verdict) -> RgbImage {
        let shows_defect = verdict.decision == Decision::Ng || verdict.mask.area > 0;
        let worst = if shows_defect { verdict.map.worst_place() } else { None };
        let text = if self.text { label(verdict).to_vec() } else { Vec::new() };
        overlay(picture, &OverlayMarks { style: self.style, mask: &verdict.mask, worst, text: &text })
    }
}

fn label(verdict: &Verdict) -> [String; 3] {
    let Verdict { decision, image_score, tau, .. } = verdict;
    [decision.as_str().to_owned(), format!("score {image_score:.4}"), format!("tau {:.4}", tau.image)]
}

impl OutputPaths {
    /// The daemon's names: `X.jpg.mask.png` next to `X.jpg`, or under `dir` at the image's whole path, so that images of one name from
    /// different folders do not collide.
    pub fn beside(image: &Path, wanted: &crate::config::OutputsConfig) -> Self {
        let base = match &wanted.dir {
            None => image.to_owned(),
            Some(dir) => dir.join(image.strip_prefix("/").unwrap_or(image)),
        };
        let name = |on: bool, suffix: &str| {
            on.then(|| {
                let mut path = base.clone().into_os_string();
                path.push(suffix);
                PathBuf::from(path)
            })
        };
        Self {
            mask: name(wanted.mask, ".mask.png"),
            overlay: wanted.overlay.and_then(|format| match format {
                OverlayFormat::Png => name(true, ".overlay.png"),
                OverlayFormat::Jpeg => name(true, OVERLAY_JPEG),
            }),
            heat: name(wanted.heat, ".heat.png"),
            side_by_side: name(wanted.side_by_side, ".side_by_side.png"),
            scores: name(wanted.scores, ".scores.json"),
        }
    }

    /// The Python scripts' names in a folder.
    pub fn in_folder(folder: &Path) -> Self {
        let name = |name: &str| Some(folder.join(name));
        Self {
            mask: name("mask.png"),
            overlay: name("overlay.png"),
            heat: name("heat_gray.png"),
            side_by_side: name("side_by_side.png"),
            scores: name("scores.json"),
        }
    }

    /// Why some of the outputs can never be written: the system takes no name that is so long.
    pub fn too_long(&self) -> Option<Reason> {
        let name = self.all().filter_map(Path::file_name).map(OsStr::len).max().unwrap_or(0);
        // Each file is first written under a temporary name.
        let temporary = self.folder().map_or(0, |folder| folder.as_os_str().len() + 1 + files::TEMPORARY_NAME);
        let path = self.all().map(|path| path.as_os_str().len()).max().unwrap_or(0).max(temporary);
        let text = if name > NAME_MAX {
            format!(
                "the name of an output would have {name} bytes, and {NAME_MAX} is the most; have the camera give its images a shorter name"
            )
        } else if path > PATH_MAX {
            format!(
                "the path of an output would have {path} bytes, and {PATH_MAX} is the most; have the camera use fewer or shorter folders, or shorten outputs.dir"
            )
        } else {
            return None;
        };
        Some(Reason::new(ReasonCode::NameTooLong, text))
    }

    fn all(&self) -> impl Iterator<Item = &Path> {
        [&self.mask, &self.overlay, &self.heat, &self.side_by_side, &self.scores].into_iter().flatten().map(PathBuf::as_path)
    }

    /// The common folder of all outputs; `None` when none is wanted.
    pub fn folder(&self) -> Option<&Path> {
        self.all().next()?.parent()
    }

    /// Removes what an earlier image of this name left, for an image that gets no outputs.
    ///
    /// # Errors
    /// [`ImageError::Write`] with the output that cannot be removed.
    pub fn remove(&self) -> Result<(), ImageError> {
        for path in self.all() {
            match std::fs::remove_file(path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(ImageError::Write { path: path.to_owned(), source }),
                _ => {}
            }
        }
        Ok(())
    }

    /// The latest modification time of the existing outputs, ns since 1970.
    pub fn newest_ns(&self) -> Option<i64> {
        self.all().filter_map(|path| std::fs::symlink_metadata(path).ok()).map(|meta| files::mtime_ns(&meta)).max()
    }

    /// Writes the wanted outputs and creates missing folders; the side-by-side only with a reference.
    ///
    /// # Errors
    /// [`ImageError::Write`] with the output; outputs written before it stay, and the next attempt replaces them.
    pub fn write(&self, picture: &Picture, verdict: &Verdict, reference: Option<&Picture>, look: OverlayLook) -> Result<(), ImageError> {
        if let Some(folder) = self.folder() {
            std::fs::create_dir_all(folder).map_err(|source| ImageError::Write { path: folder.to_owned(), source })?;
        }
        if let Some(path) = &self.heat {
            let heat = match verdict.method {
                ScoreMethod::Guide => heat_gray(&verdict.map),
                ScoreMethod::Levels => heat_of_tau(&verdict.map, verdict.tau.pixel),
            };
            write_gray(path, heat.width(), heat.height(), &heat)?;
        }
        if let Some(path) = &self.mask {
            write_gray(path, verdict.mask.width, verdict.mask.height, &verdict.mask.pixels)?;
        }
        if self.overlay.is_some() || self.side_by_side.is_some() {
            let overlay = look.draw(picture, verdict);
            if let Some(path) = &self.overlay {
                let jpeg = path.as_os_str().as_encoded_bytes().ends_with(OVERLAY_JPEG.as_bytes());
                let write = if jpeg { write_jpeg } else { write_rgb };
                write(path, overlay.width(), overlay.height(), &overlay)?;
            }
            if let (Some(path), Some(reference)) = (&self.side_by_side, reference) {
                let side = side_by_side(reference, picture, &verdict.mask, &overlay);
                write_rgb(path, side.width(), side.height(), &side)?;
            }
        }
        if let Some(path) = &self.scores {
            let mut text = serde_json::to_vec_pretty(&scores_json(verdict)).unwrap_or_default();
            text.push(b'\n');
            files::replace_bytes(path, &text).map_err(|source: io::Error| ImageError::Write { path: path.clone(), source })?;
        }
        Ok(())
    }
}

/// `image_score pixel_tau image_tau` as the Python scripts write them, and the additions of patchcored. A NaN score is `null`.
pub fn scores_json(verdict: &Verdict) -> serde_json::Value {
    serde_json::json!({
        "image_score": verdict.image_score,
        "pixel_tau": verdict.tau.pixel,
        "image_tau": verdict.tau.image,
        "decision": verdict.decision.as_str(),
        "mask_pixels": verdict.mask.area,
        "mask_regions": verdict.mask.regions,
        "sensitivity": verdict.sensitivity,
        "decided_by": verdict.decided_by.as_str(),
    })
}
