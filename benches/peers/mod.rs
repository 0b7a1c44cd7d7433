//! This program beside others that do the same, in turn on the same machine: `make bench PEERS=VENV`.

use crate::made_up::{Pipeline, precisions};
use patchcored::domain::{Backbone, BuildOptions, ScoreMethod};
use serde_json::Value as Json;
use std::path::Path;
use std::process::Command;

/// How often each side has its turn.
const TURNS: usize = 3;
/// Images in a turn.
const ROUNDS: usize = 11;
/// The picture is a square of so many pixels.
pub const SIDE: u32 = 1024;

const FILE: &str = "part.png";

/// The processor, its vector instructions and the threads in use, in one line.
pub fn machine() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = told.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let flags = field("flags");
    let wanted = ["avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"];
    let vectors: Vec<&str> = flags.split(' ').filter(|flag| wanted.contains(flag)).collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{}; {}; {threads} threads", field("model name"), vectors.join(" "))
}

/// Measures both sides in turn and prints the medians.
pub fn compare(environment: &Path) {
    let precisions = precisions();
    let kinds = [
        (Backbone::Resnet50, ScoreMethod::Levels),
        (Backbone::Resnet50, ScoreMethod::Guide),
        (Backbone::EfficientnetLite0, ScoreMethod::Levels),
    ];
    let ours: Vec<_> =
        kinds.iter().flat_map(|&(backbone, score)| precisions.iter().map(move |&precision| (backbone, score, precision))).collect();
    let pipelines = ours.iter().map(|&(backbone, score, precision)| {
        let options = if score == ScoreMethod::Guide { BuildOptions::largest_distance() } else { BuildOptions::default() };
        Pipeline::new(BuildOptions { backbone, ..options }, precision, SIDE)
    });
    let pipelines: Vec<_> = pipelines.collect();
    let mut stages: Vec<Vec<[f64; 6]>> = vec![Vec::new(); pipelines.len()];
    let mut peers = Vec::new();
    for _ in 0..TURNS {
        peers.push(their_turn(environment, &pipelines[0].path(FILE)));
        for (stages, pipeline) in stages.iter_mut().zip(&pipelines) {
            stages.push(pipeline.stages(FILE, ROUNDS));
        }
    }
    let peer = |name: &str| median(peers.iter().map(|turn| turn[name].as_f64().unwrap()).collect());
    let python = peer("python");
    println!("\nin turn with the peers of {}: medians of {TURNS} turns of {ROUNDS}, ms\n", environment.display());
    println!(
        "| the whole image, {SIDE}×{SIDE} PNG, to mask and overlay on disk | ms | the Python way is so many times slower |\n|---|---|---|"
    );
    println!("| the Python way, ResNet50 | {python:.1} | |");
    for ((backbone, score, precision), turns) in ours.iter().zip(&stages) {
        let whole = median(turns.iter().map(|turn| turn.iter().sum()).collect());
        println!("| patchcored, {backbone}, score {score}, {precision} | {whole:.1} | {:.1} |", python / whole);
    }
    println!("\n| ResNet50 alone, 512×512 | ms | patchcored takes so many times as long |\n|---|---|---|");
    for (turns, precision) in stages.iter().zip(&precisions) {
        let network = median(turns.iter().map(|turn| turn[2]).collect());
        println!("| patchcored {precision} | {network:.1} | |");
        for other in ["openvino", "onnxruntime"] {
            if let Some(other_ms) = peers[0].get(format!("{other}_{precision}")).map(|_| peer(&format!("{other}_{precision}"))) {
                println!("| {other} {precision} | {other_ms:.1} | {:.2} |", network / other_ms);
            }
        }
    }
}

fn their_turn(environment: &Path, picture: &Path) -> Json {
    let script = format!("{}/scripts/peers.py", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(environment.join("bin/python")).arg(script).arg(picture).arg(ROUNDS.to_string()).output().unwrap();
    assert!(output.status.success(), "the peers failed: {}", String::from_utf8_lossy(&output.stderr));
    // Libraries may say something before.
    serde_json::from_slice(output.stdout.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap()).unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
