//! What can be changed in the settings of a bank.

use crate::domain::{Backbone, BuildOptions, Layer, ScoreMethod};

/// One change of the settings in use.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// How distances become the score.
    Score(ScoreMethod),
    Backbone(Backbone),
    Layers(Vec<Layer>),
    Stride(u32),
    /// The short side, as a multiple of the one in use.
    Shorter(Scale),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    ThreeQuarters,
    OneAndAHalf,
}

impl Change {
    /// Whether both change the same key, so that they cannot go together.
    pub(super) fn is_of_the_key_of(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Whether an image surely takes longer by it.
    pub(super) fn is_slower(&self, current: &BuildOptions) -> bool {
        match self {
            Self::Shorter(scale) => *scale == Scale::OneAndAHalf,
            Self::Stride(stride) => *stride < current.stride,
            Self::Layers(layers) => layers.first() < current.layers.first(),
            Self::Score(_) | Self::Backbone(_) => false,
        }
    }
}

impl Scale {
    /// The scaled side, pixels.
    pub(super) fn of(self, side: u32) -> u32 {
        match self {
            Self::ThreeQuarters => side / 4 * 3,
            Self::OneAndAHalf => side / 2 * 3,
        }
    }
}
