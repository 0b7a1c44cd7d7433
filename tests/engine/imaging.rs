//! Pixels against OpenCV's, and files that are cut, holed, damaged or hostile.
//!
//! The fixtures are made by `tests/fixtures/make_imaging_fixtures.py`.

use image::{DynamicImage, ExtendedColorType, ImageFormat};
use patchcored::codes::ReasonCode;
use patchcored::domain::{DistanceGrid, EngineSize, Picture, Samples};
use patchcored::imaging::ImageError;
use patchcored::imaging::decode::{DecodeLimits, Decoded, decode};
use patchcored::imaging::{heat, png, resize};
use proptest::prelude::*;
use std::io::Cursor;
use std::path::{Path, PathBuf};

const LIMITS: DecodeLimits = DecodeLimits { max_pixels: 1_000_000 };
const JPEGS: [&str; 5] = ["color_420_restart.jpg", "color_422_progressive.jpg", "color_440.jpg", "gray.jpg", "turned.jpg"];
const TIFFS: [&str; 3] = ["lzw.tif", "deflate.tif", "plain.tif"];

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/imaging").join(name)).unwrap()
}

fn decode_bytes(bytes: &[u8]) -> Result<Decoded, ImageError> {
    decode(Path::new("part.img"), bytes, &LIMITS, None)
}

fn picture(name: &str) -> Picture {
    decode_bytes(&fixture(name)).unwrap().picture
}

fn bytes_of(picture: &Picture) -> &[u8] {
    match &picture.samples {
        Samples::U8(v) => v,
        Samples::U16(_) => panic!("16 bits"),
    }
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn scene() -> DynamicImage {
    image::load_from_memory(&fixture("scene.png")).unwrap()
}

/// One whole file of every kind, small enough to cut at every byte.
fn whole_files() -> Vec<(String, Vec<u8>)> {
    let small = scene().crop_imm(10, 10, 23, 17);
    let mut files: Vec<(String, Vec<u8>)> = JPEGS.iter().chain(&TIFFS).map(|name| (name.to_string(), fixture(name))).collect();
    for (name, image) in [("gray", small.to_luma8().into()), ("rgb", small.to_rgb8().into()), ("rgba", small.to_rgba8().into())] {
        let image: DynamicImage = image;
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff] {
            files.push((format!("{name} {format:?}"), encode(&image, format)));
        }
    }
    files
}

