//! Arguments that `build`, `infer` and `eval` share.

use crate::banks::EngineJob;
use crate::domain::{DeviceChoice, PrecisionChoice};
use std::path::PathBuf;

/// Network, device and what images to accept.
#[derive(clap::Args, Clone)]
pub struct EngineArgs {
    /// State dict of the backbone (.pth or .safetensors); without it the file is looked for in $PATCHCORED_WEIGHTS,
    /// ~/.cache/patchcored/weights and /var/lib/patchcored/weights
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Where the network runs: auto, cpu, cuda:N
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// Number format of the network: auto, float32, bfloat16, int8; a bank is scored in the precision it was built in
    #[arg(long, default_value = "auto")]
    pub precision: PrecisionChoice,
    /// Threads of the engine; 0 = all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Significant bits per sample of 16-bit images, 9 to 16
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u8).range(8..=16), alias = "bit_depth")]
    pub bit_depth: Option<u8>,
    /// Largest image accepted, in millions of pixels
    #[arg(long, value_name = "N", default_value_t = 64, alias = "max_megapixels")]
    pub max_megapixels: u32,
}

impl EngineArgs {
    /// The same as data.
    pub fn job(&self) -> EngineJob {
        let Self { weights, device, precision, threads, bit_depth, max_megapixels } = self.clone();
        EngineJob { weights, device, precision, threads, bit_depth, max_megapixels }
    }
}
