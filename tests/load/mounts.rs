//! File systems come and go elsewhere on the machine, as with each log-in and each container, while images are written.

use super::{count, number, wait_while_it_goes_on};
use crate::helper::{Line, Mount, Part, Product, image_bytes};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const WRITERS: u32 = 3;
/// For so long a file is open.
const HALF_WRITTEN: Duration = Duration::from_millis(90);

/// Mounts and unmounts something elsewhere `mounts` times while cameras write, each file open for a while, at least `images` of them.
fn run(mounts: usize, images: u32) {
    let mut disc = Product::new("disc");
    disc.extra = "    outputs: {mask: false, overlay: false}\n".to_owned();
    let line = Line::new(&[disc]);
    line.fill_ok("disc", 0..6);
    let Some(try_one) = Mount::tmpfs(&line.path("elsewhere"), "1m") else { return };
    drop(try_one);
    let daemon = line.start();
    line.wait_for_bank("disc");

    let (written, mounting) = (AtomicU32::new(0), AtomicBool::new(true));
    let pictures: Vec<_> = (0..8).map(|part| image_bytes(Part::ok(part), image::ImageFormat::Bmp)).collect();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                while mounting.load(Ordering::Relaxed) || written.load(Ordering::Relaxed) < images {
                    let number = written.fetch_add(1, Ordering::Relaxed);
                    let bytes = &pictures[number as usize % pictures.len()];
                    let file = File::create(line.drop("disc").join(format!("part{number:06}.bmp"))).unwrap();
                    file.write_all_at(&bytes[..bytes.len() / 2], 0).unwrap();
                    std::thread::sleep(HALF_WRITTEN);
                    file.write_all_at(&bytes[bytes.len() / 2..], (bytes.len() / 2) as u64).unwrap();
                }
            });
        }
        for number in 0..mounts {
            let at = line.path(if number % 2 == 0 { "elsewhere" } else { "another place" });
            std::fs::create_dir_all(&at).unwrap();
            let mount = if number % 2 == 0 { Mount::tmpfs(&at, "1m") } else { Mount::bind(&line.path("disc"), &at) };
            assert!(mount.is_some());
        }
        mounting.store(false, Ordering::Relaxed);
    });
    let (written, seconds) = (written.into_inner(), begin.elapsed().as_secs());
    wait_while_it_goes_on(&line, "SELECT count(*) FROM inspections WHERE state <> 'pending'", &written.to_string());
    let (failed, done) = (count(&line, "state = 'failed'"), count(&line, "state = 'done'"));
    println!("{mounts} mounts and unmounts and {written} images in {seconds} s: {done} done, {failed} failed");
    assert_eq!(line.sql("SELECT group_concat(reason || ': ' || image_path) FROM inspections WHERE state = 'failed'").unwrap(), "");
    assert!(daemon.stop().success());
}

#[test]
fn what_is_mounted_elsewhere_loses_no_event() {
    run(60, 150);
}

#[test]
#[ignore = "make mounts"]
fn ten_thousand_mounts() {
    run(number("N", 10_000), 0);
}
