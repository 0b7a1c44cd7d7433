//! What lies in a drop folder and is nobody's image: folders of the system, and what the configuration leaves out.

use super::{drop_image, set_rescan, wait_for_banks, wait_for_done, watches};
use crate::helper::{Line, Part, Product, write_image};
use patchcored::domain::SYSTEM_FOLDERS;

fn line() -> Line {
    let mut disc = Product::new("disc");
    disc.drop = "        exclude: [archive, '*_thumb.*', 'cam1/test*', '*.부품']\n".to_owned();
    let line = Line::new(&[disc]);
    line.fill_ok("disc", 0..6);
    line
}

#[test]
fn folders_of_the_system_and_excluded_ones_are_neither_inspected_nor_watched() {
    let line = line();
    let folder = line.drop("disc");
    let left_out: Vec<String> = SYSTEM_FOLDERS
        .iter()
        .flat_map(|name| [(*name).to_owned(), name.to_uppercase(), format!("cam2/{name}/deep")])
        .chain(["archive", "cam2/Archive/x", "cam1/tests", ".hidden", "a.\u{1107}\u{116e}\u{1111}\u{116e}\u{11b7}"].map(String::from))
        .collect();
    let fill = |name: &str| {
        for sub in &left_out {
            std::fs::create_dir_all(folder.join(sub)).unwrap();
            write_image(&folder.join(sub).join(name), Part::ng(1));
        }
    };
    // Found by the first scan, by events, and by the scans that follow.
    fill("before.png");
    let daemon = line.start();
    wait_for_banks(&line, 1);
    drop_image(&line, "disc", "a.png");
    wait_for_done(&line, 1);
    fill("after.png");
    std::fs::create_dir_all(folder.join("cam1")).unwrap();
    for name in ["x_thumb.png", "cam1/test.png"] {
        drop_image(&line, "disc", name);
    }
    drop_image(&line, "disc", "cam1/last.png");
    wait_for_done(&line, 2);
    // The drop folder, cam1 and cam2; and one that tells of an unmount, where the drop folder may be unmounted.
    let watched = watches(daemon.pid());
    assert!((3..=4).contains(&watched), "{watched}");
    assert!(daemon.stop().success());
    set_rescan(&line, "2s");
    let daemon = line.start();
    drop_image(&line, "disc", "at-last.png");
    wait_for_done(&line, 3);
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "3");
    assert!(daemon.stop().success());
}

#[test]
fn thumbnails_in_an_ok_folder_are_no_ok_images() {
    let line = line();
    for folder in ["@eaDir", "#recycle", "$RECYCLE.BIN"] {
        std::fs::create_dir(line.ok("disc").join(folder)).unwrap();
        write_image(&line.ok("disc").join(folder).join("thumb.png"), Part::ng(1));
    }
    std::fs::write(line.ok("disc").join("._ok000.png"), "a resource fork").unwrap();
    let daemon = line.start();
    wait_for_banks(&line, 1);
    assert_eq!(line.sql("SELECT images FROM banks").unwrap(), "6");
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'ok_images_left_out'").unwrap(), "0");
    assert!(daemon.stop().success());
}
