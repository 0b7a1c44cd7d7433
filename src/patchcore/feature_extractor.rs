//! From a resized image to the feature maps of a backbone.

use super::backbone::{self, ActivationRanges, MEAN, Network, RangeMeter, STD, Target, Way};
use super::device::{resolve_device, resolve_precision};
use super::error::{EngineError, TorchContext};
use super::ok_images::{ImageSource, by_name};
use super::weights::{StateDict, file_sha256};
use crate::domain::{Backbone, DeviceChoice, Layer, Precision, PrecisionChoice, ResizedImage};
use crate::platform::allocator::keep_freed_memory;
use std::path::Path;
use tch::{Device, Kind, TchError, Tensor};

/// So many OK images tell how far the maps of a network reach.
const MEASURED_IMAGES: usize = 16;

/// A backbone with its weights, on its device, in its precision. One thread uses it at a time.
pub struct FeatureExtractor {
    backbone: Backbone,
    precision: Precision,
    /// Of int8.
    ranges: Option<ActivationRanges>,
    weights_sha256: String,
    target: Target,
    network: Box<dyn Network>,
}

impl FeatureExtractor {
    /// Loads `weights` (a published `.pth` as downloaded, or `.safetensors`) into `backbone`. From then on the process keeps
    /// some freed memory for the next image. `ranges` are those of the bank; int8 alone has and needs them.
    ///
    /// # Errors
    /// [`EngineError::Device`], [`EngineError::Read`], [`EngineError::TensorFile`], [`EngineError::WeightsMismatch`] when the
    /// tensors are not exactly those of the backbone, [`EngineError::BankMismatch`] when int8 has not the ranges that it needs,
    /// [`EngineError::Torch`] for want of memory.
    pub fn load(
        backbone: Backbone,
        weights: &Path,
        device: DeviceChoice,
        precision: PrecisionChoice,
        ranges: Option<&ActivationRanges>,
    ) -> Result<Self, EngineError> {
        let precision = resolve_precision(device, precision);
        let target = match (precision, ranges) {
            (Precision::Int8, Some(ranges)) => {
                check_int8(backbone, device)?;
                Target::int8(ranges.clone())
            }
            (Precision::Int8, None) => return Err(EngineError::BankMismatch("the bank was not built in int8; build it again".to_owned())),
            _ => Target::new(resolve_device(device)?, kind(precision)),
        };
        keep_freed_memory();
        let dict = StateDict::read(weights, backbone)?;
        let mut extractor = Self::from_state_dict(backbone, dict, file_sha256(weights)?, target, precision)?;
        extractor.ranges = ranges.filter(|_| precision == Precision::Int8).cloned();
        Ok(extractor)
    }

    /// Runs the network in float32 on some of the OK images, and gives what int8 has to reach. Images that cannot be used are passed over.
    ///
    /// # Errors
    /// As [`Self::load`], and [`EngineError::Build`] when int8 is not for this network, or no image can be used.
    pub fn measure_ranges(
        backbone: Backbone,
        weights: &Path,
        device: DeviceChoice,
        images: &dyn ImageSource,
    ) -> Result<ActivationRanges, EngineError> {
        check_int8(backbone, device)?;
        let meter = RangeMeter::default();
        let target = Target { way: Way::Measured(meter.clone()), ..Target::new(Device::Cpu, Kind::Float) };
        let dict = StateDict::read(weights, backbone)?;
        let extractor = Self::from_state_dict(backbone, dict, String::new(), target, Precision::Float32)?;
        let order = by_name(&images.names());
        let step = order.len().div_ceil(MEASURED_IMAGES).max(1);
        let usable: Vec<_> = order.into_iter().step_by(step).filter_map(|index| images.load(index).ok()).collect();
        if usable.is_empty() {
            return Err(EngineError::Build(format!(
                "one in {step} of the OK images is read first for `precision: int8`, and none of these can be used; remove the damaged ones"
            )));
        }
        for image in usable {
            extractor.features(&image, &backbone.layers()[backbone.layers().len() - 1..])?;
        }
        Ok(meter.ranges())
    }

