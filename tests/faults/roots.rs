//! The drop folder itself goes away, or another one takes its place.

use super::{
    detail, disc_line, drop_image, line_of_events, set_rescan, wait_for_banks, wait_for_done, wait_for_events, wait_for_status,
    wait_for_watches,
};
use crate::helper::{Mount, Part, write_image};

#[test]
fn an_unmounted_folder_is_reported_and_all_images_are_found_when_it_is_back() {
    let line = disc_line();
    set_rescan(&line, "1h");
    let share = line.path("share");
    std::fs::create_dir(&share).unwrap();
    let Some(_tmpfs) = Mount::tmpfs(&share, "8m") else { return };
    let Some(mounted) = Mount::bind(&share, &line.drop("disc")) else { return };
    let daemon = line.start();
    wait_for_banks(&line, 1);
    drop_image(&line, "disc", "before.png");
    wait_for_done(&line, 1);

    // Uncovers an empty folder.
    drop(mounted);
    wait_for_events(&line, "drop_folder_lost", 1);
    assert!(detail(&line, "drop_folder_lost").contains("/drop/disc: the file system that was mounted on it is gone"));
    wait_for_status(&line, &daemon, "/drop/disc is lost");
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'drop_folder_back'").unwrap(), "0");
    // The camera writes into the empty mount point, and another one to the share.
    drop_image(&line, "disc", "under.png");
    wait_for_done(&line, 2);
    for number in 0..5 {
        write_image(&share.join(format!("meanwhile{number}.png")), Part::ok(number));
    }
    let Some(_mounted) = Mount::bind(&share, &line.drop("disc")) else { return };
    wait_for_events(&line, "drop_folder_back", 1);
    wait_for_done(&line, 7);
    drop_image(&line, "disc", "after.png");
    wait_for_done(&line, 8);
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "8");
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'drop_folder_lost'").unwrap(), "1");
    assert!(daemon.stop().success());
}

#[test]
fn a_folder_that_is_mounted_over_is_watched_and_so_is_the_one_below_afterwards() {
    let (line, daemon) = line_of_events();
    let Some(mounted) = Mount::tmpfs(&line.drop("disc"), "8m") else { return };
    wait_for_events(&line, "drop_folder_back", 1);
    assert!(detail(&line, "drop_folder_lost").contains("another folder stands in its place"));
    drop_image(&line, "disc", "over.png");
    wait_for_done(&line, 1);
    drop(mounted);
    wait_for_events(&line, "drop_folder_lost", 2);
    drop_image(&line, "disc", "below.png");
    wait_for_done(&line, 2);
    assert!(daemon.stop().success());
}

#[test]
fn a_folder_replaced_between_two_looks_is_watched_anew() {
    let (line, daemon) = line_of_events();
    std::fs::rename(line.drop("disc"), line.path("elsewhere")).unwrap();
    std::fs::create_dir(line.drop("disc")).unwrap();
    drop_image(&line, "disc", "a.png");
    write_image(&line.path("elsewhere").join("not-here.png"), Part::ok(2));
    wait_for_events(&line, "drop_folder_lost", 1);
    wait_for_events(&line, "drop_folder_back", 1);
    drop_image(&line, "disc", "b.png");
    wait_for_done(&line, 2);
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "2");
    assert!(daemon.stop().success());
}

#[test]
fn a_missing_folder_is_reported_at_the_start_and_found_when_it_is_made() {
    let line = disc_line();
    set_rescan(&line, "1h");
    std::fs::remove_dir(line.drop("disc")).unwrap();
    let daemon = line.start();
    wait_for_events(&line, "drop_folder_lost", 1);
    let staged = line.path("staged");
    std::fs::create_dir(&staged).unwrap();
    write_image(&staged.join("a.png"), Part::ok(1));
    std::fs::rename(staged, line.drop("disc")).unwrap();
    wait_for_events(&line, "drop_folder_back", 1);
    wait_for_done(&line, 1);
    drop_image(&line, "disc", "b.png");
    wait_for_done(&line, 2);
    assert!(daemon.stop().success());
}

#[test]
fn a_mount_that_was_away_for_a_moment_is_watched_anew() {
    let line = disc_line();
    let Some(mounted) = Mount::tmpfs(&line.drop("disc"), "8m") else { return };
    std::fs::create_dir(line.drop("disc").join("cam1")).unwrap();
    let daemon = line.start();
    wait_for_banks(&line, 1);
    wait_for_watches(&line, daemon.pid(), 3);
    // Back before anybody looks, most often as the same device and inode; what was watched is gone nevertheless.
    drop(mounted);
    let Some(_mounted) = Mount::tmpfs(&line.drop("disc"), "8m") else { return };
    wait_for_watches(&line, daemon.pid(), 2);
    drop_image(&line, "disc", "a.png");
    wait_for_done(&line, 1);
    assert!(daemon.stop().success());
}
