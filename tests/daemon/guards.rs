//! What is not what the product expects is failed with the reason, before it costs anything.

use crate::helper::{Line, Part, Product, jpeg_bytes, write_image};
use image::{DynamicImage, ImageFormat};
use std::io::Cursor;
use std::path::Path;

fn bytes(image: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn an_image_that_is_not_what_the_product_expects_is_failed_never_resized() {
    let with = |name, input: &str| Product { extra: format!("    input: {{{input}}}\n"), ..Product::new(name) };
    let line = Line::new(&[with("color", "width: 96, height: 96, channels: 3, bit_depth: 8"), with("deep", "bit_depth: 12")]);
    line.fill_ok("color", 0..6);
    for number in 0..6 {
        let gray = image::ImageBuffer::from_fn(96, 96, |x, y| image::Luma([((x * 7 + y * 13 + number) % 4096) as u16]));
        std::fs::write(line.ok("deep").join(format!("{number}.png")), bytes(gray.into(), ImageFormat::Png)).unwrap();
    }
    let daemon = line.start();
    line.wait_for_bank("color");
    line.wait_for_bank("deep");
    let drop = |product: &str, name: &str, image: DynamicImage| {
        std::fs::write(line.drop(product).join(name), bytes(image, ImageFormat::Png)).unwrap();
    };
    drop("color", "wide.png", DynamicImage::new_rgb8(100, 96));
    drop("color", "high.png", DynamicImage::new_rgb8(96, 95));
    drop("color", "gray.png", DynamicImage::new_luma8(96, 96));
    drop("color", "deep.png", DynamicImage::new_rgb16(96, 96));
    drop("deep", "flat.png", DynamicImage::new_luma8(96, 96));
    drop("deep", "over.png", image::ImageBuffer::from_pixel(96, 96, image::Luma([4096u16])).into());
    write_image(&line.drop("color").join("right.png"), Part::ok(1));
    for (name, reason) in [
        ("wide.png", "has width 100, but the product's input.width is 96"),
        ("high.png", "has height 95, but the product's input.height is 96"),
        ("gray.png", "has channels 1, but the product's input.channels is 3"),
        ("deep.png", "%bit_depth%8%"),
        ("flat.png", "%bit_depth%12%"),
        ("over.png", "%12%"),
    ] {
        let query = format!("SELECT state || ' ' || reason LIKE 'failed %' FROM inspections WHERE image_path LIKE '%/{name}'");
        line.wait_sql(&query.replace("state || ' ' || reason LIKE 'failed %'", "state"), "failed");
        let told = line.sql(&format!("SELECT reason FROM inspections WHERE image_path LIKE '%/{name}'")).unwrap();
        let fits =
            line.sql(&format!("SELECT reason LIKE '{}%' FROM inspections WHERE image_path LIKE '%/{name}'", reason.replace('\'', "''")));
        assert_eq!(fits.unwrap(), "1", "{name}: {told}");
    }
    line.wait_sql("SELECT group_concat(image_path) LIKE '%/right.png' FROM inspections WHERE state = 'done'", "1");
    assert!(daemon.stop().success());
}

/// The checksum of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

/// A small file whose header asks for 60000×60000 pixels (65535×65535 in the JPEG).
fn bomb(format: ImageFormat) -> Vec<u8> {
    const SIDE: u32 = 60_000;
    let mut file = if format == ImageFormat::Jpeg { jpeg_bytes(Part::ok(1)) } else { bytes(DynamicImage::new_rgb8(8, 8), format) };
    match format {
        ImageFormat::Png => {
            file[16..20].copy_from_slice(&SIDE.to_be_bytes());
            file[20..24].copy_from_slice(&SIDE.to_be_bytes());
            let crc = crc32(&file[12..29]);
            file[29..33].copy_from_slice(&crc.to_be_bytes());
        }
        ImageFormat::Bmp => {
            file[18..22].copy_from_slice(&SIDE.to_le_bytes());
            file[22..26].copy_from_slice(&SIDE.to_le_bytes());
        }
        ImageFormat::Jpeg => {
            let frame = file.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
            file[frame + 5..frame + 9].fill(0xFF);
        }
        _ => {
            // TIFF, little-endian: one directory of 12-byte entries, width and length under the tags 256 and 257, and 278 the rows
            // of its one strip.
            let directory = u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
            for entry in file[directory + 2..].chunks_exact_mut(12).take_while(|entry| entry[1] == 1) {
                if matches!(entry[0], 0 | 1 | 22) {
                    entry[2..4].copy_from_slice(&4u16.to_le_bytes());
                    entry[8..12].copy_from_slice(&SIDE.to_le_bytes());
                }
            }
        }
    }
    file
}

/// The most memory that the process has had, MiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn bombs_strips_links_and_pipes_cost_nothing() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    let drop = line.drop("disc");
    write_image(&drop.join("first.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    let before = peak(daemon.pid());
    for (name, format) in
        [("a.png", ImageFormat::Png), ("b.bmp", ImageFormat::Bmp), ("c.tif", ImageFormat::Tiff), ("d.jpg", ImageFormat::Jpeg)]
    {
        std::fs::write(drop.join(name), bomb(format)).unwrap();
        line.wait_sql(&format!("SELECT state FROM inspections WHERE image_path LIKE '%/{name}'"), "failed");
        let told = line.sql(&format!("SELECT reason FROM inspections WHERE image_path LIKE '%/{name}'")).unwrap();
        assert!(told.contains("megapixels"), "{name}: {told}");
    }
    let huge = std::fs::File::create(drop.join("huge.bmp")).unwrap();
    huge.set_len(2 << 30).unwrap();
    std::mem::drop(huge);
    line.wait_sql("SELECT reason LIKE 'has 2147483648 bytes, more than an image of 64 megapixels can need%' FROM inspections WHERE image_path LIKE '%/huge.bmp'", "1");
    std::fs::write(drop.join("strip.png"), bytes(DynamicImage::new_rgb8(1, 60_000), ImageFormat::Png)).unwrap();
    line.wait_sql(
        "SELECT reason LIKE '%its long side is more than 32 times the short one%' FROM inspections WHERE image_path LIKE '%/strip.png'",
        "1",
    );
    let grown = peak(daemon.pid()) - before;
    assert!(grown < 200, "the bombs took {grown} MiB");

    // What is no regular file is no image; the link would lead out of the drop folder.
    write_image(&line.path("outside.png"), Part::ok(2));
    std::os::unix::fs::symlink(line.path("outside.png"), drop.join("link.png")).unwrap();
    make_pipe(&drop.join("pipe.png"));
    std::fs::create_dir(drop.join("folder.png")).unwrap();
    write_image(&drop.join("last.png"), Part::ok(3));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "2");
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "8");
    assert!(daemon.stop().success());
}

