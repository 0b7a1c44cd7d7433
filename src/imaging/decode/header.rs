//! Reads the fields of a header, which may end too early.

use super::fault::Fault;

/// `N` bytes at `at`, or the fault that the file ends before them.
pub(super) fn take<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Fault> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .ok_or_else(|| Fault::Incomplete(format!("ends after {} bytes, within its header", bytes.len())))
}
