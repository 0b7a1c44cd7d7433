//! What the daemon does about the bank of a product right now.

/// What the daemon does about the bank of a product right now, or what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BankWork {
    /// The ok folder has fewer images than a first bank needs.
    WaitsForImages {
        /// The images there are.
        there: usize,
        /// The fewest that a bank is built from.
        needed: usize,
    },
    /// The bank of another product is built first.
    WaitsForTurn,
    /// A bank is built.
    Builds {
        /// Roughly how much of it is done, 0 to 100.
        percent: u8,
    },
}