fn rejection(result: Result<Decoded, ImageError>) -> String {
    match result {
        Err(ImageError::Rejected { reason, .. }) => reason,
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn jpeg_pixels_are_those_of_opencv() {
    for name in JPEGS {
        let expected = picture(&name.replace(".jpg", ".png"));
        assert_eq!(picture(name), expected, "{name}");
    }
    assert_eq!((picture("turned.jpg").width, picture("turned.jpg").height), (20, 30), "the EXIF orientation is applied");
}

#[test]
fn tiffs_of_every_compression_are_read() {
    for name in TIFFS {
        assert_eq!(picture(name), picture("tiff.png"), "{name}");
    }
}

#[test]
fn a_file_cut_anywhere_is_incomplete() {
    for (name, bytes) in whole_files() {
        decode_bytes(&bytes).unwrap_or_else(|e| panic!("{name} whole: {e}"));
        for length in 0..bytes.len() {
            match decode_bytes(&bytes[..length]) {
                Err(ImageError::Incomplete { .. }) => {}
                other => panic!("{name} cut to {length} of {}: {:?}", bytes.len(), other.map(|d| d.file_channels)),
            }
        }
    }
}

#[test]
fn a_preallocated_file_whose_rest_is_zero_is_incomplete() {
    // Uncompressed pixels may well be zero; only the compressed formats can tell.
    let told = |name: &str| name.ends_with("jpg") || name.ends_with("Png");
    for (name, bytes) in whole_files().into_iter().filter(|(name, _)| told(name)) {
        // The last four bytes of a PNG are the checksum of its empty end chunk: all pixels are there by then.
        let tail = if name.ends_with("Png") { 4 } else { 0 };
        for length in 0..bytes.len() - tail {
            let mut holed = bytes[..length].to_vec();
            holed.resize(bytes.len() + 64, 0);
            let result = decode_bytes(&holed);
            assert!(matches!(result, Err(ImageError::Incomplete { .. })), "{name} written up to {length} of {}", bytes.len());
        }
    }
}

#[test]
fn a_hole_within_a_jpeg_is_incomplete() {
    for name in ["color_420_restart.jpg", "color_422_progressive.jpg", "color_440.jpg"] {
        let bytes = fixture(name);
        for start in (bytes.len() - 1100..bytes.len() - 514).step_by(7) {
            let mut holed = bytes.clone();
            holed[start..start + 512].fill(0);
            assert!(matches!(decode_bytes(&holed), Err(ImageError::Incomplete { .. })), "{name}, hole at {start}");
        }
    }
}

#[test]
fn a_hole_behind_a_restart_marker_is_incomplete() {
    let mut bytes = fixture("color_420_restart.jpg");
    let marker = bytes.windows(2).position(|w| w == [0xff, 0xd1]).unwrap();
    bytes.splice(marker + 2..marker + 2, [0; 512]);
    match decode_bytes(&bytes) {
        Err(ImageError::Incomplete { reason, .. }) => assert!(reason.contains("hole"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_jpeg_that_libjpeg_only_warns_of_is_incomplete() {
    for name in JPEGS {
        let mut bytes = fixture(name);
        let end = bytes.len() - 2;
        assert_eq!(bytes[end..], [0xff, 0xd9]);
        // Up to 7 bytes stay unseen in libjpeg's bit buffer, and harm nothing.
        bytes.splice(end..end, [0x55; 16]);
        assert!(matches!(decode_bytes(&bytes), Err(ImageError::Incomplete { .. })), "{name}, surplus bytes");
    }
}

#[test]
fn zeros_that_code_a_flat_area_are_no_hole() {
    let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_GRAYSCALE);
    encoder.set_fastest_defaults();
    encoder.set_optimize_coding(true);
    encoder.set_size(640, 640);
    let mut encoder = encoder.start_compress(Vec::new()).unwrap();
    encoder.write_scanlines(&[128; 640 * 640]).unwrap();
    let bytes = encoder.finish().unwrap();
    assert!(bytes.windows(512).any(|w| w == [0; 512]), "the file has a run of zeros");
    assert!(bytes_of(&decode_bytes(&bytes).unwrap().picture).iter().all(|&v| v == 128));
}

#[test]
fn what_follows_a_whole_jpeg_does_not_matter() {
    let mut bytes = fixture("gray.jpg");
    bytes.extend_from_slice(&[0; 100]);
    assert_eq!(decode_bytes(&bytes).unwrap().picture, picture("gray.png"));
}

#[test]
fn gray_rgb_alpha_and_palette_become_gray_or_rgb() {
    let gray = scene().to_luma8();
    let rgb = scene().to_rgb8();
    let alpha = |image: DynamicImage| -> DynamicImage {
        let mut image = image.to_rgba8();
        image.pixels_mut().for_each(|p| p.0[3] = 7);
        image.into()
    };
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff] {
        let found = decode_bytes(&encode(&gray.clone().into(), format)).unwrap();
        assert_eq!((found.file_channels, found.file_bit_depth, found.picture.channels), (1, 8, 1), "{format:?}");
        assert_eq!(bytes_of(&found.picture), gray.as_raw().as_slice(), "{format:?}");
        let found = decode_bytes(&encode(&rgb.clone().into(), format)).unwrap();
        assert_eq!((found.file_channels, found.picture.channels), (3, 3), "{format:?}");
        assert_eq!(bytes_of(&found.picture), rgb.as_raw().as_slice(), "{format:?}");
        let found = decode_bytes(&encode(&alpha(rgb.clone().into()), format)).unwrap();
        assert_eq!((found.file_channels, found.picture.channels), (4, 3), "{format:?}");
        assert_eq!(bytes_of(&found.picture), rgb.as_raw().as_slice(), "{format:?}");
    }
    let found = decode_bytes(&encode(&scene().to_luma_alpha8().into(), ImageFormat::Png)).unwrap();
    assert_eq!((found.file_channels, found.picture.channels), (1, 1));
}

#[test]
fn a_colour_palette_is_expanded() {
    let mut bytes = Vec::new();
    let palette: Vec<[u8; 3]> = (0..=255).map(|i| [i, 255 - i, i / 2]).collect();
    image::codecs::bmp::BmpEncoder::new(&mut bytes)
        .encode_with_palette(&[0, 255, 10, 20], 2, 2, ExtendedColorType::L8, Some(&palette))
        .unwrap();
    let found = decode_bytes(&bytes).unwrap();
    assert_eq!(bytes_of(&found.picture), &[0, 255, 0, 255, 0, 127, 10, 245, 5, 20, 235, 10]);
}

#[test]
fn sixteen_bits_need_a_declared_depth() {
    let image = |largest: u16| DynamicImage::from(image::ImageBuffer::<image::Luma<u16>, _>::from_raw(2, 1, vec![17u16, largest]).unwrap());
    let with = |largest, depth| decode(Path::new("a.png"), &encode(&image(largest), ImageFormat::Png), &LIMITS, depth);
    assert!(rejection(with(4095, None)).contains("input.bit_depth"));
    assert!(rejection(with(65535, None)).contains("input.bit_depth"));
    let found = with(4095, Some(12)).unwrap();
    assert_eq!((found.picture.bit_depth, found.file_bit_depth), (12, 16));
    assert_eq!(found.picture.samples, Samples::U16(vec![17, 4095]));
    assert!(rejection(with(4096, Some(12))).contains("4096"));
    assert_eq!(with(65535, Some(16)).unwrap().picture.bit_depth, 16);
    assert!(rejection(with(100, Some(8))).contains("input.bit_depth"));
    let tiff = decode(Path::new("a.tif"), &encode(&image(4095), ImageFormat::Tiff), &LIMITS, Some(12)).unwrap();
    assert_eq!(tiff.picture.samples, Samples::U16(vec![17, 4095]));
    // More bits than the file has: the camera is set wrongly, or the configuration is.
    assert!(rejection(decode(Path::new("a.jpg"), &fixture("gray.jpg"), &LIMITS, Some(12))).contains("8 bits per sample"));
}

#[test]
fn samples_of_a_png_with_sbit_are_scaled_to_16_bits() {
    let image = DynamicImage::from(image::ImageBuffer::<image::Luma<u16>, _>::from_raw(2, 1, vec![17u16, 1023]).unwrap());
    let mut bytes = encode(&image, ImageFormat::Png);
    // sBIT of 10 bits, after the header chunk of 25 bytes; the checksum is that of "sBIT\x0a".
    let chunk = [&[0, 0, 0, 1][..], b"sBIT\x0a", &crc32(b"sBIT\x0a").to_be_bytes()].concat();
    bytes.splice(33..33, chunk);
    // Dark, but not ten bits: it would be read 64 times too bright.
    for depth in [None, Some(16)] {
        assert_eq!(decode(Path::new("a.png"), &bytes, &LIMITS, depth).unwrap().picture.bit_depth, 16);
    }
    let reason = rejection(decode(Path::new("a.png"), &bytes, &LIMITS, Some(10)));
    assert!(reason.contains("sBIT") && reason.contains("16"), "{reason}");
}

pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &b| (0..8).fold(crc ^ u32::from(b), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 }))
}

#[test]
fn what_is_no_image_is_named() {
    for (bytes, expected) in [(&b"GIF89a\x10\x00\x10\x00\x00\x00\x00"[..], "GIF89a"), (b"%PDF-1.7 some text", "%PDF")] {
        let reason = rejection(decode_bytes(bytes));
        assert!(reason.contains("is not a JPEG, PNG, BMP or TIFF") && reason.contains(expected), "{reason}");
    }
    for bytes in [&b""[..], b"BM", &[0; 4096]] {
        assert!(matches!(decode_bytes(bytes), Err(ImageError::Incomplete { .. })));
    }
}

#[test]
fn bombs_are_refused_by_their_header() {
    let little = DecodeLimits { max_pixels: 61 * 47 - 1 };
    for (name, bytes) in [
        ("png", fixture("scene.png")),
        ("jpg", fixture("color_440.jpg")),
        ("bmp", encode(&scene(), ImageFormat::Bmp)),
        ("tif", encode(&scene(), ImageFormat::Tiff)),
    ] {
        assert!(rejection(decode(Path::new(name), &bytes, &little, None)).contains("max_megapixels"), "{name}");
        let enough = DecodeLimits { max_pixels: 61 * 47 };
        decode(Path::new(name), &bytes, &enough, None).unwrap();
    }
    // A BMP header that announces 60000 x 60000 pixels and has none of them.
    let mut bomb = encode(&scene(), ImageFormat::Bmp);
    bomb[18..26].copy_from_slice(&[0x60, 0xea, 0, 0, 0x60, 0xea, 0, 0]);
    rejection(decode_bytes(&bomb));
}

#[test]
fn resizing_is_that_of_opencv() {
    for (input, shorter, expected) in [("scene.png", 20, "resize_20.png"), ("scene.png", 55, "resize_55.png")] {
        same(&resize::resize_for_engine(&picture(input), EngineSize::new(shorter, 1)), &picture(expected), expected);
    }
    let gray = DynamicImage::ImageRgb8(scene().to_rgb8());
    let gray =
        Picture { channels: 1, samples: Samples::U8(gray.to_rgb8().pixels().map(|p| opencv_gray(p.0)).collect()), ..picture("scene.png") };
    same(&resize::resize_for_engine(&gray, EngineSize::new(20, 1)), &picture("resize_gray_20.png"), "gray");
    let even = decode_bytes(&encode(&scene().crop_imm(0, 0, 60, 40), ImageFormat::Png)).unwrap().picture;
    same(&resize::resize_for_engine(&even, EngineSize::new(20, 1)), &picture("resize_half.png"), "by 2");
    same(&resize::resize_for_engine(&even, EngineSize::new(10, 1)), &picture("resize_quarter.png"), "by 4");
    let like = resize::resize_like(&picture("scene.png"), 33, 52);
    let expected = picture("resize_like_33x52.png");
    assert_eq!((like.dimensions(), like.as_raw().as_slice()), ((expected.width, expected.height), bytes_of(&expected)));
}

/// `cv2.cvtColor(.., COLOR_BGR2GRAY)`: 0.299, 0.587 and 0.114 in 15-bit fixed point.
fn opencv_gray([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 9798 + u32::from(g) * 19235 + u32::from(b) * 3735 + (1 << 14)) >> 15) as u8
}

