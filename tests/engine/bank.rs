//! A bank from images to files and back, with the EfficientNet-Lite0 weights.

use patchcored::domain::{
    Backbone, BuildOptions, Calibration, CoresetMethod, DeviceChoice, Layer, Precision, PrecisionChoice, ResizedImage,
};
use patchcored::patchcore::{
    BuildPhase, BuiltBank, EngineError, FeatureExtractor, ImageSource, MemoryBank, UnusableImage, build_bank, find_weights, score,
    set_threads,
};
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of threads belongs to the process, so the tests here take turns. One thread, because libtorch's waiting threads
/// slow a busy machine down many times over.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    set_threads(1);
    turn
}

fn extractor() -> FeatureExtractor {
    let weights = find_weights(Backbone::EfficientnetLite0, None).unwrap();
    FeatureExtractor::load(Backbone::EfficientnetLite0, &weights, DeviceChoice::Cpu, PrecisionChoice::Fixed(Precision::Float32), None)
        .unwrap()
}

/// A small bank that is scored by levels.
fn options() -> BuildOptions {
    small(BuildOptions::default())
}

/// A small bank that is scored by the largest distance.
fn largest_distance() -> BuildOptions {
    small(BuildOptions::largest_distance())
}

fn small(options: BuildOptions) -> BuildOptions {
    let layers = vec![Layer::Layer2, Layer::Layer3];
    BuildOptions { backbone: Backbone::EfficientnetLite0, shorter: 96, stride: 1, layers, coreset: 0.1, ..options }
}

/// Stripes and a dot that wander with the number.
fn image(number: usize) -> ResizedImage {
    let (width, height) = (128_u32, 96_u32);
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let stripe = ((x as usize + 3 * number) / 8 % 2) as f32 * 120.0;
            let (dx, dy) = (x as f32 - 40.0 - 5.0 * number as f32, y as f32 - 48.0);
            let dot = if dx * dx + dy * dy < 150.0 { 100.0 } else { 0.0 };
            rgb.extend([stripe + dot, 0.5 * stripe + y as f32, 60.0 + ((x * 7 + y * 13 + number as u32 * 29) % 31) as f32]);
        }
    }
    ResizedImage { width, height, rgb }
}

/// Images `ok_00.png` … listed in the order of `numbers`; one of them may be broken.
struct Formula {
    numbers: Vec<usize>,
    broken: Option<usize>,
}

impl Formula {
    fn of(numbers: impl IntoIterator<Item = usize>) -> Self {
        Self { numbers: numbers.into_iter().collect(), broken: None }
    }
}

impl ImageSource for Formula {
    fn names(&self) -> Vec<String> {
        self.numbers.iter().map(|n| format!("ok_{n:02}.png")).collect()
    }

    fn load(&self, index: usize) -> Result<ResizedImage, UnusableImage> {
        let number = self.numbers[index];
        if self.broken == Some(number) {
            return Err(UnusableImage("incomplete: cut short".into()));
        }
        Ok(image(number))
    }
}

fn build(source: Formula, options: &BuildOptions) -> BuiltBank {
    build_bank(&extractor(), &source, options, &mut |_| {}).unwrap()
}

fn rows_file(built: &BuiltBank) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    built.bank.save(folder.path()).unwrap();
    fs::read(folder.path().join("memory_bank.pt")).unwrap()
}

