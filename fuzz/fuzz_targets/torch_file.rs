//! A `.pt`, `.pth` or `.safetensors` file: one tensor, or a state dict.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchcored::patchcore::fuzz::read_tensor_file;
use std::io::Write;

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    file.write_all(data).unwrap();
    read_tensor_file(file.path());
});
