//! The network for the build process, as the configuration has it.

use crate::banks::EngineJob;
use crate::config::{Config, EngineConfig, ProductConfig};
use crate::domain::{Precision, PrecisionChoice};

/// The network for the build process.
pub(super) fn engine_job(config: &Config, product: &ProductConfig) -> EngineJob {
    let EngineConfig { device, precision, threads, .. } = config.engine;
    let guide = product.guide && precision == PrecisionChoice::Auto;
    EngineJob {
        weights: config.engine.weights.get(&product.build.backbone).cloned(),
        device,
        precision: if guide { PrecisionChoice::Fixed(Precision::Float32) } else { precision },
        threads,
        bit_depth: product.input.bit_depth,
        max_megapixels: config.intake.max_megapixels,
    }
}