/// Every sample is the same, gray replicated to three channels.
fn same(found: &patchcored::domain::ResizedImage, expected: &Picture, what: &str) {
    assert_eq!((found.width, found.height), (expected.width, expected.height), "{what}");
    let replicate = if expected.channels == 1 { 3 } else { 1 };
    let expected: Vec<f32> = bytes_of(expected).iter().flat_map(|&v| vec![f32::from(v); replicate]).collect();
    assert!(found.rgb == expected, "{what}");
}

#[test]
fn the_heat_map_is_that_of_the_scripts() {
    let values = (0..20).map(|i| ((i * 7) % 11) as f32 / 2.0 + 1.0).collect();
    let map = heat::anomaly_map(&DistanceGrid { width: 5, height: 4, values }, 61, 47);
    let expected = picture("heat.png");
    let differences: Vec<u8> = heat::heat_gray(&map).as_raw().iter().zip(bytes_of(&expected)).map(|(a, b)| a.abs_diff(*b)).collect();
    // A value may fall on the other side of a whole level.
    assert!(differences.iter().all(|&d| d <= 1) && differences.iter().filter(|&&d| d > 0).count() < 15);
}

#[test]
fn a_written_png_reads_back_and_an_unwritable_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.png");
    let rgb = scene().to_rgb8();
    png::write_rgb(&path, 61, 47, rgb.as_raw()).unwrap();
    assert_eq!(bytes_of(&decode_bytes(&std::fs::read(&path).unwrap()).unwrap().picture), rgb.as_raw().as_slice());
    let gray = scene().to_luma8();
    png::write_gray(&path, 61, 47, gray.as_raw()).unwrap();
    let found = decode_bytes(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!((found.file_channels, bytes_of(&found.picture)), (1, gray.as_raw().as_slice()));

    let missing = folder.path().join("none/x.png");
    match png::write_gray(&missing, 61, 47, gray.as_raw()) {
        Err(ImageError::Write { path, .. }) => assert_eq!(path, missing),
        other => panic!("{other:?}"),
    }
}

