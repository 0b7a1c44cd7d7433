//! Every header field that changes pixels, one file each: the right picture or a refusal, and the page that lists them.
//!
//! The files, what OpenCV and Pillow make of them, and what is right are made by `tests/fixtures/make_image_files.py`.

use patchcored::codes::ReasonCode;
use patchcored::domain::Samples;
use patchcored::imaging::ImageError;
use patchcored::imaging::decode::{DecodeLimits, contained, decode, decode_mask};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const LIMITS: DecodeLimits = DecodeLimits { max_pixels: 10_000 };

struct Row {
    format: String,
    field: String,
    file: String,
    bit_depth: Option<u8>,
    /// Name of the right picture.
    picture: String,
    /// What OpenCV and Pillow make of it.
    others: [String; 2],
    /// `right` or a reason code.
    expected: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/image_files")
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(folder().join("rows.tsv")).unwrap();
    let rows = text.lines().skip(1).map(|line| {
        let [format, field, file, depth, picture, opencv, pillow, expected] =
            line.split('\t').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
        Row { format, field, file, bit_depth: depth.parse().ok(), picture, others: [opencv, pillow], expected }
    });
    rows.collect()
}

/// Width, height and the samples of a picture, read by other code than the program's.
fn right(name: &str) -> (u32, u32, Vec<u16>) {
    let image = image::open(folder().join(format!("{name}.png"))).unwrap();
    let samples = match &image {
        image::DynamicImage::ImageLuma16(i) => i.as_raw().clone(),
        image::DynamicImage::ImageRgb16(i) => i.as_raw().clone(),
        other => other.as_bytes().iter().map(|&s| s.into()).collect(),
    };
    (image.width(), image.height(), samples)
}

