//! Readers of files from outside, for the fuzz targets alone.

use super::torch_file::{read_state_dict, read_tensor};
use std::path::Path;

/// Reads the file as one tensor and as a state dict; what it is refused for does not matter here.
pub fn read_tensor_file(path: &Path) {
    let _ = read_tensor(path);
    let _ = read_state_dict(path);
}
