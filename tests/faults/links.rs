//! Files that come without the usual events.

use super::{disc_line, line_of_events, wait_for_banks, wait_for_done};
use crate::helper::{Mount, Part, write_image};

#[test]
fn a_file_that_is_linked_into_the_folder_is_inspected() {
    let (line, daemon) = line_of_events();
    // As SFTP servers rename: link, then unlink. Nobody closes the new name.
    let staged = line.path("staged.png");
    write_image(&staged, Part::ok(1));
    std::fs::hard_link(&staged, line.drop("disc").join("a.png")).unwrap();
    std::fs::remove_file(&staged).unwrap();
    wait_for_done(&line, 1);
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE image_path LIKE '%/drop/disc/a.png'").unwrap(), "1");
    assert!(daemon.stop().success());
}

#[test]
fn what_is_written_on_the_far_side_of_a_share_is_found_by_scans() {
    let line = disc_line();
    let Some(_share) = Mount::share(&line.path("source"), &line.drop("disc")) else { return };
    let daemon = line.start();
    wait_for_banks(&line, 1);
    let far = line.path("source");
    write_image(&far.join("a.png"), Part::ok(1));
    std::fs::create_dir(far.join("cam")).unwrap();
    write_image(&far.join("cam/b.png"), Part::ok(2));
    wait_for_done(&line, 2);
    // Written again.
    write_image(&far.join("a.png"), Part::ng(3));
    wait_for_done(&line, 3);
    assert_eq!(line.sql("SELECT decision FROM inspections ORDER BY id DESC LIMIT 1").unwrap(), "ng");
    assert!(daemon.stop().success());
}
