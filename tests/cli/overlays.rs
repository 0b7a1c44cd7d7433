//! The overlays of `infer`, for banks of both styles.

use super::by_hand::Bench;
use crate::helper::{Part, arg, run_ok, write_image};
use image::{GrayImage, Rgb, RgbImage};

const EDGE: Rgb<u8> = Rgb([0, 0, 0]);
const LINE: Rgb<u8> = Rgb([240, 228, 66]);

/// What `infer` reads and writes for a bad part.
struct Inferred {
    original: RgbImage,
    mask: GrayImage,
    overlay: RgbImage,
    side_by_side: RgbImage,
}

impl Inferred {
    fn new(bench: &Bench, name: &str, extra: &[&str]) -> Self {
        let (bank, image, golden, out) = (bench.path("bank"), bench.path("bad.png"), bench.path("ok/0.png"), bench.path(name));
        write_image(&image, Part::ng(100));
        let base = ["infer", "--bank-dir", arg(&bank), "--img", arg(&image), "--out-dir", arg(&out), "--fuse-ref", arg(&golden)];
        run_ok(&[&base[..], extra].concat());
        let open = |name: &str| image::open(out.join(name)).unwrap().to_rgb8();
        Self {
            original: image::open(&image).unwrap().to_rgb8(),
            mask: image::open(out.join("mask.png")).unwrap().to_luma8(),
            overlay: open("overlay.png"),
            side_by_side: open("side_by_side.png"),
        }
    }

    fn is_set(&self, x: u32, y: u32) -> bool {
        x < 96 && y < 96 && self.mask.get_pixel(x, y).0[0] != 0
    }
}

/// Every pixel that is not on the edge of the picture, where a region may have its line.
fn inner() -> impl Iterator<Item = (u32, u32)> {
    (2..94).flat_map(|y| (2..94).map(move |x| (x, y)))
}

#[test]
fn the_mask_has_an_outline_and_the_defect_stays() {
    let bench = Bench::new();
    bench.build(&[]);
    let found = Inferred::new(&bench, "plain", &[]);
    let region: Vec<(u32, u32)> = inner().filter(|&(x, y)| found.is_set(x, y)).collect();
    // Within a region only the thin cross of the worst place differs from the image.
    let changed = region.iter().filter(|&&(x, y)| found.overlay.get_pixel(x, y) != found.original.get_pixel(x, y)).count();
    assert!(changed <= 4 * 11 * 5 && changed * 2 < region.len(), "{changed} of {}", region.len());
    // Where a region ends, there are an edge, the line and an edge.
    let around = |x: u32, y: u32| (1..=4).map(|step| *found.overlay.get_pixel(x + step, y)).collect::<Vec<_>>();
    assert!(region.iter().any(|&(x, y)| x < 90 && around(x, y) == [EDGE, LINE, LINE, EDGE]));
    assert_eq!(found.overlay.get_pixel(2, 2), found.original.get_pixel(2, 2));
    assert_eq!(image::imageops::crop_imm(&found.side_by_side, 96, 96, 96, 96).to_image(), found.overlay);
}

#[test]
fn a_bank_of_the_preset_guide_has_the_overlay_of_the_scripts() {
    let bench = Bench::new();
    bench.build(&["--preset", "guide"]);
    let found = Inferred::new(&bench, "guide", &[]);
    for (x, y, pixel) in found.overlay.enumerate_pixels() {
        let Rgb([r, g, b]) = *found.original.get_pixel(x, y);
        let red = Rgb([((u16::from(r) + 255) / 2) as u8, g / 2, b / 2]);
        assert_eq!(*pixel, if found.is_set(x, y) { red } else { Rgb([r, g, b]) }, "{x}, {y}");
    }
    assert!(inner().any(|(x, y)| found.is_set(x, y)));
    assert_eq!(image::imageops::crop_imm(&found.side_by_side, 96, 96, 96, 96).to_image(), found.overlay);
}

#[test]
fn the_text_stands_in_one_corner_if_asked_for() {
    let bench = Bench::new();
    bench.build(&[]);
    let (plain, text) = (Inferred::new(&bench, "plain", &[]).overlay, Inferred::new(&bench, "text", &["--overlay-text"]).overlay);
    let changed: Vec<(u32, u32)> =
        plain.enumerate_pixels().filter(|(x, y, pixel)| text.get_pixel(*x, *y) != *pixel).map(|(x, y, _)| (x, y)).collect();
    // Three lines of letters of 6 × 10 pixels.
    let (left, right) = (changed.iter().map(|p| p.0).min().unwrap(), changed.iter().map(|p| p.0).max().unwrap());
    let (top, bottom) = (changed.iter().map(|p| p.1).min().unwrap(), changed.iter().map(|p| p.1).max().unwrap());
    assert!((30..=34).contains(&(bottom + 1 - top)) && (60..96).contains(&(right + 1 - left)), "{left} {right} {top} {bottom}");
    assert!((left == 0 || right == 95) && (top == 0 || bottom == 95), "{left} {right} {top} {bottom}");
    let white = changed.iter().filter(|&&(x, y)| text.get_pixel(x, y).0 == [255; 3]).count();
    assert!(white > 100, "{white}");
}
