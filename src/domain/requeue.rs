//! Failed images that are to be tried again.

use jiff::Timestamp;

/// The failed images to try again. An empty list or `None` does not restrict.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequeueFilter {
    /// The inspection ids.
    pub ids: Vec<i64>,
    /// The product that takes the images now.
    pub product: Option<String>,
    /// Failed at or after this time.
    pub since: Option<Timestamp>,
}

/// The outcome for the failed images that a [`RequeueFilter`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requeued {
    /// Pending again.
    pub requeued: u64,
    /// Still failed: no product takes them.
    pub unrouted: u64,
    /// Still failed: a newer arrival with the same path is pending.
    pub replaced: u64,
}
