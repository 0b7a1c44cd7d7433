//! Files of Python's `torch.save` (tests/fixtures/make_fixtures.py) read here, and what is written here read again.

use super::*;
use serde_json::Value as Json;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use tch::{Device, Kind};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch").join(name)
}

fn expected() -> serde_json::Map<String, Json> {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.f_to_kind(Kind::Double).unwrap().f_contiguous().unwrap().f_view([-1]).unwrap()).unwrap()
}

fn assert_is(tensor: &Tensor, want: &Json, name: &str) {
    let kind = match want["dtype"].as_str().unwrap() {
        "float32" => Kind::Float,
        "float16" => Kind::Half,
        "bfloat16" => Kind::BFloat16,
        "float64" => Kind::Double,
        "int64" => Kind::Int64,
        "uint8" => Kind::Uint8,
        "bool" => Kind::Bool,
        other => panic!("{name}: {other}"),
    };
    assert_eq!(tensor.f_kind().unwrap(), kind, "{name}");
    let shape: Vec<i64> = serde_json::from_value(want["shape"].clone()).unwrap();
    assert_eq!(tensor.size(), shape, "{name}");
    let numbers: Vec<f64> = serde_json::from_value(want["values"].clone()).unwrap();
    assert_eq!(values(tensor), numbers, "{name}");
}

#[test]
fn what_python_saved_is_read_exactly() {
    let expected = expected();
    assert_eq!(expected.len(), 37);
    for (file, want) in &expected {
        let want = want.as_object().unwrap();
        if file.starts_with("tensor_") {
            let tensor = read_tensor(&fixture(file)).unwrap();
            assert!(tensor.is_contiguous(), "{file}");
            assert_is(&tensor, &want[""], file);
        } else {
            let tensors = read_state_dict(&fixture(file)).unwrap();
            let mut names: Vec<_> = want.keys().collect();
            names.sort();
            assert_eq!(tensors.keys().collect::<Vec<_>>(), names, "{file}");
            tensors.iter().for_each(|(name, tensor)| assert_is(tensor, &want[name], &format!("{file} {name}")));
        }
    }
}

#[test]
fn safetensors_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("named_anyhow.pth");
    let tensors = read_state_dict(&fixture("state_dict_zip.pt")).unwrap();
    Tensor::write_safetensors(&tensors.iter().collect::<Vec<_>>(), &path).unwrap();
    let again = read_state_dict(&path).unwrap();
    assert_eq!(again.len(), tensors.len());
    for (name, tensor) in &tensors {
        assert_eq!(values(&again[name]), values(tensor), "{name}");
    }
    assert!(read_tensor(&path).is_err());
    let length = std::fs::metadata(&path).unwrap().len();
    let file = File::options().write(true).open(&path).unwrap();
    for shorter in (0..length).rev() {
        file.set_len(shorter).unwrap();
        assert!(read_state_dict(&path).is_err(), "{shorter} of {length} bytes");
    }
}

#[test]
fn what_is_no_file_of_tensors_is_refused_by_name() {
    for (file, word) in [
        ("refused_command_zip.pt", "`posix.system`"),
        ("refused_command_legacy.pt", "`posix.system`"),
        ("refused_plain_pickle.pt", "starts like no file"),
        ("refused_whole_module.pt", "`torch.nn.modules"),
        ("refused_expanded.pt", "repeats them"),
        ("expected.json", "starts like no file"),
    ] {
        for error in [read_state_dict(&fixture(file)).unwrap_err(), read_tensor(&fixture(file)).unwrap_err()] {
            let text = error.to_string();
            assert!(matches!(error, EngineError::TensorFile { .. }) && text.contains(word) && text.contains(file), "{text}");
        }
    }
    assert!(matches!(read_tensor(&fixture("absent.pt")), Err(EngineError::Read { .. })));
    let text = read_tensor(&fixture("state_dict_zip.pt")).unwrap_err().to_string();
    assert!(text.contains("does not hold one tensor"), "{text}");
    let text = read_state_dict(&fixture("tensor_float32_zip.pt")).unwrap_err().to_string();
    assert!(text.contains("no dictionary of tensors"), "{text}");
}

