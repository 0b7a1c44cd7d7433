//! Tensor files: `.pt` and `.pth` as Python's `torch.save` writes them (zip archive, or the stream from before torch 1.6),
//! and `.safetensors`. The format is told by the content, not by the name.
//!
//! Files are data from outside: every length is checked before memory is taken for it, every view is checked against its
//! storage, and a pickle that names anything but tensors is refused.

mod legacy;
mod machine;
mod pickle;
mod safetensors;
#[cfg(test)]
mod tests;
mod write;
mod zip;

pub(crate) use write::write_tensor;

use super::error::{EngineError, brief};
use pickle::{Pickle, Storage, View};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::path::Path;
use tch::{Device, Kind, TchError, Tensor};

// Storages are raw memory of the machine that wrote them; torch writes little-endian ones everywhere that matters.
const _: () = assert!(cfg!(target_endian = "little"), "tensor files are read and written on little-endian machines only");

/// The largest pickle accepted; that of a network with a thousand tensors takes 0.2 MB.
const MAX_PICKLE: u64 = 16 << 20;

/// Reads a state dict: tensor name → tensor, on the CPU, in the file's number formats.
///
/// Takes `.pth` of either format and `.safetensors`, also one nested as `{"state_dict": {…}}`, and drops the prefix
/// `module.` that training on several GPUs leaves on every name. Tensors may share memory with one another.
///
/// # Errors
/// [`EngineError::Read`] when the file cannot be opened, [`EngineError::TensorFile`] when it is not such a file.
pub(crate) fn read_state_dict(path: &Path) -> Result<BTreeMap<String, Tensor>, EngineError> {
    let tensors = with_file(path, |file, format| match format {
        Format::Safetensors => safetensors::read(file),
        _ => with_pickle(file, format, |pickle, storages| views_to_tensors(&pickle.state_dict()?, storages)),
    })?;
    Ok(without_module_prefix(tensors))
}

/// Reads a file that holds one tensor, such as `memory_bank.pt`; contiguous, on the CPU, in the file's number format.
///
/// # Errors
/// As [`read_state_dict`].
pub(crate) fn read_tensor(path: &Path) -> Result<Tensor, EngineError> {
    read_fitting_tensor(path, &|_, _| Ok(()))
}

/// [`read_tensor`], if `fits` takes its size and number format; asked before memory is taken for it.
///
/// # Errors
/// As [`read_state_dict`], and what `fits` says.
pub(crate) fn read_fitting_tensor(path: &Path, fits: &Fits<'_>) -> Result<Tensor, EngineError> {
    const NOT_ONE: &str = "it does not hold one tensor; save it with torch.save(tensor, path)";
    with_file(path, |file, format| match format {
        Format::Safetensors => Err(NOT_ONE.into()),
        _ => with_pickle(file, format, |pickle, storages| {
            let view = pickle.tensor().ok_or(NOT_ONE)?;
            fits(&view.size, view.storage.kind)?;
            tensor(view, &storages.read(&view.storage)?)?.f_contiguous().map_err(torch)
        }),
    })
}

/// Says what is wrong with a tensor of this size and number format.
pub(crate) type Fits<'a> = dyn Fn(&[i64], Kind) -> Result<(), String> + 'a;

/// Where the storages of a file lie.
trait Storages {
    /// Reads one as a flat tensor.
    fn read(&mut self, storage: &Storage<'_>) -> Result<Tensor, String>;
}

#[derive(Clone, Copy)]
enum Format {
    Zip,
    Legacy,
    Safetensors,
}

fn with_file<T>(path: &Path, read: impl FnOnce(File, Format) -> Result<T, String>) -> Result<T, EngineError> {
    let unreadable = |source| EngineError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut start = Vec::new();
    file.by_ref().take(16).read_to_end(&mut start).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let format = match start.as_slice() {
        [b'P', b'K', 3, 4, ..] => Ok(Format::Zip),
        [0x80, 2, 0x8a, 10, ..] => Ok(Format::Legacy),
        [_, _, _, _, _, _, 0, 0, b'{', ..] => Ok(Format::Safetensors),
        [] => Err("it is empty; copy or save the file again".to_owned()),
        _ => Err("it starts like no file of torch.save or safetensors; is it the right file?".to_owned()),
    };
    format.and_then(|format| read(file, format)).map_err(|reason| EngineError::TensorFile { path: path.to_owned(), reason })
}

fn with_pickle<T>(
    file: File,
    format: Format,
    use_it: impl FnOnce(&Pickle<'_>, &mut dyn Storages) -> Result<T, String>,
) -> Result<T, String> {
    if let Format::Zip = format {
        let mut archive = zip::Archive::open(file)?;
        let bytes = archive.pickle()?;
        use_it(&Pickle::read(&bytes)?, &mut archive)
    } else {
        let head = legacy::read_head(&file)?;
        let (pickle, mut storages) = legacy::open(file, &head)?;
        use_it(&pickle, &mut storages)
    }
}

fn views_to_tensors(views: &[(&str, &View<'_>)], storages: &mut dyn Storages) -> Result<BTreeMap<String, Tensor>, String> {
    let mut read: HashMap<&str, (Storage<'_>, Tensor)> = HashMap::new();
    let mut tensors = BTreeMap::new();
    for (name, view) in views {
        let key = view.storage.key;
        if !read.contains_key(key) {
            read.insert(key, (view.storage, storages.read(&view.storage)?));
        }
        let (known, data) = &read[key];
        if *known != view.storage {
            return Err(format!("tensor `{name}` describes its storage otherwise than the tensors before it; save the file again"));
        }
        tensors.insert((*name).to_owned(), tensor(view, data)?);
    }
    Ok(tensors)
}

fn tensor(view: &View<'_>, storage: &Tensor) -> Result<Tensor, String> {
    storage.f_as_strided(&view.size, &view.stride, view.offset).map_err(torch)
}

/// Reads a flat tensor of `storage.numel` elements in pieces, so that memory holds it once.
///
/// The caller has checked the length against the file.
fn read_elements(mut source: impl Read, storage: &Storage<'_>) -> Result<Tensor, String> {
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
fn byte_length(storage: &Storage<'_>) -> Result<u64, String> {
    let bytes = storage.numel.checked_mul(storage.kind.elt_size_in_bytes()).and_then(|n| u64::try_from(n).ok());
    bytes.ok_or_else(|| "it announces more numbers than any memory holds; copy or save the file again".to_owned())
}

fn without_module_prefix(tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    const PREFIX: &str = "module.";
    if !tensors.keys().all(|name| name.starts_with(PREFIX)) {
        return tensors;
    }
    tensors.into_iter().map(|(name, tensor)| (name[PREFIX.len()..].to_owned(), tensor)).collect()
}

fn int(n: usize) -> Result<i64, String> {
    i64::try_from(n).map_err(|e| e.to_string())
}

fn torch(error: TchError) -> String {
    format!("libtorch could not hold it: {}", brief(error))
}