    fn from_state_dict(
        backbone: Backbone,
        dict: StateDict,
        weights_sha256: String,
        target: Target,
        precision: Precision,
    ) -> Result<Self, EngineError> {
        let network = tch::no_grad(|| backbone::load(backbone, dict, &target))?;
        Ok(Self { backbone, precision, ranges: None, weights_sha256, target, network })
    }

    /// The network.
    pub fn backbone(&self) -> Backbone {
        self.backbone
    }

    /// The number format that the network computes in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// How far the maps of int8 reach.
    pub fn ranges(&self) -> Option<&ActivationRanges> {
        self.ranges.as_ref()
    }

    /// SHA-256 of the weights file, 64 hexadecimal digits.
    pub fn weights_sha256(&self) -> &str {
        &self.weights_sha256
    }

    /// `cpu` or `cuda:N`.
    pub fn device_name(&self) -> String {
        match self.target.device {
            Device::Cuda(n) => format!("cuda:{n}"),
            _ => "cpu".to_owned(),
        }
    }

    /// Where the feature maps are.
    pub(crate) fn device(&self) -> Device {
        self.target.device
    }

    /// Normalises `image` with ImageNet's mean and standard deviation and runs the network up to the deepest of `layers`.
    ///
    /// Gives one float32 map `[1, C, h, w]` per layer, in the order of `layers`, on [`Self::device`]; in memory the channels
    /// are innermost, so that the features of one place lie side by side.
    ///
    /// # Errors
    /// [`EngineError::Image`] when `rgb` is not `height * width * 3` long or a side is no multiple of [`Backbone::side_multiple`],
    /// [`EngineError::BankMismatch`] when the network has no such layer, [`EngineError::Torch`] for want of memory.
    pub(crate) fn features(&self, image: &ResizedImage, layers: &[Layer]) -> Result<Vec<Tensor>, EngineError> {
        self.check(image, layers)?;
        check_size(image)?;
        let values = if self.precision == Precision::Int8 { image.rgb.clone() } else { normalise(&image.rgb) };
        let size = [1, i64::from(image.height), i64::from(image.width), 3];
        tch::no_grad(|| {
            let input = Tensor::f_from_slice(&values)?.f_view(size)?.f_permute([0, 3, 1, 2])?;
            let input = input.f_to_device(self.target.device)?.f_to_kind(self.target.kind)?;
            let maps = self.network.features(&input, layers)?;
            maps.iter().map(|map| map.f_to_kind(Kind::Float)).collect::<Result<Vec<_>, TchError>>()
        })
        .doing("running the backbone")
    }

    fn check(&self, image: &ResizedImage, layers: &[Layer]) -> Result<(), EngineError> {
        let multiple = self.backbone.side_multiple();
        if !image.width.is_multiple_of(multiple) || !image.height.is_multiple_of(multiple) {
            let text =
                format!("{} takes sides that are multiples of {multiple} pixels, not {}×{}", self.backbone, image.width, image.height);
            return Err(EngineError::Image(text));
        }
        match layers.iter().find(|layer| !self.backbone.layers().contains(layer)) {
            Some(layer) => Err(EngineError::BankMismatch(format!("{} has no {layer}; build the bank again", self.backbone))),
            None => Ok(()),
        }
    }
}

fn kind(precision: Precision) -> Kind {
    match precision {
        // An image goes into an int8 network as float32.
        Precision::Float32 | Precision::Int8 => Kind::Float,
        Precision::Bfloat16 => Kind::BFloat16,
    }
}

/// Int8 is for convolutions on a processor that has them.
fn check_int8(backbone: Backbone, device: DeviceChoice) -> Result<(), EngineError> {
    if !backbone.has_int8() {
        return Err(EngineError::Build(format!("`precision: int8` is not for {backbone}; use `precision: auto`")));
    }
    match device {
        DeviceChoice::Auto | DeviceChoice::Cpu => backbone::check_int8(),
        DeviceChoice::Cuda(_) => {
            let reason = "`precision: int8` is for the processor; use `device: cpu`, or `precision: auto`".to_owned();
            Err(EngineError::Device { device: device.to_string(), reason })
        }
    }
}

