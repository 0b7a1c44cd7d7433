//! Storages: where the elements of tensors lie in a file, and how they become flat tensors.

use super::values::Storage;
use crate::patchcore::error::brief;
use std::io::{ErrorKind, Read};
use tch::{Device, TchError, Tensor};

// Storages are raw memory of the machine that wrote them; torch writes little-endian ones everywhere that matters.
const _: () = assert!(cfg!(target_endian = "little"), "tensor files are read and written on little-endian machines only");

/// Where the storages of a file lie.
pub(super) trait Storages {
    /// Reads one as a flat tensor.
    fn read(&mut self, storage: &Storage<'_>) -> Result<Tensor, String>;
}

/// Reads a flat tensor of `storage.numel` elements in pieces, so that memory holds it once.
///
/// The caller has checked the length against the file.
pub(super) fn read_elements(mut source: impl Read, storage: &Storage<'_>) -> Result<Tensor, String> {
    const PIECE: usize = 1 << 20;
    let flat = Tensor::f_empty([int(storage.numel)?], (storage.kind, Device::Cpu)).map_err(torch)?;
    let width = storage.kind.elt_size_in_bytes();
    let mut buffer = vec![0; PIECE.min(storage.numel) * width];
    let mut done = 0;
    while done < storage.numel {
        let count = PIECE.min(storage.numel - done);
        let bytes = &mut buffer[..count * width];
        source.read_exact(bytes).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof => {
                format!("it ends before the last of the {} numbers it announces; copy the file again", storage.numel)
            }
            _ => format!("reading its numbers failed: {e}; copy the file again"),
        })?;
        let piece = Tensor::f_from_data_size(bytes, &[int(count)?], storage.kind).map_err(torch)?;
        flat.f_narrow(0, int(done)?, int(count)?).and_then(|mut part| part.f_copy_(&piece)).map_err(torch)?;
        done += count;
    }
    Ok(flat)
}

/// The size of a storage in bytes.
pub(super) fn byte_length(storage: &Storage<'_>) -> Result<u64, String> {
    let bytes = storage.numel.checked_mul(storage.kind.elt_size_in_bytes()).and_then(|n| u64::try_from(n).ok());
    bytes.ok_or_else(|| "it announces more numbers than any memory holds; copy or save the file again".to_owned())
}

pub(super) fn int(n: usize) -> Result<i64, String> {
    i64::try_from(n).map_err(|e| e.to_string())
}

pub(super) fn torch(error: TchError) -> String {
    format!("libtorch could not hold it: {}", brief(error))
}