fn make_pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_black_an_overexposed_and_a_frozen_camera_are_told_once_and_judged_all_the_same() {
    let line = Line::new(&[Product { extra: "    health: {black: 2, saturated: 50, frozen: 3}\n".to_owned(), ..Product::new("disc") }]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    let mut count = 0;
    let mut take = |image: Vec<u8>| {
        std::fs::write(line.drop("disc").join(format!("{count:02}.png")), image).unwrap();
        count += 1;
        line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &count.to_string());
    };
    let gray = |value: u8, spot: u8| {
        let mut image = image::RgbImage::from_pixel(96, 96, image::Rgb([value; 3]));
        image.put_pixel(0, 0, image::Rgb([spot; 3]));
        bytes(image.into(), ImageFormat::Png)
    };
    for spot in 0..3 {
        take(gray(1, spot));
    }
    for spot in 0..3 {
        take(gray(255, spot));
    }
    for _ in 0..5 {
        take(gray(100, 0));
    }
    line.wait_sql(
        "SELECT group_concat(kind) FROM (SELECT kind FROM events WHERE level = 'warn' ORDER BY at)",
        "image_black,image_saturated,camera_frozen",
    );
    let frozen =
        "SELECT detail LIKE '%/08.png: the same picture 3 times in a row%' AND product = 'disc' FROM events WHERE kind = 'camera_frozen'";
    assert_eq!(line.sql(frozen).unwrap(), "1");
    assert!(daemon.stop().success());
}