fn check_size(image: &ResizedImage) -> Result<(), EngineError> {
    let pixels = u64::from(image.width) * u64::from(image.height);
    if pixels == 0 || image.rgb.len() as u64 != pixels * 3 {
        return Err(EngineError::Image(format!(
            "an image of {}×{} pixels came with {} values, not {}",
            image.width,
            image.height,
            image.rgb.len(),
            pixels * 3
        )));
    }
    Ok(())
}

/// (x / 255 − mean) / std, still `[H, W, 3]`.
fn normalise(rgb: &[f32]) -> Vec<f32> {
    let normal = |channel: usize, x: f32| (x / 255.0 - MEAN[channel]) / STD[channel];
    rgb.as_chunks::<3>().0.iter().flat_map(|[r, g, b]| [normal(0, *r), normal(1, *g), normal(2, *b)]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::ok_images::UnusableImage;
    use super::*;
    use serde_json::Value as Json;
    use std::collections::BTreeMap;

    /// What the Python networks give for the same formulas: tests/fixtures/make_fixtures.py.
    fn golden(network: &str) -> Json {
        let path = format!("{}/tests/fixtures/features/{network}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn uniform(name: &str, count: usize) -> impl Iterator<Item = f32> {
        let seed = name.bytes().fold(2_166_136_261_u32, |seed, byte| (seed ^ u32::from(byte)).wrapping_mul(16_777_619));
        (0..count as u32).map(move |i| {
            let mut x = i.wrapping_mul(2_654_435_761).wrapping_add(seed);
            x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
            x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
            ((x ^ (x >> 16)) >> 8) as f32 / 16_777_216.0
        })
    }

    fn formula_tensor(name: &str, shape: &[i64]) -> Tensor {
        let u = uniform(name, shape.iter().product::<i64>() as usize);
        let values: Vec<f32> = if let [_, c, h, w] = shape {
            let bound = (6.0 / (c * h * w) as f64).sqrt() as f32;
            u.map(|u| (u * 2.0 - 1.0) * bound).collect()
        } else if let ([_, inputs], true) = (shape, name.ends_with("weight")) {
            let bound = (3.0 / *inputs as f64).sqrt() as f32;
            u.map(|u| (u * 2.0 - 1.0) * bound).collect()
        } else if name.ends_with("running_var") {
            u.map(|u| u + 0.5).collect()
        } else if name.ends_with("weight") || name.ends_with("gamma") {
            u.map(|u| u * 0.5 + 0.5).collect()
        } else {
            u.map(|u| (u - 0.5) * 0.25).collect()
        };
        Tensor::f_from_slice(&values).unwrap().f_view(shape).unwrap()
    }

    fn formula_weights(network: &str) -> BTreeMap<String, Tensor> {
        let names: Vec<(String, Vec<i64>)> = serde_json::from_value(golden(network)["tensors"].clone()).unwrap();
        names.into_iter().map(|(name, shape)| (name.clone(), formula_tensor(&name, &shape))).collect()
    }

    fn formula_image(golden: &Json) -> ResizedImage {
        image(golden["height"].as_u64().unwrap() as u32, golden["width"].as_u64().unwrap() as u32)
    }

    fn image(height: u32, width: u32) -> ResizedImage {
        let value = |i: u32| {
            let (y, x, c) = (i / 3 / width, i / 3 % width, i % 3);
            ((x * 7 + y * 13 + c * 29 + x * y % 17 * 5) % 256) as f32
        };
        ResizedImage { width, height, rgb: (0..width * height * 3).map(value).collect() }
    }

    fn extractor(backbone: Backbone, precision: Precision) -> FeatureExtractor {
        extractor_on(Target::new(Device::Cpu, kind(precision)), backbone, precision)
    }

    fn extractor_on(target: Target, backbone: Backbone, precision: Precision) -> FeatureExtractor {
        extractor_of(backbone.as_str(), target, backbone, precision)
    }

    /// The network that a fixture describes.
    fn extractor_of(network: &str, target: Target, backbone: Backbone, precision: Precision) -> FeatureExtractor {
        let dict = StateDict::new(Path::new("formula"), backbone, formula_weights(network));
        FeatureExtractor::from_state_dict(backbone, dict, String::new(), target, precision).unwrap()
    }

    fn assert_golden(extractor: &FeatureExtractor, tolerance: f64) {
        assert_golden_of(extractor.backbone().as_str(), extractor, tolerance);
    }

    /// Compares mean, standard deviation and sampled values; `tolerance` is in standard deviations of the layer.
    fn assert_golden_of(network: &str, extractor: &FeatureExtractor, tolerance: f64) {
        let backbone = extractor.backbone();
        let golden = golden(network);
        let layers = backbone.layers();
        assert_eq!(golden["layers"].as_object().unwrap().len(), layers.len());
        let maps = extractor.features(&formula_image(&golden), layers).unwrap();
        for (layer, map) in layers.iter().zip(&maps) {
            // No later layer has written to it.
            assert!(extractor.features(&formula_image(&golden), &[*layer]).unwrap()[0].f_equal(map).unwrap());
            let want = &golden["layers"][layer.as_str()];
            assert_eq!(want["shape"], Json::from(map.size()), "{network} {layer}");
            assert_eq!(Some(map.size()[1]), super::super::channels(backbone, *layer));
            assert!(map.f_permute([0, 2, 3, 1]).unwrap().is_contiguous());
            assert_eq!(map.f_kind().unwrap(), Kind::Float);
            let flat = map.f_to_kind(Kind::Double).unwrap().f_contiguous().unwrap().f_view([-1]).unwrap();
            let values: Vec<f64> = Vec::try_from(&flat).unwrap();
            let std = want["std"].as_f64().unwrap();
            let close = |got: f64, want: &Json, what: &str| {
                let error = (got - want.as_f64().unwrap()).abs() / std;
                assert!(error <= tolerance, "{network} {layer} {what}: {got} is {error:.1e} standard deviations from {want}");
            };
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            close(mean, &want["mean"], "mean");
            close((values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt(), &want["std"], "std");
            let samples = want["values"].as_array().unwrap();
            for (i, sample) in samples.iter().enumerate() {
                close(values[i * (values.len() - 1) / (samples.len() - 1)], sample, &format!("sample {i}"));
            }
        }
    }

    #[test]
    fn the_resnets_give_torchvisions_features() {
        for backbone in Backbone::ALL.iter().copied().filter(|b| b.as_str().contains("resnet")) {
            assert_golden(&extractor(backbone, Precision::Float32), 1e-4);
        }
    }

    #[test]
    fn the_larger_efficientnets_give_the_features_of_their_package() {
        for backbone in [Backbone::EfficientnetLite1, Backbone::EfficientnetLite2] {
            assert_golden(&extractor(backbone, Precision::Float32), 1e-4);
        }
    }

    const DINOV2: [(&str, Backbone); 4] = [
        ("dinov2_vits14", Backbone::Dinov2Vits14),
        ("dinov2_vits14_reg4", Backbone::Dinov2Vits14),
        ("dinov2_vitb14", Backbone::Dinov2Vitb14),
        ("dinov2_vitb14_reg4", Backbone::Dinov2Vitb14),
    ];

    #[test]
    fn dinov2_gives_upstreams_features_with_and_without_registers() {
        for (network, backbone) in DINOV2 {
            let extractor = extractor_of(network, Target::new(Device::Cpu, Kind::Float), backbone, Precision::Float32);
            assert_golden_of(network, &extractor, 1e-4);
        }
    }

    #[test]
    fn bfloat16_gives_nearly_the_same_features() {
        for backbone in [Backbone::Resnet18, Backbone::Resnet50, Backbone::EfficientnetLite2] {
            assert_golden(&extractor(backbone, Precision::Bfloat16), 0.1);
        }
        for (network, backbone) in &DINOV2[..2] {
            let target = Target::new(Device::Cpu, kind(Precision::Bfloat16));
            assert_golden_of(network, &extractor_of(network, target, *backbone, Precision::Bfloat16), 0.1);
        }
    }

    #[test]
    fn dinov2_takes_whole_patches_and_its_own_layers() {
        let extractor = extractor(Backbone::Dinov2Vits14, Precision::Float32);
        // One patch is enough, and the size that it was trained on is not resampled.
        for (height, width) in [(14, 28), (518, 518)] {
            let maps = extractor.features(&image(height, width), &[Layer::Block2, Layer::Block1]).unwrap();
            let size = [1, 384, i64::from(height) / 14, i64::from(width) / 14];
            assert!(maps.iter().all(|map| map.size() == size));
            let sum = maps[0].f_sum(None).unwrap().f_double_value(&[]).unwrap();
            assert!(sum.is_finite());
        }
        for (height, width) in [(14, 15), (64, 28)] {
            let error = extractor.features(&image(height, width), &[Layer::Block1]).unwrap_err().to_string();
            let size = format!("dinov2_vits14 takes sides that are multiples of 14 pixels, not {width}×{height}");
            assert!(error.contains(&size), "{error}");
        }
        let error = extractor.features(&image(14, 14), &[Layer::Block1, Layer::Layer2]).unwrap_err().to_string();
        assert!(error.contains("dinov2_vits14 has no layer2"), "{error}");
    }

    #[test]
    fn fused_and_plain_convolutions_agree_at_every_size() {
        let standard_deviation = |map: &Tensor| map.f_std(true).unwrap().f_double_value(&[]).unwrap();
        for (precision, tolerance) in [(Precision::Float32, 5e-5), (Precision::Bfloat16, 0.2)] {
            for backbone in [Backbone::Resnet18, Backbone::Resnet50, Backbone::EfficientnetLite0] {
                let target = Target::new(Device::Cpu, kind(precision));
                let fused = extractor_on(target.clone(), backbone, precision);
                let plain = extractor_on(Target { way: Way::Plain, ..target.clone() }, backbone, precision);
                let first = fused.features(&image(64, 64), &[Layer::Layer4]).unwrap();
                for (height, width) in [(64, 64), (64, 96), (47, 33), (65, 66), (130, 67), (7, 200)] {
                    let image = image(height, width);
                    let layers = backbone.layers();
                    let (fused, plain) = (fused.features(&image, layers).unwrap(), plain.features(&image, layers).unwrap());
                    for (layer, (fused, plain)) in layers.iter().zip(fused.iter().zip(&plain)) {
                        assert_eq!(fused.size(), plain.size());
                        let error = fused.f_sub(plain).unwrap().f_abs().unwrap().f_max().unwrap().f_double_value(&[]).unwrap();
                        let error = error / standard_deviation(plain);
                        assert!(error <= tolerance, "{backbone} {layer} {precision:?} {height}×{width}: {error:.1e}");
                    }
                }
                // The sizes seen in between leave no trace.
                assert!(fused.features(&image(64, 64), &[Layer::Layer4]).unwrap()[0].f_equal(&first[0]).unwrap());
            }
        }
    }

    /// Whether this processor has int8; if not, that it is refused.
    fn has_int8() -> bool {
        let checked = check_int8(Backbone::Resnet18, DeviceChoice::Cpu).map_err(|error| error.to_string());
        let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let vnni = flags.contains("avx512_vnni") || flags.contains("avx_vnni");
        match checked {
            Ok(()) => true,
            Err(text) => {
                assert!(!vnni && text.contains("no exact 8-bit products (AVX512-VNNI or AVX-VNNI); use `precision: auto`"), "{text}");
                false
            }
        }
    }

    /// The network of the formula in int8, with ranges measured on `images`.
    fn int8_extractor(backbone: Backbone, images: &[ResizedImage]) -> FeatureExtractor {
        let meter = RangeMeter::default();
        let target = Target { way: Way::Measured(meter.clone()), ..Target::new(Device::Cpu, Kind::Float) };
        let measured = extractor_on(target, backbone, Precision::Float32);
        for image in images {
            drop(measured.features(image, &[Layer::Layer4]).unwrap());
        }
        extractor_on(Target::int8(meter.ranges()), backbone, Precision::Int8)
    }

    /// Size of the difference over size of the features.
    fn relative_error(map: &Tensor, reference: &Tensor) -> f64 {
        let size = |tensor: &Tensor| tensor.f_norm().unwrap().f_double_value(&[]).unwrap();
        size(&map.f_sub(reference).unwrap()) / size(reference)
    }

    #[test]
    fn int8_gives_nearly_the_features_of_float32_at_every_size() {
        if !has_int8() {
            return;
        }
        for backbone in [Backbone::Resnet18, Backbone::Resnet50, Backbone::EfficientnetLite0, Backbone::EfficientnetLite2] {
            let float32 = extractor(backbone, Precision::Float32);
            let int8 = int8_extractor(backbone, &[image(96, 128), image(64, 64)]);
            for (height, width) in [(96, 128), (64, 64), (65, 66), (47, 33), (130, 67)] {
                let image = image(height, width);
                let (maps, references) =
                    (int8.features(&image, backbone.layers()).unwrap(), float32.features(&image, backbone.layers()).unwrap());
                for (layer, (map, reference)) in backbone.layers().iter().zip(maps.iter().zip(&references)) {
                    assert_eq!((map.size(), map.f_kind().unwrap()), (reference.size(), Kind::Float));
                    assert!(map.f_permute([0, 2, 3, 1]).unwrap().is_contiguous());
                    let error = relative_error(map, reference);
                    assert!(error < 0.15, "{backbone} {layer} {height}×{width}: {error:.3}");
                    // No later layer has written to it, and the same image gives the same bits.
                    assert!(int8.features(&image, &[*layer]).unwrap()[0].f_equal(map).unwrap());
                }
            }
        }
    }

    #[test]
    fn int8_goes_as_far_as_it_was_measured_and_no_further() {
        if !has_int8() {
            return;
        }
        let dark = |image: ResizedImage| ResizedImage { rgb: image.rgb.iter().map(|value| 110.0 + value / 64.0).collect(), ..image };
        let int8 = int8_extractor(Backbone::Resnet18, &[dark(image(64, 64))]);
        let float32 = extractor(Backbone::Resnet18, Precision::Float32);
        let largest = |extractor: &FeatureExtractor, image: &ResizedImage| {
            extractor.features(image, &[Layer::Layer1]).unwrap()[0].f_max().unwrap().f_double_value(&[]).unwrap()
        };
        let (measured, beyond) = (largest(&float32, &dark(image(64, 64))), image(64, 64));
        assert!(largest(&float32, &beyond) > 1.2 * measured);
        assert!((largest(&int8, &beyond) - measured).abs() < 0.02 * measured);
    }

    #[test]
    fn int8_is_refused_where_it_cannot_be() {
        struct Images(Vec<Option<ResizedImage>>);
        impl ImageSource for Images {
            fn names(&self) -> Vec<String> {
                (0..self.0.len()).map(|i| i.to_string()).collect()
            }
            fn load(&self, index: usize) -> Result<ResizedImage, UnusableImage> {
                self.0[index].clone().ok_or_else(|| UnusableImage("damaged".into()))
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resnet18.safetensors");
        Tensor::write_safetensors(&formula_weights("resnet18").iter().collect::<Vec<_>>(), &path).unwrap();
        let measure = |backbone, device, images: Vec<Option<ResizedImage>>| {
            FeatureExtractor::measure_ranges(backbone, &path, device, &Images(images)).map_err(|error| error.to_string())
        };
        let load = |backbone, ranges: Option<&ActivationRanges>, precision| {
            let choice = PrecisionChoice::Fixed(precision);
            FeatureExtractor::load(backbone, &path, DeviceChoice::Auto, choice, ranges).map_err(|error| error.to_string())
        };
        let text = measure(Backbone::Dinov2Vits14, DeviceChoice::Auto, Vec::new()).unwrap_err();
        assert!(text.contains("`precision: int8` is not for dinov2_vits14; use `precision: auto`"), "{text}");
        let text = measure(Backbone::Resnet18, DeviceChoice::Cuda(0), Vec::new()).unwrap_err();
        assert!(text.contains("`precision: int8` is for the processor; use `device: cpu`"), "{text}");
        if !has_int8() {
            return;
        }
        let text = measure(Backbone::Resnet18, DeviceChoice::Cpu, vec![None, None]).unwrap_err();
        assert!(text.contains("none of these can be used"), "{text}");
        // One image that cannot be used does not matter.
        let ranges = measure(Backbone::Resnet18, DeviceChoice::Auto, vec![None, Some(image(64, 64))]).unwrap();
        assert!(ranges.are_sound());
        let loaded = load(Backbone::Resnet18, Some(&ranges), Precision::Int8).unwrap();
        assert_eq!((loaded.precision(), loaded.device_name().as_str(), loaded.ranges()), (Precision::Int8, "cpu", Some(&ranges)));
        assert_eq!(load(Backbone::Resnet18, Some(&ranges), Precision::Float32).unwrap().ranges(), None);
        let text = load(Backbone::Resnet18, None, Precision::Int8).err().unwrap();
        assert!(text.contains("the bank was not built in int8; build it again"), "{text}");
        let text = load(Backbone::Resnet18, Some(&ActivationRanges::default()), Precision::Int8).err().unwrap();
        assert!(text.contains("the bank says no range of conv1 for int8; build it again"), "{text}");
    }

    #[test]
    fn efficientnet_lite0_gives_its_published_features() {
        let Ok(weights) = super::super::find_weights(Backbone::EfficientnetLite0, None) else {
            println!("SKIPPED: no EfficientNet-Lite0 weights here; run `make setup`");
            return;
        };
        for (precision, tolerance) in [(Precision::Float32, 1e-4), (Precision::Bfloat16, 0.1)] {
            let choice = PrecisionChoice::Fixed(precision);
            let extractor = FeatureExtractor::load(Backbone::EfficientnetLite0, &weights, DeviceChoice::Cpu, choice, None).unwrap();
            assert_golden(&extractor, tolerance);
            assert_eq!((extractor.precision(), extractor.device_name().as_str()), (precision, "cpu"));
        }
    }

    #[test]
    fn layers_come_in_the_order_asked_for_and_with_channels_innermost() {
        let golden = golden("resnet18");
        let (extractor, image) = (extractor(Backbone::Resnet18, Precision::Float32), formula_image(&golden));
        let maps = extractor.features(&image, &[Layer::Layer3, Layer::Layer1]).unwrap();
        assert_eq!(maps[0].size(), [1, 256, 4, 6]);
        assert_eq!(maps[1].size(), [1, 64, 16, 24]);
        assert!(maps.iter().all(|map| map.stride()[1] == 1 && map.f_permute([0, 2, 3, 1]).unwrap().is_contiguous()));
        // The same image gives the same bits.
        assert!(extractor.features(&image, &[Layer::Layer3]).unwrap()[0].f_equal(&maps[0]).unwrap());
    }

    #[test]
    fn a_small_odd_image_is_no_problem_and_a_wrong_one_an_error() {
        let extractor = extractor(Backbone::Resnet18, Precision::Float32);
        let image = ResizedImage { width: 33, height: 47, rgb: vec![128.0; 33 * 47 * 3] };
        assert_eq!(extractor.features(&image, &[Layer::Layer4]).unwrap()[0].size(), [1, 512, 2, 2]);
        for (width, height, values) in [(33, 47, 33 * 47), (0, 0, 0), (2, 2, 13)] {
            let image = ResizedImage { width, height, rgb: vec![0.0; values] };
            assert!(matches!(extractor.features(&image, &[Layer::Layer4]), Err(EngineError::Image(_))));
        }
    }

    #[test]
    fn a_state_dict_is_loaded_from_a_file_and_can_go_to_another_thread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resnet18.safetensors");
        Tensor::write_safetensors(&formula_weights("resnet18").iter().collect::<Vec<_>>(), &path).unwrap();
        let load = |backbone| FeatureExtractor::load(backbone, &path, DeviceChoice::Cpu, PrecisionChoice::Fixed(Precision::Float32), None);
        let loaded = load(Backbone::Resnet18).unwrap();
        assert_eq!(loaded.weights_sha256(), file_sha256(&path).unwrap());
        std::thread::spawn(move || assert_golden(&loaded, 1e-4)).join().unwrap();
        // Another network's file is refused with names and sizes.
        for (backbone, words) in [
            (Backbone::Resnet34, "tensors missing: layer1.2.conv1.weight, "),
            (Backbone::Resnet50, "layer1.0.conv1.weight [64, 64, 3, 3] where [64, 64, 1, 1] is needed"),
            (Backbone::EfficientnetLite0, "missing: _conv_stem.weight, _bn0.weight, _bn0.bias and "),
            (Backbone::Dinov2Vits14, "missing: patch_embed.proj.weight, patch_embed.proj.bias, cls_token and "),
        ] {
            let error = load(backbone).err().unwrap();
            let text = error.to_string();
            assert!(
                matches!(error, EngineError::WeightsMismatch { .. }) && text.contains(words) && text.contains("resnet18.safetensors"),
                "{text}"
            );
        }
    }

    #[test]
    fn weights_that_are_no_numbers_or_no_feature_layers_are_refused() {
        let refuse_by = |backbone: Backbone, change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
            let mut tensors = formula_weights(backbone.as_str());
            change(&mut tensors);
            let dict = StateDict::new(Path::new("formula"), backbone, tensors);
            let target = Target::new(Device::Cpu, Kind::Float);
            FeatureExtractor::from_state_dict(backbone, dict, String::new(), target, Precision::Float32).err().map(|e| e.to_string())
        };
        let refuse = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| refuse_by(Backbone::Resnet18, change);
        let name = "layer3.1.bn2.running_var";
        let text = refuse(&|t| drop(t.insert(name.into(), Tensor::f_full([256], -1.0, (Kind::Float, Device::Cpu)).unwrap()))).unwrap();
        assert!(text.contains("layer3.1.conv2 or layer3.1.bn2"), "{text}");
        let text = refuse(&|t| drop(t.insert("layer5.weight".into(), Tensor::f_zeros([1], (Kind::Float, Device::Cpu)).unwrap()))).unwrap();
        assert!(text.contains("1 tensor unknown: layer5.weight"), "{text}");
        let constant = |size: &[i64], value: f64| Tensor::f_full(size, value, (Kind::Float, Device::Cpu)).unwrap();
        let by_dinov2 = |name: &str, tensor: Option<Tensor>| {
            refuse_by(Backbone::Dinov2Vits14, &|t| {
                t.remove(name);
                t.extend(tensor.as_ref().map(|tensor| (name.to_owned(), tensor.shallow_clone())));
            })
        };
        let text = by_dinov2("blocks.3.ls2.gamma", Some(constant(&[384], f64::NAN))).unwrap();
        assert!(text.contains("blocks.3.ls2.gamma holds values that are not numbers"), "{text}");
        let text = by_dinov2("register_tokens", Some(constant(&[1, 5, 384], 0.0))).unwrap();
        assert!(text.contains("register_tokens [1, 5, 384] where [1, 4, 384] is needed"), "{text}");
        let text = by_dinov2("blocks.12.norm1.weight", Some(constant(&[384], 1.0))).unwrap();
        assert!(text.contains("1 tensor unknown: blocks.12.norm1.weight"), "{text}");
        assert_eq!(by_dinov2("mask_token", None), None);
        assert_eq!(refuse(&|t| t.retain(|name, _| !name.starts_with("fc."))), None);
        assert_eq!(
            refuse(&|t| drop(t.insert("bn1.num_batches_tracked".into(), Tensor::f_zeros([], (Kind::Int64, Device::Cpu)).unwrap()))),
            None
        );
    }
}
