//! Tensor files: `.pt` and `.pth` as Python's `torch.save` writes them (zip archive, or the stream from before torch 1.6),
//! and `.safetensors`. The format is told by the content, not by the name.
//!
//! Files are data from outside: every length is checked before memory is taken for it, every view is checked against its
//! storage, and a pickle that names anything but tensors is refused.

mod legacy;
mod machine;
mod pickle;
mod safetensors;
mod storages;
#[cfg(test)]
mod tests;
mod values;
mod write;
mod zip;

pub(crate) use write::write_tensor;

use super::error::EngineError;
use pickle::Pickle;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use storages::{Storages, torch};
use tch::{Kind, Tensor};
use values::{Storage, View};

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

fn without_module_prefix(tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    const PREFIX: &str = "module.";
    if !tensors.keys().all(|name| name.starts_with(PREFIX)) {
        return tensors;
    }
    tensors.into_iter().map(|(name, tensor)| (name[PREFIX.len()..].to_owned(), tensor)).collect()
}
