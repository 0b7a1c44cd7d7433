//! More events at once than the kernel keeps or than anybody reads. Scans at intervals are far away: they cannot hide a miss.

use super::{drop_image, line_of_events, wait_for_done};
use crate::helper::{Part, write_image};
use rustix::process::Signal;

#[test]
fn images_and_folders_made_while_events_are_lost_are_found_and_watched() {
    let (line, daemon) = line_of_events();
    let again = line.drop("disc").join("again");
    std::fs::create_dir(&again).unwrap();
    drop_image(&line, "disc", "again/before.png");
    wait_for_done(&line, 1);

    daemon.signal(Signal::STOP);
    // Each file makes at least three events, and nobody reads them.
    let limit: usize = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    for number in 0..limit / 3 + 1000 {
        std::fs::write(line.drop("disc").join(format!("{number}.txt")), "").unwrap();
    }
    // None of these is told of any more.
    drop_image(&line, "disc", "a.png");
    for folder in ["new", "new/deep"] {
        std::fs::create_dir(line.drop("disc").join(folder)).unwrap();
        write_image(&line.drop("disc").join(folder).join("a.png"), Part::ok(2));
    }
    // Its watch goes with it, while its successor may have the same inode.
    std::fs::remove_dir_all(&again).unwrap();
    std::fs::create_dir(&again).unwrap();
    daemon.signal(Signal::CONT);

    line.wait_sql("SELECT count(*) > 0 FROM events WHERE kind = 'overflow'", "1");
    wait_for_done(&line, 4);
    // Only an event can tell of these.
    for folder in ["", "new", "new/deep", "again"] {
        write_image(&line.drop("disc").join(folder).join("later.png"), Part::ok(3));
    }
    wait_for_done(&line, 8);
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "8");
    assert!(daemon.stop().success());
}

#[test]
fn of_500_folders_made_and_written_at_once_no_image_is_lost() {
    const FOLDERS: u32 = 500;
    let (line, daemon) = line_of_events();
    for number in 0..FOLDERS {
        let folder = line.drop("disc").join(format!("part{number}"));
        std::fs::create_dir(&folder).unwrap();
        write_image(&folder.join("a.png"), Part::ok(number % 7));
    }
    wait_for_done(&line, FOLDERS);
    assert_eq!(line.sql("SELECT count(DISTINCT image_path) FROM inspections").unwrap(), FOLDERS.to_string());
    // And all of them are watched.
    for number in [0, FOLDERS / 2, FOLDERS - 1] {
        write_image(&line.drop("disc").join(format!("part{number}/b.png")), Part::ok(1));
    }
    wait_for_done(&line, FOLDERS + 3);
    assert!(daemon.stop().success());
}

#[test]
fn folders_that_are_moved_in_away_and_back_stay_watched() {
    let (line, daemon) = line_of_events();
    let (cam, away) = (line.drop("disc").join("cam"), line.path("away"));
    std::fs::create_dir(&cam).unwrap();
    write_image(&cam.join("a.png"), Part::ok(1));
    wait_for_done(&line, 1);
    std::fs::rename(&cam, &away).unwrap();
    write_image(&away.join("b.png"), Part::ok(2));
    // Another folder of that name meanwhile.
    std::fs::create_dir(&cam).unwrap();
    write_image(&cam.join("c.png"), Part::ok(3));
    wait_for_done(&line, 2);
    std::fs::remove_dir_all(&cam).unwrap();
    std::fs::rename(&away, &cam).unwrap();
    wait_for_done(&line, 3);
    write_image(&cam.join("d.png"), Part::ok(4));
    wait_for_done(&line, 4);
    assert!(daemon.stop().success());
}
