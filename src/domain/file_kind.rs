//! The kinds of files of decided images, as retention knows them.

use super::Decision;

words! {
    /// Files that may be deleted some day, in the order in which they are deleted when a disk is short of space.
    FileKind {
        /// Mask, overlay and the other outputs of images decided `ok`.
        OkOutputs = "ok_outputs",
        /// The images themselves that were decided `ok`.
        OkImages = "ok_images",
        /// Mask, overlay and the other outputs of images decided `ng`.
        NgOutputs = "ng_outputs",
        /// The images themselves that were decided `ng`.
        NgImages = "ng_images",
    }
}

impl FileKind {
    /// The decision on the images whose files these are.
    pub fn decision(self) -> Decision {
        match self {
            Self::OkOutputs | Self::OkImages => Decision::Ok,
            Self::NgOutputs | Self::NgImages => Decision::Ng,
        }
    }

    /// True for the camera's files, false for the daemon's own.
    pub fn is_image(self) -> bool {
        matches!(self, Self::OkImages | Self::NgImages)
    }
}
