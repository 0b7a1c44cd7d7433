//! The stages of the engine at fixed sizes, and at the end a table of where the time of one image goes: `make bench`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod made_up;
mod peers;

use criterion::{BenchmarkId, Criterion, criterion_group};
use made_up::{LargeImages, Pipeline, extractor, picture, precisions, saved_bank};
use patchcored::domain::{Backbone, BuildOptions, CoresetMethod, EngineSize, Precision};
use patchcored::imaging::resize::resize_for_engine;
use patchcored::patchcore::MemoryBank;
use patchcored::patchcore::bench::{CoresetStage, NearestStage, run_backbone};
use std::path::Path;
use std::time::Duration;

/// Each network at its own default size.
fn backbone(criterion: &mut Criterion) {
    use Backbone::{Dinov2Vits14, EfficientnetLite0, EfficientnetLite1, EfficientnetLite2, Resnet50};
    let mut group = criterion.benchmark_group("backbone");
    for name in [Resnet50, EfficientnetLite0, EfficientnetLite1, EfficientnetLite2, Dinov2Vits14] {
        let image = resize_for_engine(&picture(512), EngineSize::new(name.default_shorter(), name.side_multiple()));
        for precision in precisions() {
            if precision == Precision::Int8 && !name.has_int8() {
                continue;
            }
            let extractor = extractor(name, precision);
            group.bench_function(BenchmarkId::new(name.as_str(), precision), |bencher| {
                bencher.iter(|| run_backbone(&extractor, &image, &name.default_layers()).unwrap());
            });
        }
    }
}

/// Layers 2-4 of EfficientNet-Lite0 and of ResNet50.
const CHANNELS: [[i64; 3]; 2] = [[40, 112, 320], [512, 1024, 2048]];

/// The patches of a 512-pixel image at stride 2 against banks of several sizes; beside it the product of all with all.
fn nearest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("nearest_512");
    for channels in CHANNELS {
        let values = channels.iter().sum::<i64>();
        for rows in [1000, 5000, 10_000, 40_000] {
            let stage = NearestStage::new(channels, 512, 2, rows).unwrap();
            println!("{rows}x{values}: {:.2} % of the rows are measured in full", 100.0 * stage.share_measured().unwrap());
            group.bench_function(format!("{rows}x{values}"), |bencher| bencher.iter(|| stage.run().unwrap()));
            if rows <= 10_000 {
                group.bench_function(format!("{rows}x{values}_dense"), |bencher| bencher.iter(|| stage.run_dense().unwrap()));
            }
        }
    }
}

fn coreset(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("coreset_10240x472_to_204");
    let stage = CoresetStage::new(10_240, 472, 204).unwrap();
    for method in [CoresetMethod::Greedy, CoresetMethod::Kmeans] {
        group.bench_function(method.as_str(), |bencher| bencher.iter(|| stage.run(method).unwrap()));
    }
}

fn bank(criterion: &mut Criterion) {
    let folder = saved_bank();
    criterion.bench_function("bank_load_2000x3584", |bencher| bencher.iter(|| MemoryBank::load(folder.path()).unwrap()));
}

fn large_images(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read_and_resize");
    let images = LargeImages::new();
    for file in LargeImages::FILES {
        group.bench_function(file.0, |bencher| bencher.iter(|| images.read(file)));
    }
}

fn pipeline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline_1024px");
    for name in [Backbone::Resnet50, Backbone::EfficientnetLite0] {
        let pipeline = Pipeline::new(BuildOptions { backbone: name, ..BuildOptions::default() }, None, peers::SIDE);
        for file in ["part.png", "part.jpg"] {
            group.bench_function(BenchmarkId::new(name.as_str(), file), |bencher| bencher.iter(|| pipeline.inspect(file)));
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = backbone, nearest, coreset, bank, large_images, pipeline
}

/// Medians in milliseconds.
fn table() {
    println!("{}", peers::machine());
    println!("one 1024×1024 image, shorter 512, layers 2-4, stride 2, bank of 1024 rows; medians of 15 in ms\n");
    println!(
        "{:<20} {:<9} {:>7} {:>7} {:>9} {:>8} {:>6} {:>7} {:>7}",
        "", "", "read", "resize", "backbone", "nearest", "judge", "write", "sum"
    );
    for name in [Backbone::Resnet50, Backbone::EfficientnetLite0] {
        let pipeline = Pipeline::new(BuildOptions { backbone: name, ..BuildOptions::default() }, None, peers::SIDE);
        for file in ["part.png", "part.jpg"] {
            let [read, resize, backbone, nearest, judge, write] = pipeline.stages(file, 15);
            let sum = read + resize + backbone + nearest + judge + write;
            println!(
                "{:<20} {file:<9} {read:>7.1} {resize:>7.1} {backbone:>9.1} {nearest:>8.1} {judge:>6.1} {write:>7.1} {sum:>7.1}",
                name.as_str()
            );
        }
    }
}

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    table();
    if let Some(environment) = std::env::var_os("PEERS").filter(|environment| !environment.is_empty()) {
        peers::compare(Path::new(&environment));
    }
}
