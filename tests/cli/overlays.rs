//! The overlays of `infer`, for banks of both styles.

use super::by_hand::Bench;
use crate::helper::{arg, run_ok};
use image::{Rgb, RgbImage};

const LINE: Rgb<u8> = Rgb([240, 228, 66]);

/// What `infer` writes for the first bad part.
fn inferred(bench: &Bench, name: &str, extra: &[&str]) -> (RgbImage, image::GrayImage, RgbImage, RgbImage) {
    let (bank, image, golden, out) = (bench.path("bank"), bench.path("ng/0.jpg"), bench.path("ok/0.png"), bench.path(name));
    let base = ["infer", "--bank-dir", arg(&bank), "--img", arg(&image), "--out-dir", arg(&out), "--fuse-ref", arg(&golden)];
    run_ok(&[&base[..], extra].concat());
    let open = |name: &str| image::open(out.join(name)).unwrap();
    (image::open(&image).unwrap().to_rgb8(), open("mask.png").to_luma8(), open("overlay.png").to_rgb8(), open("side_by_side.png").to_rgb8())
}

/// How different two pixels are: decoders of JPEG differ by a few steps.
fn differs(a: &Rgb<u8>, b: &Rgb<u8>) -> bool {
    a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > 6)
}

#[test]
fn the_mask_has_an_outline_and_its_pixels_stay() {
    let bench = Bench::new();
    bench.build(&[]);
    let (original, mask, overlay, side) = inferred(&bench, "plain", &[]);
    let set = |x: u32, y: u32| x < 96 && y < 96 && mask.get_pixel(x, y).0[0] != 0;
    assert!(mask.pixels().any(|pixel| pixel.0[0] != 0));
    // Within a region only the thin cross of the worst place differs from the image.
    let region: Vec<(u32, u32)> =
        (0..96 * 96).map(|i| (i % 96, i / 96)).filter(|&(x, y)| set(x, y) && x.min(y) > 1 && x.max(y) < 94).collect();
    let changed = region.iter().filter(|&&(x, y)| differs(overlay.get_pixel(x, y), original.get_pixel(x, y))).count();
    assert!(changed <= 4 * 11 * 5 && changed * 2 < region.len(), "{changed} of {}", region.len());
    // Around it there is a line: beside a pixel of the region, an edge and then the colour.
    let right = region.iter().find(|&&(x, y)| x < 80 && (1..5).all(|step| !set(x + step, y))).unwrap();
    let beside: Vec<Rgb<u8>> = (2..=3).map(|step| *overlay.get_pixel(right.0 + step, right.1)).collect();
    assert_eq!(beside, [LINE, LINE]);
    // Far from the mask nothing changes; the side by side shows the same overlay.
    assert!(!differs(overlay.get_pixel(2, 2), original.get_pixel(2, 2)));
    assert_eq!(image::imageops::crop_imm(&side, 96, 96, 96, 96).to_image(), overlay);
}

#[test]
fn a_bank_of_the_preset_guide_has_the_overlay_of_the_scripts() {
    let bench = Bench::new();
    bench.build(&["--preset", "guide"]);
    let (original, mask, overlay, side) = inferred(&bench, "guide", &[]);
    for (x, y, pixel) in overlay.enumerate_pixels() {
        let before = original.get_pixel(x, y);
        let Rgb([r, g, b]) = *before;
        let red = Rgb([((u16::from(r) + 255) / 2) as u8, g / 2, b / 2]);
        assert!(!differs(pixel, if mask.get_pixel(x, y).0[0] != 0 { &red } else { before }), "{x}, {y}");
    }
    assert_eq!(image::imageops::crop_imm(&side, 96, 96, 96, 96).to_image(), overlay);
}

#[test]
fn the_text_stands_in_one_corner_if_asked_for() {
    let bench = Bench::new();
    bench.build(&[]);
    let (_, _, plain, _) = inferred(&bench, "plain", &[]);
    let (_, _, with_text, _) = inferred(&bench, "text", &["--overlay-text"]);
    let changed: Vec<(u32, u32)> =
        plain.enumerate_pixels().filter(|(x, y, pixel)| with_text.get_pixel(*x, *y) != *pixel).map(|(x, y, _)| (x, y)).collect();
    // Three lines of letters of 6 × 10 pixels.
    let (left, right) = (changed.iter().map(|p| p.0).min().unwrap(), changed.iter().map(|p| p.0).max().unwrap());
    let (top, bottom) = (changed.iter().map(|p| p.1).min().unwrap(), changed.iter().map(|p| p.1).max().unwrap());
    assert!((30..=34).contains(&(bottom + 1 - top)) && (60..96).contains(&(right + 1 - left)), "{left} {right} {top} {bottom}");
    assert!((left == 0 || right == 95) && (top == 0 || bottom == 95), "{left} {right} {top} {bottom}");
    let white = changed.iter().filter(|&&(x, y)| with_text.get_pixel(x, y).0 == [255; 3]).count();
    assert!(white > 100, "{white}");
}