#[test]
fn every_field_is_honoured_or_refused() {
    let mut wrong = Vec::new();
    for Row { format, field, file, bit_depth, picture, expected, .. } in rows() {
        let bytes = std::fs::read(folder().join(&file)).unwrap();
        let found = match decode(Path::new(&file), &bytes, &LIMITS, bit_depth) {
            Ok(decoded) => {
                let (width, height, mut samples) = right(&picture);
                let found: Vec<u16> = match &decoded.picture.samples {
                    Samples::U8(v) => v.iter().map(|&s| s.into()).collect(),
                    Samples::U16(v) => v.clone(),
                };
                if found.len() == 3 * samples.len() {
                    samples = samples.iter().flat_map(|&s| [s; 3]).collect();
                }
                let same = (decoded.picture.width, decoded.picture.height) == (width, height) && found == samples;
                if same { "right".to_owned() } else { "another picture".to_owned() }
            }
            Err(error) => error.reason_code().as_str().to_owned(),
        };
        if found != expected {
            wrong.push(format!("{format}, {field} ({file}): {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} fields:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_refusal_says_what_is_odd_and_what_to_do() {
    for Row { field, file, bit_depth, expected, .. } in rows() {
        if matches!(expected.as_str(), "right" | "incomplete") {
            continue;
        }
        let bytes = std::fs::read(folder().join(&file)).unwrap();
        let error = decode(Path::new(&file), &bytes, &LIMITS, bit_depth).unwrap_err().to_string();
        assert!(error.contains(&file) && ["; save", "; set", ", or have"].iter().any(|word| error.contains(word)), "{field}: {error}");
    }
}

/// The tables of docs/image-files.md.
fn tables() -> String {
    let rows = rows();
    let mut text = String::new();
    for (format, name) in [("jpg", "JPEG"), ("png", "PNG"), ("bmp", "BMP"), ("tif", "TIFF")] {
        write!(text, "\n## {name}\n\n| field | OpenCV | Pillow | patchcored |\n|---|---|---|---|\n").unwrap();
        for Row { field, others, expected, .. } in rows.iter().filter(|row| row.format == format) {
            let [opencv, pillow] = others.each_ref().map(|found| match found.as_str() {
                "" => "–",
                "other" => "another picture",
                "scaled" => "right, scaled to 16 bits",
                found => found,
            });
            let ours = if expected == "right" { "right".to_owned() } else { format!("`{expected}`") };
            writeln!(text, "| {field} | {opencv} | {pillow} | {ours} |").unwrap();
        }
    }
    text
}

#[test]
fn the_page_lists_every_field() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/image-files.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let start = page.find("\n## JPEG\n").unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, page[..start].to_owned() + &tables()).unwrap();
        return;
    }
    assert!(page[start..] == tables(), "docs/image-files.md is not what the files say; make it anew with `UPDATE_DOCS=1 make test`");
}

#[test]
fn any_byte_of_a_header_may_be_anything() {
    for row in rows().iter().step_by(4) {
        let bytes = std::fs::read(folder().join(&row.file)).unwrap();
        for place in 0..bytes.len() {
            for value in [0, 1, bytes[place].wrapping_add(1), 0x7f, 0x80, 0xff] {
                let mut odd = bytes.clone();
                odd[place] = value;
                for result in [
                    decode(Path::new(&row.file), &odd, &LIMITS, row.bit_depth).map(drop),
                    decode_mask(Path::new(&row.file), &odd, &LIMITS).map(drop),
                ] {
                    let named = match &result {
                        Ok(()) | Err(ImageError::Incomplete { .. }) => true,
                        Err(ImageError::Rejected { code, .. }) => *code != ReasonCode::DecoderPanicked,
                        Err(_) => false,
                    };
                    assert!(named, "{}, byte {place} = {value}: {result:?}", row.file);
                }
            }
        }
    }
}

#[test]
fn a_panic_of_a_decoder_is_one_named_failure() {
    let error = contained::<()>(Path::new("odd.tif"), || panic!("as a library may")).unwrap_err();
    assert_eq!(error.reason_code(), ReasonCode::DecoderPanicked);
    assert!(!error.may_heal() && error.to_string().contains("odd.tif"), "{error}");
}

/// A PNG of this size that ends where its pixels should begin.
fn png_header(side: u32, depth: u8, kind: u8, interlaced: bool) -> Vec<u8> {
    let chunk = |name: &[u8; 4], data: &[u8]| {
        let sum = super::imaging::crc32(&[name, data].concat());
        [&(data.len() as u32).to_be_bytes(), &name[..], data, &sum.to_be_bytes()].concat()
    };
    let header = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[depth, kind, 0, 0, interlaced.into()]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", b""), chunk(b"IEND", b"")].concat()
}

#[test]
fn memory_is_bounded_before_a_picture_is_read() {
    let limits = DecodeLimits { max_pixels: 64_000_000 };
    let code = |bytes: &[u8]| decode(Path::new("a.png"), bytes, &limits, Some(16)).unwrap_err();
    let error = code(&png_header(8000, 16, 6, true));
    assert_eq!(error.reason_code(), ReasonCode::TooLarge);
    let text = error.to_string();
    assert!(text.contains("memory") && text.contains("interlaced") && text.contains("intake.max_megapixels"), "{text}");
    // What a camera of this size sends is read, and found cut.
    for (depth, kind) in [(8, 0), (16, 0), (8, 2), (8, 6), (16, 2), (16, 6)] {
        assert_eq!(code(&png_header(8000, depth, kind, false)).reason_code(), ReasonCode::Incomplete, "{depth} bits, kind {kind}");
    }
    assert_eq!(code(&png_header(8001, 8, 0, false)).reason_code(), ReasonCode::TooLarge);
}

#[test]
fn a_mask_is_what_can_be_seen_and_is_not_black() {
    let mask = |image: image::DynamicImage, format| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        decode_mask(Path::new("m.png"), &bytes.into_inner(), &LIMITS)
    };
    let defect = |x: u32| u8::from(x == 3);
    let expected: Vec<u8> = (0..8 * 8).map(|i| defect(i % 8)).collect();
    let png = image::ImageFormat::Png;
    let gray = image::GrayImage::from_fn(8, 8, |x, _| image::Luma([defect(x)]));
    let deep = image::ImageBuffer::from_fn(8, 8, |x, _| image::Luma([u16::from(defect(x)) * 2]));
    let alpha = image::RgbaImage::from_fn(8, 8, |x, _| image::Rgba([255, 255, 255, defect(x) * 255]));
    let opaque = image::RgbaImage::from_fn(8, 8, |x, _| image::Rgba([defect(x) * 9, 0, 0, 255]));
    for image in [gray.into(), deep.into(), alpha.into(), opaque.into()] {
        let image: image::DynamicImage = image;
        for format in [png, image::ImageFormat::Tiff] {
            let found = mask(image.clone(), format).unwrap();
            assert_eq!((found.width, found.height, &found.defect), (8, 8, &expected), "{:?} {format:?}", image.color());
        }
    }
    // Around a sharp edge, JPEG makes of black what is not black.
    let edge = image::GrayImage::from_fn(8, 8, |x, _| image::Luma([defect(x) * 255]));
    assert_eq!(mask(edge.into(), image::ImageFormat::Jpeg).unwrap().defect, expected);
    let black = image::RgbaImage::from_fn(8, 8, |x, _| image::Rgba([0, 0, 0, defect(x) * 255]));
    let error = mask(black.into(), png).unwrap_err().to_string();
    assert!(error.contains("alpha") && error.contains("mask"), "{error}");
}
