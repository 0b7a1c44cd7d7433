//! The size of a picture, as the inner loops count.

use crate::domain::Picture;

/// Pixels per row and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Size {
    pub(in crate::imaging) fn of(picture: &Picture) -> Size {
        Size { width: picture.width as usize, height: picture.height as usize }
    }
}
