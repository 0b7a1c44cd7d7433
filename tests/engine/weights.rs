//! Weights files from outside, through the public API: what does not fit is refused with names and a remedy.

use crate::helper::skip;
use patchcored::domain::{Backbone, DeviceChoice, PrecisionChoice};
use patchcored::patchcore::{EngineError, FeatureExtractor, find_weights};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch").join(name)
}

fn refusal(backbone: Backbone, path: &Path) -> EngineError {
    FeatureExtractor::load(backbone, path, DeviceChoice::Cpu, PrecisionChoice::Auto, None).err().expect("refused")
}

#[test]
fn another_networks_weights_are_refused_by_name() {
    for file in ["state_dict_zip.pt", "state_dict_legacy.pt"] {
        for (backbone, first) in [(Backbone::Resnet50, "conv1.weight"), (Backbone::EfficientnetLite0, "_conv_stem.weight")] {
            let error = refusal(backbone, &fixture(file));
            assert!(matches!(error, EngineError::WeightsMismatch { .. }), "{error}");
            let text = error.to_string();
            for part in [file, backbone.as_str(), &format!("tensors missing: {first}, "), "unknown: 0.bias, 0.weight, 1.bias and "] {
                assert!(text.contains(part), "`{part}` is not in: {text}");
            }
        }
    }
}

#[test]
fn efficientnet_lite0_weights_are_no_resnet() {
    let Ok(weights) = find_weights(Backbone::EfficientnetLite0, None) else {
        skip("the EfficientNet-Lite0 weights; run `make setup`");
        return;
    };
    let text = refusal(Backbone::Resnet50, &weights).to_string();
    for part in [
        "does not fit resnet50",
        "missing: conv1.weight, bn1.weight, bn1.bias and ",
        "unknown: _blocks.0.",
        "https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn a_cut_or_hostile_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.pth");
    let whole = std::fs::read(fixture("state_dict_legacy.pt")).unwrap();
    std::fs::write(&cut, &whole[..whole.len() - 1]).unwrap();
    for path in [cut, fixture("refused_command_zip.pt"), fixture("refused_whole_module.pt")] {
        let error = refusal(Backbone::Resnet18, &path);
        assert!(matches!(&error, EngineError::TensorFile { path: named, .. } if *named == path), "{error}");
    }
    assert!(matches!(refusal(Backbone::Resnet18, &folder.path().join("absent.pth")), EngineError::Read { .. }));
}