fn load_error(folder: &Path) -> String {
    match MemoryBank::load(folder) {
        Ok(_) => panic!("the bank was loaded"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_same_seed_and_files_give_the_same_bank_in_any_order() {
    let _turn = turn();
    use CoresetMethod::{Greedy, Kmeans, Random};
    let of_guide = [Greedy, Kmeans, Random].map(|coreset_method| BuildOptions { coreset_method, ..largest_distance() });
    let of_levels = [Greedy, Random].map(|coreset_method| BuildOptions { coreset_method, ..options() });
    for options in of_guide.into_iter().chain(of_levels) {
        let coreset_method = options.coreset_method;
        // Fewer rows than patches, so that the reservoir drops some too.
        let options = BuildOptions { reservoir_max: 700, ..options };
        let first = build(Formula::of(0..6), &options);
        assert_eq!(first.summary.patches, 6 * 12 * 16);
        let again = build(Formula::of([4, 0, 5, 2, 1, 3]), &options);
        assert!(rows_file(&first) == rows_file(&again), "{coreset_method}");
        assert_eq!(first.summary.tau, again.summary.tau);
        assert!(rows_file(&first) != rows_file(&build(Formula::of(0..6), &BuildOptions { seed: 1, ..options })), "{coreset_method}");
    }
}

#[test]
fn a_bank_comes_back_from_its_folder_as_it_was() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut phases = Vec::new();
    let extractor = extractor();
    let mut built = build_bank(&extractor, &Formula::of(0..4), &options(), &mut |p| {
        assert!(p.done <= p.total);
        if phases.last() != Some(&p.phase) {
            phases.push(p.phase);
        }
    })
    .unwrap();
    assert_eq!(phases, [BuildPhase::Embed, BuildPhase::Coreset, BuildPhase::Calibrate]);
    built.bank.set_ok_fingerprint("abc".to_owned());
    built.bank.save(&folder.path().join("new")).unwrap();
    let loaded = MemoryBank::load(&folder.path().join("new")).unwrap();
    // 76 rows for each level, the axes of 152 values, and their middle.
    assert_eq!((loaded.rows(), loaded.dim(), loaded.tau()), (76 + 76 + 152 + 1, 128, built.summary.tau));
    assert_eq!(loaded.config().ok_fingerprint.as_deref(), Some("abc"));
    assert_eq!((loaded.config().images, loaded.config().patches, loaded.config().rows), (Some(4), Some(768), Some(305)));
    assert_eq!(loaded.config().options(), options());
    assert!(!loaded.config().scored_right_by_python_scripts);
    let unseen = image(9);
    assert_eq!(score(&extractor, &loaded, &unseen).unwrap(), score(&extractor, &built.bank, &unseen).unwrap());
    loaded.check_extractor(&extractor).unwrap();
}

#[test]
fn the_seven_keys_of_the_scripts_are_enough_to_load_a_bank() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let built = build(Formula::of(0..2), &largest_distance());
    built.bank.save(folder.path()).unwrap();
    // A bank without `backbone` is one of resnet50, whose layer2 and layer3 have other widths.
    let seven = r#"{"shorter": 96, "stride": 1, "layers": ["layer2", "layer3"], "coreset": 0.1, "reservoir_max": 100000,
        "pixel_pct": 0.995, "image_pct": 1"#;
    fs::write(folder.path().join("bank_config.json"), format!("{seven}}}")).unwrap();
    let error = load_error(folder.path());
    assert!(error.contains("memory_bank.pt") && error.contains("152") && error.contains("1536"), "{error}");
    fs::write(folder.path().join("bank_config.json"), format!(r#"{seven}, "backbone": "efficientnet_lite0", "note": [NaN]}}"#)).unwrap();
    let bank = MemoryBank::load(folder.path()).unwrap();
    assert_eq!(bank.tau(), built.summary.tau);
    bank.check_extractor(&extractor()).unwrap();
}

#[test]
fn what_is_wrong_with_a_bank_folder_is_named() {
    let _turn = turn();
    for options in [options(), largest_distance()] {
        wrong_folders_are_named(&options);
    }
}

fn wrong_folders_are_named(options: &BuildOptions) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    build(Formula::of(0..2), options).bank.save(folder.path()).unwrap();
    MemoryBank::load(folder.path()).unwrap();
    let keep = |name: &str| fs::read(path(name)).unwrap();
    let (rows, tau, config) = (keep("memory_bank.pt"), keep("tau.json"), keep("bank_config.json"));
    let text = String::from_utf8(config.clone()).unwrap();

    fs::write(path("tau.json"), r#"{"pixel": NaN, "image": 1.0}"#).unwrap();
    let error = load_error(folder.path());
    assert!(error.contains("tau.json") && error.contains("`pixel`") && error.contains("build the bank again"), "{error}");
    fs::write(path("tau.json"), tau).unwrap();

    let mut damaged = rows.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(path("memory_bank.pt"), &damaged).unwrap();
    let error = load_error(folder.path());
    assert!(error.contains("memory_bank.pt") && error.contains("sha256"), "{error}");

    // Without a recorded hash the content itself must be refused.
    fs::write(path("bank_config.json"), text.replace("memory_bank_sha256", "another_key")).unwrap();
    for cut in [0, 10, rows.len() / 2, rows.len() - 1] {
        fs::write(path("memory_bank.pt"), &rows[..cut]).unwrap();
        assert!(load_error(folder.path()).contains("memory_bank.pt"));
    }
    let mut not_finite = rows.clone();
    let nan = f32::NAN.to_le_bytes();
    let start = rows.len() / 2 / 64 * 64;
    not_finite[start..start + 4].copy_from_slice(&nan);
    fs::write(path("memory_bank.pt"), &not_finite).unwrap();
    assert!(load_error(folder.path()).contains("memory_bank.pt"));

    fs::write(path("bank_config.json"), text.replace("\"stride\": 1", "\"stride\": 0")).unwrap();
    let error = load_error(folder.path());
    assert!(error.contains("bank_config.json") && error.contains("`stride`"), "{error}");
    fs::write(path("bank_config.json"), text.replace("layer3", "layer9")).unwrap();
    let error = load_error(folder.path());
    assert!(error.contains("bank_config.json") && error.contains("layer9"), "{error}");

    fs::write(path("bank_config.json"), &config).unwrap();
    for name in ["memory_bank.pt", "tau.json", "bank_config.json"] {
        let content = keep(name);
        fs::remove_file(path(name)).unwrap();
        let error = load_error(folder.path());
        assert!(error.contains(name) && error.contains("missing"), "{error}");
        fs::write(path(name), content).unwrap();
    }
}

#[test]
fn a_bank_of_another_network_is_refused() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let extractor = extractor();
    build(Formula::of(0..2), &options()).bank.save(folder.path()).unwrap();
    let path = folder.path().join("bank_config.json");
    let text = fs::read_to_string(&path).unwrap();
    let own = extractor.weights_sha256();
    for (from, to, said) in [("\"float32\"", "\"bfloat16\"", "precision: bfloat16"), (own, &"0".repeat(64), "weights")] {
        fs::write(&path, text.replace(from, to)).unwrap();
        let bank = MemoryBank::load(folder.path()).unwrap();
        let Err(EngineError::BankMismatch(error)) = score(&extractor, &bank, &image(0)) else { panic!("it was scored") };
        assert!(error.contains(said) && error.contains("build the bank again"), "{error}");
    }
}

#[test]
fn held_out_tau_is_not_below_in_sample_tau() {
    let _turn = turn();
    // Once with all patches at hand, once with the images embedded a second time.
    for reservoir_max in [100_000, 600] {
        let of = |calibration| build(Formula::of(0..5), &BuildOptions { calibration, reservoir_max, ..largest_distance() }).summary.tau;
        let (in_sample, held_out) = (of(Calibration::InSample), of(Calibration::HeldOut));
        assert!(held_out.pixel >= in_sample.pixel && held_out.image >= in_sample.image, "{held_out:?} {in_sample:?}");
    }
}

#[test]
fn in_sample_tau_of_the_highest_quantile_is_the_highest_score() {
    let _turn = turn();
    let extractor = extractor();
    // Once with all patches at hand, once with the images embedded a second time.
    for (smoothing, reservoir_max) in [(0, 100_000), (3, 100_000), (3, 600)] {
        let options = BuildOptions {
            calibration: Calibration::InSample,
            image_pct: 1.0,
            pixel_pct: 1.0,
            smoothing,
            reservoir_max,
            ..largest_distance()
        };
        let built = build(Formula::of(0..4), &options);
        let scores = (0..4).map(|n| f64::from(score(&extractor, &built.bank, &image(n)).unwrap().image));
        let highest = scores.fold(0.0, f64::max);
        assert!((built.summary.tau.image - highest).abs() <= 1e-5 * highest);
        assert_eq!(built.summary.tau.image, built.summary.tau.pixel);
    }
}

#[test]
fn an_image_that_cannot_be_read_is_skipped_and_reported() {
    let _turn = turn();
    let whole = build(Formula::of([0, 1, 3]), &options());
    let built = build(Formula { numbers: vec![0, 1, 2, 3], broken: Some(2) }, &options());
    assert_eq!(built.summary.images, 3);
    assert_eq!(built.summary.skipped.len(), 1);
    assert!(built.summary.skipped[0].0 == "ok_02.png" && built.summary.skipped[0].1.contains("cut short"));
    assert!(rows_file(&built) == rows_file(&whole));
    for source in [Formula { numbers: vec![2], broken: Some(2) }, Formula::of([])] {
        assert!(matches!(build_bank(&extractor(), &source, &options(), &mut |_| {}), Err(EngineError::Build(_))));
    }
}

#[test]
fn another_thread_count_moves_scores_by_rounding_only() {
    let _turn = turn();
    let extractor = extractor();
    let bank = build(Formula::of(0..4), &options()).bank;
    let with = |threads: usize| {
        set_threads(threads);
        (0..10).map(|n| score(&extractor, &bank, &image(n)).unwrap()).collect::<Vec<_>>()
    };
    let one = with(1);
    let three = with(3);
    set_threads(1);
    for (a, b) in one.iter().zip(&three) {
        assert!((a.image - b.image).abs() <= 1e-4 * a.image, "{} against {}", a.image, b.image);
        for (x, y) in a.grid.values.iter().zip(&b.grid.values) {
            assert!((x - y).abs() <= 1e-4 * a.grid.peak(), "{x} against {y} at a peak of {}", a.grid.peak());
        }
    }
}

/// The same picture with a bright spot.
fn with_spot(mut image: ResizedImage) -> ResizedImage {
    for (y, x) in (50..62).flat_map(|y| (60..72).map(move |x| (y, x))) {
        image.rgb[(y * 128 + x) * 3..][..3].fill(255.0);
    }
    image
}

#[test]
fn levels_tell_an_odd_image_from_a_good_one() {
    let _turn = turn();
    let extractor = extractor();
    // Once with all patches at hand, once with the images embedded another time.
    for reservoir_max in [100_000, 1500] {
        let built = build(Formula::of(0..12), &BuildOptions { reservoir_max, ..options() });
        let of = |image: &ResizedImage| score(&extractor, &built.bank, image).unwrap();
        for number in 0..12 {
            let (good, odd) = (of(&image(number)), of(&with_spot(image(number))));
            assert!(f64::from(good.image) <= built.summary.tau.image, "{number}: {} above {:?}", good.image, built.summary.tau);
            assert!(f64::from(odd.image) > built.summary.tau.image, "{number}: {} below {:?}", odd.image, built.summary.tau);
            // The spot lies around place (7, 8) of 16 x 12 patches.
            let peak = odd.grid.values.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap().0;
            assert!((6..=9).contains(&(peak % 16)) && (5..=8).contains(&(peak / 16)), "{number}: {peak}");
        }
        let promise = built.summary.false_alarms.unwrap();
        assert!((70.0..400.0).contains(&promise.expected) && promise.bound > promise.expected, "{promise:?}");
        assert!(built.summary.tau_warning.unwrap().contains("is a fit to the scores of 12 groups"));
    }
}

#[test]
fn an_odd_ok_image_is_named_and_copies_count_once() {
    let _turn = turn();
    struct Odd(Formula);
    impl ImageSource for Odd {
        fn names(&self) -> Vec<String> {
            self.0.names()
        }
        fn load(&self, index: usize) -> Result<ResizedImage, UnusableImage> {
            match self.0.numbers[index] {
                13 => Ok(with_spot(image(5))),
                // The same part once more, with a little noise.
                12 => Ok(ResizedImage { rgb: image(3).rgb.iter().map(|value| value + 0.5).collect(), ..image(3) }),
                number => Ok(image(number)),
            }
        }
    }
    let built = build_bank(&extractor(), &Odd(Formula::of(0..14)), &options(), &mut |_| {}).unwrap();
    assert_eq!(built.summary.stands_out, ["ok_13.png"]);
    assert_eq!(built.summary.near_copies, [["ok_03.png", "ok_12.png"]]);
    let plain = build(Formula::of(0..12), &options());
    let (before, after) = (plain.summary.tau.image, built.summary.tau.image);
    assert!((after / before - 1.0).abs() < 0.05, "{before} {after}");
}
