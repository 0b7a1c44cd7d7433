//! Writes one tensor so that Python's `torch.load(path, weights_only=True)` reads it.

use crate::patchcore::error::{EngineError, brief};
use crate::platform::files;
use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, DateTime, ZipWriter};
use std::io::{self, Write};
use std::path::Path;
use tch::{Device, Kind, TchError, Tensor};

/// Writes `tensor` as float32 to `path`, which appears whole or not at all. Equal tensors give equal bytes.
///
/// The elements go to the disk in pieces: a contiguous float32 tensor on the CPU is not copied as a whole.
///
/// # Errors
/// [`EngineError::Write`].
pub(crate) fn write_tensor(path: &Path, tensor: &Tensor) -> Result<(), EngineError> {
    files::replace(path, |file| fill(file, tensor)).map_err(|source| EngineError::Write { path: path.to_owned(), source })
}

fn fill(file: &mut (impl Write + io::Seek), tensor: &Tensor) -> io::Result<()> {
    let flat = flat_float32(tensor).map_err(torch)?;
    let bytes = flat.numel() as u64 * 4;
    let mut zip = ZipWriter::new(file);
    // A fixed time, so that equal tensors give equal files.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).last_modified_time(DateTime::default());
    zip.start_file("archive/data.pkl", options)?;
    zip.write_all(&pickle(&tensor.size(), flat.numel())?)?;
    zip.start_file("archive/byteorder", options)?;
    zip.write_all(b"little")?;
    // torch aligns elements to 64 bytes, so that it can map them into memory.
    zip.start_file("archive/data/0", options.with_alignment(64).large_file(bytes >= u64::from(u32::MAX)))?;
    write_elements(&mut zip, &flat)?;
    zip.start_file("archive/version", options)?;
    zip.write_all(b"3\n")?;
    zip.finish()?;
    Ok(())
}

fn flat_float32(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?.f_view([-1])
}

fn write_elements(sink: &mut impl Write, flat: &Tensor) -> io::Result<()> {
    const PIECE: usize = 1 << 20;
    let mut buffer = vec![0; PIECE.min(flat.numel()) * 4];
    let mut done = 0;
    while done < flat.numel() {
        let count = PIECE.min(flat.numel() - done);
        let bytes = &mut buffer[..count * 4];
        let piece = flat.f_narrow(0, int(done)?, int(count)?).map_err(torch)?;
        piece.f_copy_data_u8(bytes, count).map_err(torch)?;
        sink.write_all(bytes)?;
        done += count;
    }
    Ok(())
}

/// What `torch.save` writes for a contiguous float32 tensor: `_rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())`.
fn pickle(size: &[i64], numel: usize) -> io::Result<Vec<u8>> {
    let mut p = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
    push_str(&mut p, "storage");
    p.extend(b"ctorch\nFloatStorage\n");
    push_str(&mut p, "0");
    push_str(&mut p, "cpu");
    push_int(&mut p, int(numel)?);
    p.extend(b"tQ");
    push_int(&mut p, 0);
    push_tuple(&mut p, size);
    push_tuple(&mut p, &contiguous_stride(size));
    p.extend(b"\x89ccollections\nOrderedDict\n)RtR.");
    Ok(p)
}

fn contiguous_stride(size: &[i64]) -> Vec<i64> {
    let mut stride = vec![1; size.len()];
    for i in (1..size.len()).rev() {
        stride[i - 1] = stride[i] * size[i].max(1);
    }
    stride
}

fn push_str(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

fn push_int(pickle: &mut Vec<u8>, n: i64) {
    match i32::try_from(n) {
        Ok(small) => {
            pickle.push(b'J');
            pickle.extend(small.to_le_bytes());
        }
        Err(_) => {
            pickle.extend([0x8a, 8]);
            pickle.extend(n.to_le_bytes());
        }
    }
}

fn push_tuple(pickle: &mut Vec<u8>, items: &[i64]) {
    pickle.push(b'(');
    items.iter().for_each(|n| push_int(pickle, *n));
    pickle.push(b't');
}

fn int(n: usize) -> io::Result<i64> {
    i64::try_from(n).map_err(io::Error::other)
}

fn torch(error: TchError) -> io::Error {
    io::Error::other(brief(error))
}