/// One of the whole files with some bytes changed and perhaps cut.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let files: Vec<Vec<u8>> = whole_files().into_iter().map(|(_, bytes)| bytes).collect();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..12);
    (prop::sample::select(files), changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(mut bytes, changes, end, cut)| {
        for (index, value, early) in changes {
            // Headers stand in front; half of the changes go there.
            let range = if early { bytes.len().min(160) } else { bytes.len() };
            bytes[index.index(range)] = value;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        bytes
    })
}

/// Arbitrary bytes behind the signature of each format.
fn signed() -> impl Strategy<Value = Vec<u8>> {
    let signatures: Vec<&'static [u8]> = vec![
        b"",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x03\x00\x00\x00\x03",
        b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x03\0\0\0\x03\0\0\0\x01\0",
        b"II*\0\x08\0\0\0",
        b"MM\0*\0\0\0\x08",
    ];
    (prop::sample::select(signatures), prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(s, rest)| [s, rest.as_slice()].concat())
}

fn consistent(bytes: &[u8], depth: Option<u8>) {
    let result = decode(&PathBuf::from("x"), bytes, &LIMITS, depth);
    let panicked = matches!(&result, Err(ImageError::Rejected { code: ReasonCode::DecoderPanicked, .. }));
    assert!(!panicked, "{result:?}");
    if let Ok(Decoded { picture, .. }) = result {
        let samples = match &picture.samples {
            Samples::U8(v) => v.len(),
            Samples::U16(v) => v.len(),
        };
        assert_eq!(samples, picture.width as usize * picture.height as usize * usize::from(picture.channels));
        assert!(matches!(picture.channels, 1 | 3));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decode_never_panics_on_mutated_files(bytes in mutated(), deep in any::<bool>()) {
        consistent(&bytes, deep.then_some(12));
    }

    #[test]
    fn decode_never_panics_on_arbitrary_bytes(bytes in signed()) {
        consistent(&bytes, None);
    }
}
