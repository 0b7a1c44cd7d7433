//! How ImageNet's pixels are normalised.

/// Mean, RGB, on the scale 0..1.
pub(in crate::patchcore) const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation.
pub(in crate::patchcore) const STD: [f32; 3] = [0.229, 0.224, 0.225];
