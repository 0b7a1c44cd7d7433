//! The size of the engine's image.

/// How large an image is for the engine: its short side, and what both sides are multiples of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineSize {
    shorter: u32,
    multiple: u32,
}

impl EngineSize {
    /// A short side of about `shorter` pixels, and both sides multiples of `multiple` pixels (1 or 0 = any).
    pub const fn new(shorter: u32, multiple: u32) -> Self {
        Self { shorter, multiple: if multiple == 0 { 1 } else { multiple } }
    }

    /// The short side that was asked for, in pixels.
    pub fn shorter(self) -> u32 {
        self.shorter
    }

    /// What both sides are multiples of, in pixels.
    pub fn multiple(self) -> u32 {
        self.multiple
    }

    /// Width and height of an image of `width`×`height` pixels after resizing.
    ///
    /// Both sides are scaled by `shorter / short side` and rounded to the nearest multiple, half to the even one like Python's `round`.
    ///
    /// ```
    /// use patchcored::domain::EngineSize;
    /// assert_eq!(EngineSize::new(512, 1).sides(1130, 460), (1258, 512));
    /// assert_eq!(EngineSize::new(448, 14).sides(1130, 460), (1106, 448));
    /// ```
    pub fn sides(self, width: u32, height: u32) -> (u32, u32) {
        let scale = f64::from(self.shorter) / f64::from(width.min(height).max(1));
        let multiple = f64::from(self.multiple);
        let side = |length: u32| ((f64::from(length) * scale / multiple).round_ties_even().max(1.0) * multiple) as u32;
        (side(width), side(height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_rounded_half_to_even_as_python_does() {
        let sides = |width, height, shorter| EngineSize::new(shorter, 1).sides(width, height);
        assert_eq!(sides(1130, 460, 512), (1258, 512));
        assert_eq!(sides(225, 225, 512), (512, 512));
        assert_eq!(sides(2448, 2048, 512), (612, 512));
        // 5 * 0.5 = 2.5 and 7 * 0.5 = 3.5: round() in Python gives 2 and 4.
        assert_eq!(sides(5, 4, 2), (2, 2));
        assert_eq!(sides(7, 4, 2), (4, 2));
        assert_eq!(sides(1, 10_000, 32), (32, 320_000));
    }

    #[test]
    fn both_sides_are_multiples() {
        for (width, height, shorter) in [(1130, 460, 448), (640, 480, 512), (3, 4000, 32), (14, 14, 32), (2448, 2048, 455)] {
            let (to_width, to_height) = EngineSize::new(shorter, 14).sides(width, height);
            assert_eq!((to_width % 14, to_height % 14), (0, 0));
            // Not more than half a patch from the size without the multiple.
            let (exact_width, exact_height) = EngineSize::new(shorter, 1).sides(width, height);
            assert!(to_width.abs_diff(exact_width) <= 7 && to_height.abs_diff(exact_height) <= 7, "{width}×{height} to {shorter}");
        }
        assert_eq!(EngineSize::new(512, 14).sides(640, 480), (686, 518));
        // 35 = 2.5 patches goes to the even number; nothing gets narrower than one patch.
        assert_eq!(EngineSize::new(35, 14).sides(35, 35), (28, 28));
        assert_eq!(EngineSize::new(5, 14).sides(10, 10), (14, 14));
    }
}
