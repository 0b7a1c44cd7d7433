//! The OK images of a build, read ahead of the network.

use super::error::EngineError;
use crate::domain::ResizedImage;
use std::sync::mpsc::sync_channel;

/// Images read ahead of the network.
const READ_AHEAD: usize = 2;

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct UnusableImage(pub Box<dyn std::error::Error + Send + Sync>);

/// The OK images of a product.
pub trait ImageSource: Sync {
    /// One name per image, unique; images are taken in the order of their names, however they are listed.
    fn names(&self) -> Vec<String>;
    /// Decodes and resizes the image of this index into [`ImageSource::names`]. It is asked from another thread, so that the next
    /// image is read while the network runs, and may be asked twice.
    ///
    /// # Errors
    /// Why this image cannot be used; the build goes on without it.
    fn load(&self, index: usize) -> Result<ResizedImage, UnusableImage>;
}

/// An image that is in the bank.
pub(super) struct UsedImage {
    /// Index into the source.
    pub index: usize,
    /// Rows of patches.
    pub height: i64,
    /// Patches per row.
    pub width: i64,
    /// Its first patch in the stream.
    pub first_patch: i64,
}

/// The error of a build without an image that can be used: of `total` images the `first` is named, with its reason.
pub(super) fn none_usable(total: usize, first: Option<(&str, &str)>) -> EngineError {
    EngineError::Build(match first {
        None => "there is no OK image; put some into the OK folder".to_owned(),
        Some((name, reason)) => format!("none of the {total} OK images can be used; the first is {name}: {reason}"),
    })
}

/// The error of a build whose features or thresholds are no numbers.
pub(super) fn not_finite() -> EngineError {
    EngineError::Build("the network gives NaN or infinite features; check the weights file, or use `precision: float32`".to_owned())
}

/// The indexes of names in their order.
pub(super) fn by_name(names: &[String]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&a, &b| names[a].cmp(&names[b]));
    order
}

/// Reads the images of `order` and hands each to `take`, the next one while it works.
///
/// # Errors
/// Those of `take`, which is not asked any more then.
pub(super) fn read_ahead(
    source: &dyn ImageSource,
    order: Vec<usize>,
    mut take: impl FnMut(usize, Result<ResizedImage, UnusableImage>) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    std::thread::scope(|scope| {
        let (ahead, loaded) = sync_channel(READ_AHEAD);
        // Nobody takes any more once an error has ended the loop below.
        scope.spawn(move || order.into_iter().all(|index| ahead.send((index, source.load(index))).is_ok()));
        loaded.into_iter().try_for_each(|(index, image)| take(index, image))
    })
}
