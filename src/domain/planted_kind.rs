//! Kinds of synthetic defects.

words! {
    /// A kind of defect that the self-test plants into images of good parts.
    PlantedKind {
        /// A thin line, bright or dark, with a burr.
        Scratch = "scratch",
        /// A round spot with a hard edge.
        Spot = "spot",
        /// A flat stain with an uneven, soft edge; brown on colour pictures.
        Stain = "stain",
        /// A dent: one side lit, the other in shadow.
        Dent = "dent",
        /// A piece that has broken out.
        Missing = "missing",
        /// A smear: structure is wiped along one direction.
        Smear = "smear",
        /// The control: the same pixels put back in their place, so nothing.
        None = "none",
    }
}

impl PlantedKind {
    /// The kinds that are defects.
    pub const DEFECTS: [Self; 6] = [Self::Scratch, Self::Spot, Self::Stain, Self::Dent, Self::Missing, Self::Smear];

    /// With its article: `a scratch`.
    pub fn with_article(self) -> &'static str {
        match self {
            Self::Scratch => "a scratch",
            Self::Spot => "a spot",
            Self::Stain => "a stain",
            Self::Dent => "a dent",
            Self::Missing => "a missing area",
            Self::Smear => "a smear",
            Self::None => "nothing",
        }
    }

    /// Length and width, in pixels, of a defect of this size.
    ///
    /// ```
    /// use patchcored::domain::PlantedKind;
    /// assert_eq!(PlantedKind::Scratch.extent(12), (12, 2));
    /// assert_eq!(PlantedKind::Spot.extent(12), (12, 12));
    /// ```
    pub fn extent(self, size: u32) -> (u32, u32) {
        let width = match self {
            // Long scratches are thin: 1 pixel for 4, 2 for 12, 5 for 64.
            Self::Scratch => ((f64::from(size).sqrt() * 0.6).round() as u32).max(1),
            Self::Smear => (size / 3).max(1),
            _ => size,
        };
        (size, width)
    }
}
