//! `engine:`: the network and the banks in memory.

use super::product::ProductConfig;
use crate::config::collector::Problems;
use crate::config::values::{FilePath, Word};
use crate::domain::{Backbone, DeviceChoice, Precision, PrecisionChoice};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The smallest and the largest value, here and in the schema.
const THREADS: (u32, u32) = (0, 1024);
const BANK_CACHE: (u32, u32) = (1, 10_000);

/// `engine:`
#[derive(Debug, Clone, PartialEq)]
pub struct EngineConfig {
    /// Where the network runs.
    pub device: DeviceChoice,
    /// Number format of the network.
    pub precision: PrecisionChoice,
    /// Threads of the engine; 0 = all cores.
    pub threads: usize,
    /// Banks held in memory; at least 1.
    pub bank_cache: usize,
    /// The state-dict file of each backbone; the daemon searches for the others.
    pub weights: BTreeMap<Backbone, PathBuf>,
}

/// The shape of `engine:` in the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawEngine {
    /// Where the network runs: `auto`, `cpu` or `cuda:N`. `auto` takes the first CUDA device if there is one, else the processor.
    pub device: Option<Word<DeviceChoice>>,
    /// Number format of the network. `auto` takes bfloat16 only where the hardware is fast at it. `int8` is the fastest; it
    /// needs a processor with VNNI, and is not for dinov2. A build in int8 takes longer, because it also builds in float32 and compares:
    /// a bank in int8 that misses more than 5 of 100 planted defects is refused. A bank is always scored in the format it was built in,
    /// so a change counts from the next rebuild on.
    pub precision: Option<Word<PrecisionChoice>>,
    /// Processor threads for the network; 0 = all cores. Set it lower if other software on this machine needs processor time.
    #[schemars(range(min = THREADS.0, max = THREADS.1))]
    pub threads: Option<u32>,
    /// The number of banks in memory. The bank that was used longest ago makes room for another one. A bank of 2,000 rows takes about
    /// 5 MB, one of `score: guide` with ResNet50 about 35 MB. If the banks of all your products fit, set it to their number.
    #[schemars(range(min = BANK_CACHE.0, max = BANK_CACHE.1))]
    pub bank_cache: Option<u32>,
    /// Weights file (PyTorch state dict, .pth or .safetensors) per backbone. For a backbone that is not listed, the daemon looks for the
    /// published file name in `$PATCHCORED_WEIGHTS`, `~/.cache/patchcored/weights` and `/var/lib/patchcored/weights`.
    pub weights: Option<BTreeMap<Word<Backbone>, FilePath>>,
}

pub(in crate::config) fn check(raw: RawEngine, problems: &mut Problems) -> EngineConfig {
    let threads = raw.threads.unwrap_or(0);
    problems.need_range("engine.threads", threads, THREADS, " (0 = all cores)");
    let bank_cache = raw.bank_cache.unwrap_or(3);
    problems.need_range("engine.bank_cache", bank_cache, BANK_CACHE, " banks");
    let weights = raw.weights.unwrap_or_default().into_iter();
    let weights = weights.map(|(Word(b), FilePath(path))| (b, problems.path(&format!("engine.weights.{b}"), &path))).collect();
    EngineConfig {
        device: raw.device.map(|Word(d)| d).unwrap_or_default(),
        precision: raw.precision.map(|Word(p)| p).unwrap_or_default(),
        threads: threads as usize,
        bank_cache: bank_cache as usize,
        weights,
    }
}

/// Int8 is for networks of convolutions on the processor.
pub(in crate::config) fn check_int8(engine: &EngineConfig, products: &[ProductConfig], problems: &mut Problems) {
    if engine.precision != PrecisionChoice::Fixed(Precision::Int8) {
        return;
    }
    if let DeviceChoice::Cuda(_) = engine.device {
        problems.add("engine.precision", format!("int8 is for the processor, not for `device: {}`; use auto", engine.device));
    }
    for (i, product) in products.iter().enumerate().filter(|(_, product)| !product.build.backbone.has_int8()) {
        let backbone = product.build.backbone;
        problems
            .add("engine.precision", format!("int8 is not for `{backbone}`, the backbone of products[{i}]; use auto, or another backbone"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_alone;

    #[test]
    fn what_is_left_out_takes_the_defaults() {
        let (engine, problems) = check_alone("{}", check);
        let expected = EngineConfig {
            device: DeviceChoice::Auto,
            precision: PrecisionChoice::Auto,
            threads: 0,
            bank_cache: 3,
            weights: BTreeMap::new(),
        };
        assert_eq!((engine, problems.as_str()), (expected, ""));
    }

    #[test]
    fn bounds_and_paths_are_checked() {
        let (_, problems) = check_alone("{threads: 1025, bank_cache: 0, weights: {resnet50: ~/w}}", check);
        let expected = [
            "engine.threads: 1025 is out of range; use 0 to 1024 (0 = all cores)",
            "engine.bank_cache: 0 is out of range; use 1 to 10000 banks",
            "engine.weights.resnet50: `~/w`: `~` is not expanded; write the whole path, as /home/…",
        ];
        assert_eq!(problems, expected.join("\n"));
    }
}