/// A copy of a fixture that a test may damage.
fn copy(name: &str) -> (tempfile::NamedTempFile, Vec<u8>) {
    let bytes = std::fs::read(fixture(name)).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().write_all_at(&bytes, 0).unwrap();
    (file, bytes)
}

fn read_either(name: &str, path: &Path) -> Result<usize, EngineError> {
    if name.starts_with("tensor_") { read_tensor(path).map(|t| t.numel()) } else { read_state_dict(path).map(|t| t.len()) }
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for name in expected().keys() {
        let (file, bytes) = copy(name);
        assert!(read_either(name, file.path()).is_ok());
        for length in (0..bytes.len()).rev() {
            file.as_file().set_len(length as u64).unwrap();
            assert!(read_either(name, file.path()).is_err(), "{name}: {length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn a_file_damaged_anywhere_never_panics() {
    for name in
        ["state_nested_zip.pt", "state_nested_legacy.pt", "state_dict_deflated_zip.pt", "tensor_view_zip.pt", "tensor_view_legacy.pt"]
    {
        let (file, bytes) = copy(name);
        for (at, byte) in bytes.iter().enumerate() {
            for flip in [0x01, 0x80, 0xff] {
                file.as_file().write_all_at(&[byte ^ flip], at as u64).unwrap();
                // Most are errors; some bytes, such as a time stamp, do not matter.
                let _ = read_either(name, file.path());
            }
            file.as_file().write_all_at(&[*byte], at as u64).unwrap();
        }
        assert!(read_either(name, file.path()).is_ok());
    }
}

#[test]
fn a_damaged_element_of_a_zip_is_noticed() {
    let (file, bytes) = copy("tensor_float32_zip.pt");
    let minus_one = (-1.0_f32).to_le_bytes();
    let at = bytes.windows(4).position(|w| w == minus_one).unwrap();
    file.as_file().write_all_at(&[1], at as u64).unwrap();
    let text = read_tensor(file.path()).unwrap_err().to_string();
    assert!(text.contains("data/0"), "{text}");
}

#[test]
fn what_is_written_is_read_again_and_equal_tensors_give_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.pt"), folder.path().join("two.pt"));
    // More than one piece of the writer and of the reader.
    let grid = Tensor::f_arange(1_500_000, (Kind::Float, Device::Cpu)).unwrap().f_view([1500, 1000]).unwrap();
    for tensor in [&grid, &grid.f_tr().unwrap(), &grid.f_to_kind(Kind::Double).unwrap(), &grid.f_narrow(0, 0, 0).unwrap()] {
        write_tensor(&one, tensor).unwrap();
        write_tensor(&two, &tensor.f_contiguous().unwrap()).unwrap();
        let again = read_tensor(&one).unwrap();
        assert_eq!((again.size(), again.f_kind().unwrap()), (tensor.size(), Kind::Float));
        assert!(values(&again) == values(tensor));
        assert!(std::fs::read(&one).unwrap() == std::fs::read(&two).unwrap());
    }
    let mut archive = ::zip::ZipArchive::new(File::open(&one).unwrap()).unwrap();
    let elements = archive.by_name("archive/data/0").unwrap();
    assert_eq!((elements.compression(), elements.data_start() % 64), (::zip::CompressionMethod::Stored, 0));
}

#[test]
fn a_tensor_that_cannot_be_written_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let error = write_tensor(&folder.path().join("absent/bank.pt"), &Tensor::f_from_slice(&[1.0_f32]).unwrap()).unwrap_err();
    assert!(matches!(&error, EngineError::Write { path, .. } if path.ends_with("absent/bank.pt")), "{error}");
}
