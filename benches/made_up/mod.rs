//! Networks, images and banks for the benchmarks: made up, since speed does not depend on what is in them.

use patchcored::config::{InputConfig, OutputsConfig};
use patchcored::domain::{
    Backbone, BuildOptions, DeviceChoice, EngineSize, OutputsFor, OverlayFormat, Picture, Precision, PrecisionChoice, ResizedImage, Samples,
};
use patchcored::imaging::resize::resize_for_engine;
use patchcored::inspect::{Expectation, InspectionPlan, OutputPaths, OverlayLook, VerdictRules, read};
use patchcored::patchcore::bench::run_backbone;
use patchcored::patchcore::{FeatureExtractor, ImageSource, MemoryBank, UnusableImage, build_bank, score};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, TensorView};
use std::path::PathBuf;
use std::time::Instant;
use tempfile::TempDir;

/// The default size of the convolutional networks.
const SIZE: EngineSize = EngineSize::new(512, 1);

/// The precisions that this processor has.
pub fn precisions() -> Vec<Precision> {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let has_int8 = flags.contains("avx512_vnni") || flags.contains("avx_vnni");
    Precision::ALL.iter().copied().filter(|precision| *precision != Precision::Int8 || has_int8).collect()
}

/// A backbone with random weights of the right sizes.
pub fn extractor(backbone: Backbone, precision: impl Into<Option<Precision>>) -> FeatureExtractor {
    let fixture = format!("{}/tests/fixtures/features/{backbone}.json", env!("CARGO_MANIFEST_DIR"));
    let fixture: serde_json::Value = serde_json::from_slice(&std::fs::read(fixture).unwrap()).unwrap();
    let tensors: Vec<(String, Vec<usize>)> = serde_json::from_value(fixture["tensors"].clone()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let values: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(name, shape)| {
            let count = shape.iter().product::<usize>();
            // Kaiming's bound keeps the features in range however deep the network.
            let bound = if shape.len() == 4 { (6.0 / (count / shape[0]) as f32).sqrt() } else { 0.1 };
            let base = if name.ends_with("running_var") || (shape.len() == 1 && name.ends_with("weight")) { 1.0 } else { 0.0 };
            (0..count).flat_map(|_| (base + (rng.random::<f32>() * 2.0 - 1.0) * bound).to_le_bytes()).collect()
        })
        .collect();
    let views =
        tensors.iter().zip(&values).map(|((name, shape), bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made_up.safetensors");
    safetensors::serialize_to_file(views, None, &path).unwrap();
    let precision = precision.into().map_or(PrecisionChoice::Auto, PrecisionChoice::Fixed);
    let ranges = (precision == PrecisionChoice::Fixed(Precision::Int8))
        .then(|| FeatureExtractor::measure_ranges(backbone, &path, DeviceChoice::Cpu, &MadeUp).unwrap());
    FeatureExtractor::load(backbone, &path, DeviceChoice::Cpu, precision, ranges.as_ref()).unwrap()
}

/// A gray disc on a grained ground, RGB, `side`×`side`, another one for every seed.
fn picture_of(side: u32, seed: u64) -> Picture {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (half, grain) = (i64::from(side) / 2, 24);
    let samples = (0..i64::from(side) * i64::from(side))
        .flat_map(|i| {
            let (x, y) = (i % i64::from(side) - half, i / i64::from(side) - half);
            let base = if x * x + y * y < half * half / 2 { 150 } else { 60 };
            let gray = base + rng.random_range(0..grain) as u8;
            [gray, gray, gray / 2 + 40]
        })
        .collect();
    Picture { width: side, height: side, channels: 3, bit_depth: 8, samples: Samples::U8(samples) }
}

/// One such picture.
pub fn picture(side: u32) -> Picture {
    picture_of(side, 99)
}

struct MadeUp;

impl ImageSource for MadeUp {
    fn names(&self) -> Vec<String> {
        (0..10).map(|number| format!("{number}.png")).collect()
    }

    fn load(&self, index: usize) -> Result<ResizedImage, UnusableImage> {
        Ok(resize_for_engine(&picture_of(512, index as u64), SIZE))
    }
}

/// A folder with a bank of ResNet50 of 2000 rows.
pub fn saved_bank() -> TempDir {
    let options = BuildOptions { coreset: 2000.0 / 10_240.0, ..BuildOptions::largest_distance() };
    let bank = build_bank(&extractor(Backbone::Resnet50, None), &MadeUp, &options, &mut |_| {}).unwrap().bank;
    assert_eq!(bank.rows(), 2000);
    let folder = tempfile::tempdir().unwrap();
    bank.save(folder.path()).unwrap();
    folder
}

/// What large cameras write: a JPEG of 20 megapixels and a gray PNG of 5 megapixels with 12 bits in 16.
pub struct LargeImages {
    folder: TempDir,
}

impl LargeImages {
    /// The files.
    pub const FILES: [(&str, Option<u8>); 2] = [("20mp.jpg", None), ("5mp_12bit.png", Some(12))];

    /// Writes them.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let smooth = |x: u32, y: u32| (x / 9 + y / 7) % 180;
        let jpeg = image::RgbImage::from_fn(5472, 3648, |x, y| {
            let gray = (smooth(x, y) + rng.random_range(0..16)) as u8;
            image::Rgb([gray, gray / 2, 255 - gray])
        });
        jpeg.save(folder.path().join(Self::FILES[0].0)).unwrap();
        let png = image::ImageBuffer::from_fn(2448, 2048, |x, y| image::Luma([(smooth(x, y) * 20 + rng.random_range(0..64)) as u16]));
        png.save(folder.path().join(Self::FILES[1].0)).unwrap();
        Self { folder }
    }

    /// From the file to what the network takes.
    pub fn read(&self, (file, bit_depth): (&str, Option<u8>)) -> ResizedImage {
        let input = InputConfig { bit_depth, ..InputConfig::default() };
        let source = read(&self.folder.path().join(file), &Expectation { max_megapixels: 64, input, ..Expectation::default() }).unwrap();
        resize_for_engine(&source.picture, SIZE)
    }
}

/// A folder with an image as PNG and as JPEG, a network, and a bank of 1024 rows: all that an image meets on its way.
pub struct Pipeline {
    folder: TempDir,
    extractor: FeatureExtractor,
    bank: MemoryBank,
}

impl Pipeline {
    /// For images of `side` pixels and banks with these options, but 1024 rows at each level. `None`: in the precision that `auto` comes
    /// to here.
    pub fn new(options: BuildOptions, precision: impl Into<Option<Precision>>, side: u32) -> Self {
        let extractor = extractor(options.backbone, precision);
        let options = BuildOptions { coreset: 0.1, ..options };
        let bank = build_bank(&extractor, &MadeUp, &options, &mut |_| {}).unwrap().bank;
        let folder = tempfile::tempdir().unwrap();
        let picture = picture(side);
        let Samples::U8(samples) = picture.samples else { unreachable!() };
        let image = image::RgbImage::from_raw(side, side, samples).unwrap();
        for name in ["part.png", "part.jpg"] {
            image.save(folder.path().join(name)).unwrap();
        }
        Self { folder, extractor, bank }
    }

    fn plan(&self) -> InspectionPlan {
        InspectionPlan { expect: self.expect(), size: SIZE, rules: VerdictRules::default() }
    }

    /// Where the image of this name is.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// From the file to mask and overlay on disk, one stage after the other.
    pub fn inspect(&self, file: &str) {
        let picture = read(&self.path(file), &self.expect()).unwrap().picture;
        let grid = score(&self.extractor, &self.bank, &resize_for_engine(&picture, SIZE)).unwrap();
        let verdict = self.plan().judge(&grid, &picture, self.bank.tau());
        OutputPaths::beside(&self.path(file), &self.outputs()).write(&picture, &verdict, None, OverlayLook::default()).unwrap();
    }

    /// Medians of `rounds` in ms: read, resize, backbone, nearest, judge, write.
    pub fn stages(&self, file: &str, rounds: usize) -> [f64; 6] {
        let layers = &self.bank.config().layers;
        self.inspect(file);
        let mut times: [Vec<f64>; 6] = Default::default();
        for _ in 0..rounds {
            let mut at = Instant::now();
            let mut lap = |stage: usize| {
                times[stage].push(at.elapsed().as_secs_f64() * 1e3);
                at = Instant::now();
            };
            let picture = read(&self.path(file), &self.expect()).unwrap().picture;
            lap(0);
            let resized = resize_for_engine(&picture, SIZE);
            lap(1);
            run_backbone(&self.extractor, &resized, layers).unwrap();
            lap(2);
            let grid = score(&self.extractor, &self.bank, &resized).unwrap();
            lap(3);
            let verdict = self.plan().judge(&grid, &picture, self.bank.tau());
            lap(4);
            OutputPaths::beside(&self.path(file), &self.outputs()).write(&picture, &verdict, None, OverlayLook::default()).unwrap();
            lap(5);
        }
        let mut medians = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[rounds / 2]
        });
        // Scoring runs the backbone too.
        medians[3] -= medians[2];
        medians
    }

    fn outputs(&self) -> OutputsConfig {
        OutputsConfig {
            mask: true,
            of: OutputsFor::All,
            overlay: Some(OverlayFormat::Png),
            overlay_text: false,
            heat: false,
            side_by_side: false,
            scores: false,
            dir: None,
        }
    }

    fn expect(&self) -> Expectation {
        Expectation { max_megapixels: 64, ..Expectation::default() }
    }
}
