//! A product whose network sees whole patches of 14 pixels: the sides of its images are multiples of that, also after a restart, when the
//! daemon knows the bank from its row.

use crate::helper::{Line, Part, Product, write_image};
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;

/// Writes made-up weights of DINOv2 ViT-S/14.
fn write_weights(path: &Path) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/features/dinov2_vits14.json");
    let fixture: serde_json::Value = serde_json::from_slice(&std::fs::read(fixture).unwrap()).unwrap();
    let tensors: Vec<(String, Vec<usize>)> = serde_json::from_value(fixture["tensors"].clone()).unwrap();
    let mut random = 1_u32;
    let values: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape)| {
            let value = |_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((random >> 8) as f32 / 16_777_216.0 - 0.5) * 0.2
            };
            (0..shape.iter().product::<usize>()).map(value).flat_map(f32::to_le_bytes).collect()
        })
        .collect();
    let views =
        tensors.iter().zip(&values).map(|((name, shape), bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize_to_file(views, None, path).unwrap();
}

#[test]
fn images_are_resized_to_whole_patches() {
    let line = Line::new(&[Product::new("disc")]);
    let weights = line.path("made_up.safetensors");
    write_weights(&weights);
    line.change_config("engine: {", &format!("engine: {{weights: {{dinov2_vits14: {}}}, ", weights.display()));
    line.change_config(
        "backbone: efficientnet_lite0, shorter: 64, stride: 1, layers: [layer2, layer3]",
        "backbone: dinov2_vits14, shorter: 60, stride: 1, layers: [block2, block1]",
    );
    line.fill_ok("disc", 0..4);
    for start in 1..=2 {
        let daemon = line.start();
        line.wait_for_bank("disc");
        assert_eq!(line.sql("SELECT shorter || ' ' || side_multiple FROM banks").unwrap(), "60 14");
        write_image(&line.drop("disc").join(format!("{start}.png")), Part::ok(start));
        line.wait_sql("SELECT count(*) FROM inspections WHERE state <> 'pending'", &start.to_string());
        assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE state = 'done'").unwrap(), start.to_string());
        assert!(daemon.stop().success());
    }
}
