//! Old files go as the configuration says, and no other file does.

use crate::helper::{Line, Mount, Part, Product, arg, fill, run_fails, run_ok, sql_change, wait_for, write_image};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const ALL_OUTPUTS: &str = "    outputs: {mask: true, overlay: true, heat: true, scores: true}\n";

fn product(name: &'static str, extra: &str) -> Product {
    Product { extra: extra.to_owned(), ..Product::new(name) }
}

/// Gives the image, by the end of its path, this age in days.
fn age(line: &Line, name: &str, days: u32) {
    let statement = format!(
        "UPDATE inspections SET decided_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-{days} days') WHERE image_path LIKE '%/{name}'"
    );
    sql_change(&line.path("history.db"), &statement);
}

fn inspect(line: &Line, product: &str, images: &[(&str, Part)]) {
    let before: usize = line.sql("SELECT count(*) FROM inspections").unwrap().parse().unwrap();
    for (name, part) in images {
        write_image(&line.drop(product).join(name), *part);
    }
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &(before + images.len()).to_string());
}

fn names(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn with_outputs(name: &str) -> BTreeSet<String> {
    ["", ".mask.png", ".overlay.png", ".heat.png", ".scores.json"].iter().map(|suffix| format!("{name}{suffix}")).collect()
}

fn dry_run(line: &Line, arguments: &[&str]) -> String {
    run_ok(&[&["retention", "--dry-run", "--config", arg(&line.config())], arguments].concat())
}

#[test]
fn each_kind_of_file_goes_at_its_age_and_a_dry_run_tells_which() {
    let line = Line::new(&[product("disc", ALL_OUTPUTS), product("other", "")]);
    for product in ["disc", "other"] {
        line.fill_ok(product, 0..6);
    }
    let daemon = line.start();
    line.wait_for_bank("disc");
    line.wait_for_bank("other");
    inspect(&line, "other", &[("kept.png", Part::ok(1))]);
    let images = [
        ("old.png", Part::ok(0)),
        ("older.png", Part::ok(1)),
        ("new.png", Part::ok(2)),
        ("bad_old.png", Part::ng(1)),
        ("bad_new.png", Part::ng(2)),
    ];
    inspect(&line, "disc", &images);
    assert!(daemon.stop().success());
    assert_eq!(
        line.sql("SELECT group_concat(decision) FROM (SELECT * FROM inspections ORDER BY image_path)").unwrap(),
        "ng,ng,ok,ok,ok,ok"
    );
    for (name, days) in [("old.png", 20), ("older.png", 40), ("bad_old.png", 400), ("bad_new.png", 300), ("kept.png", 5000)] {
        age(&line, name, days);
    }
    // Names like outputs, which the history does not know, and an output of a file that was not inspected.
    let drop = line.drop("disc");
    let unknown = ["older.png.side_by_side.png", "older.png.done", "elsewhere.png.mask.png", "notes.txt"];
    for name in unknown {
        std::fs::write(drop.join(name), "unknown").unwrap();
    }
    let before = names(&drop);
    assert_eq!(dry_run(&line, &[]), "nothing would be deleted now\n");
    line.configure(&[
        product("disc", &format!("{ALL_OUTPUTS}    retention: {{ok_outputs: 14d, ok_images: 30d, ng_outputs: 365d}}\n")),
        product("other", "    retention: {ng_outputs: 1h, ng_images: 1h}\n"),
    ]);

    let told: BTreeSet<String> = dry_run(&line, &["--list"]).lines().map(str::to_owned).collect();
    let mut gone = with_outputs("older.png");
    gone.extend(["old.png", "bad_old.png"].iter().flat_map(|name| with_outputs(name)).filter(|name| name.matches('.').count() > 1));
    assert_eq!(told, gone.iter().map(|name| drop.join(name).display().to_string()).collect());
    let table = dry_run(&line, &[]);
    for row in [
        "disc     ok_outputs  age       2      8  ",
        "disc     ok_images   age       1      1  ",
        "disc     ng_outputs  age       1      4  ",
        "total                           13  ",
    ] {
        let row: Vec<&str> = row.split_whitespace().collect();
        let found = table.lines().any(|line| row.iter().all(|cell| line.split_whitespace().any(|seen| seen == *cell)));
        assert!(found, "no {row:?} in {table}");
    }
    let report: Value = serde_json::from_str(&dry_run(&line, &["--json", "--list"])).unwrap();
    assert_eq!(report["files"].as_array().unwrap().len(), 13);
    let first = &report["deleted"][0];
    assert_eq!(
        (&first["product"], &first["kind"], &first["images"], &first["files"]),
        (&json!("disc"), &json!("ok_outputs"), &json!(2), &json!(8))
    );
    assert_eq!(names(&drop), before, "a dry run deletes nothing");
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE outputs_deleted_at NOT NULL").unwrap(), "0");

    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'retention'", "1");
    assert_eq!(names(&drop), before.difference(&gone).cloned().collect());
    let deleted = |column: &str| {
        line.sql(&format!(
            "SELECT group_concat(substr(image_path, {}), ' ') FROM (SELECT * FROM inspections WHERE {column} NOT NULL ORDER BY image_path)",
            arg(&drop).len() + 2
        ))
        .unwrap()
    };
    assert_eq!(deleted("outputs_deleted_at"), "bad_old.png old.png older.png");
    assert_eq!(deleted("image_deleted_at"), "older.png");
    assert_eq!(
        line.sql("SELECT count(*) FROM inspections WHERE mask_path IS NULL OR state <> 'done'").unwrap(),
        "0",
        "rows stay as they were"
    );
    let detail = line.sql("SELECT detail FROM events WHERE kind = 'retention'").unwrap();
    assert!(
        detail.starts_with("disc: ok_outputs of 2 images by age (8 files, ") && detail.contains("ok_images of 1 images by age (1 files, "),
        "{detail}"
    );
    assert_eq!(dry_run(&line, &[]), "nothing would be deleted now\n");

    // What is gone may come again, and is another image then; nothing else is inspected again.
    inspect(&line, "disc", &[("older.png", Part::ok(1))]);
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "7");
    assert!(names(&drop).is_superset(&with_outputs("older.png")));
    assert!(daemon.stop().success());
    let told = run_fails(2, &["retention", "--config", arg(&line.config())]);
    assert!(told.contains("--dry-run"), "{told}");
}

#[test]
fn what_may_not_go_stays_however_old() {
    let line = Line::new(&[product("disc", "")]);
    line.fill_ok("disc", 0..6);
    let drop = line.drop("disc");
    for folder in ["swapped", "emptied"] {
        std::fs::create_dir(drop.join(folder)).unwrap();
    }
    let golden = drop.join("golden.png");
    let daemon = line.start();
    line.wait_for_bank("disc");
    let images = ["control", "golden", "good", "linked", "hard", "replaced", "touched", "again", "swapped/a", "emptied/b"];
    for name in images {
        inspect(&line, "disc", &[(&format!("{name}.png"), Part::ok(1))]);
    }
    inspect(&line, "disc", &[("again.png", Part::ng(3))]);
    std::fs::write(drop.join("failed.png"), "this is a shopping list, not an image").unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'failed'", "1");
    assert!(daemon.stop().success());
    let aged = "UPDATE inspections SET decided_at = '2020-01-01T00:00:00.000Z' WHERE image_path NOT LIKE '%again.png' OR decision = 'ok'";
    sql_change(&line.path("history.db"), aged);
    line.configure(&[product(
        "disc",
        &format!(
            "    reference: {}\n    retention: {{ok_outputs: 14d, ok_images: 14d, ng_outputs: 14d, ng_images: 14d}}\n",
            golden.display()
        ),
    )]);

    let elsewhere = line.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(drop.join("good.png"), line.ok("disc").join("good.png")).unwrap();
    std::fs::hard_link(drop.join("hard.png"), elsewhere.join("hard.png")).unwrap();
    std::fs::rename(drop.join("linked.png"), elsewhere.join("linked.png")).unwrap();
    std::os::unix::fs::symlink(elsewhere.join("linked.png"), drop.join("linked.png")).unwrap();
    std::fs::rename(drop.join("swapped"), elsewhere.join("swapped")).unwrap();
    std::os::unix::fs::symlink(elsewhere.join("swapped"), drop.join("swapped")).unwrap();
    std::fs::rename(drop.join("emptied"), elsewhere.join("emptied")).unwrap();
    std::fs::create_dir(drop.join("emptied")).unwrap();
    write_image(&drop.join("replaced.png"), Part::ok(2));
    let touched = std::fs::File::options().write(true).open(drop.join("touched.png")).unwrap();
    touched.set_modified(std::time::SystemTime::now()).unwrap();
    let names_before = names(&drop);

    let daemon = line.start();
    // The control, what another file has taken the place of, and the one whose later image is young.
    line.wait_sql("SELECT group_concat(id, ' ') FROM (SELECT id FROM inspections WHERE image_deleted_at NOT NULL ORDER BY id)", "1 6 7 8");
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "13");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'retention'", "1");
    assert!(daemon.stop().success());
    let left = names(&drop);
    for name in [
        "golden.png",
        "good.png",
        "hard.png",
        "linked.png",
        "replaced.png",
        "touched.png",
        "again.png",
        "again.png.mask.png",
        "again.png.overlay.png",
        "failed.png",
        "replaced.png.mask.png",
    ] {
        assert!(left.contains(name) && names_before.contains(name), "{name} in {left:?}");
    }
    assert!(!left.contains("control.png") && !left.contains("control.png.mask.png"));
    for name in ["linked.png", "hard.png", "swapped/a.png", "swapped/a.png.mask.png", "emptied/b.png"] {
        assert!(elsewhere.join(name).is_file(), "{name}");
    }
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE state = 'failed' AND image_deleted_at IS NULL").unwrap(), "1");
}

#[test]
fn a_hung_folder_holds_up_only_its_own_files() {
    let extra = "    retention: {ok_outputs: 14d}\n";
    let line = Line::new(&[product("far", extra), product("near", extra)]);
    let Some(share) = Mount::share(&line.path("far-source"), &line.drop("far")) else { return };
    for product in ["near", "far"] {
        line.fill_ok(product, 0..6);
    }
    let daemon = line.start();
    for product in ["near", "far"] {
        line.wait_for_bank(product);
        inspect(&line, product, &[("a.png", Part::ok(1))]);
    }
    share.freeze();
    sql_change(&line.path("history.db"), "UPDATE inspections SET decided_at = '2020-01-01T00:00:00.000Z'");
    let deleted = "SELECT group_concat(product) FROM (SELECT * FROM inspections WHERE outputs_deleted_at NOT NULL ORDER BY product)";
    line.wait_sql(deleted, "near");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'folder_stuck'", "1");
    inspect(&line, "near", &[("b.png", Part::ok(2))]);
    share.thaw();
    line.wait_sql(deleted, "far,near");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'folder_stuck_over'", "1");
    assert!(daemon.stop().success());
}

#[test]
fn too_little_space_that_nothing_can_help_is_told_until_it_is_over() {
    let out = tempfile::tempdir().unwrap();
    let Some(_disk) = Mount::tmpfs(out.path(), "4m") else { return };
    let extra = format!("    outputs: {{dir: {}}}\n    retention: {{min_free: 50%}}\n", out.path().display());
    let line = Line::new(&[product("disc", &extra)]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    inspect(&line, "disc", &[("a.png", Part::ok(1))]);
    let ballast = fill(out.path());
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'retention_short'", "1");
    let detail = line.sql("SELECT detail FROM events WHERE kind = 'retention_short'").unwrap();
    assert!(detail.contains("asks for 50% of 4.0 MiB") && detail.contains("keep_at_least"), "{detail}");
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE outputs_deleted_at NOT NULL").unwrap(), "0", "it is too young");
    std::fs::remove_file(ballast).unwrap();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'retention_short_over'", "1");
    assert!(daemon.stop().success());
}

#[test]
fn space_is_made_for_a_database_that_cannot_grow() {
    let retention = "    outputs: {dir: OUT, overlay: true, heat: true}\n    retention: {min_free: 10%, keep_at_least: 20s}\n";
    let line = Line::new(&[product("disc", retention)]);
    line.database_in("db");
    let Some(_disk) = Mount::tmpfs(&line.path("db"), "8m") else { return };
    line.change_config("OUT", arg(&line.path("db/out")));
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    let images: Vec<String> = (0..40).map(|number| format!("{number}.png")).collect();
    inspect(&line, "disc", &images.iter().map(|name| (name.as_str(), Part::ok(1))).collect::<Vec<_>>());
    let ballast = fill(&line.path("db"));
    // Long names fill what is left of the write-ahead log, and what is no image has no outputs.
    for number in 0..600 {
        std::fs::write(line.drop("disc").join(format!("{number:0200}.png")), "a shopping list").unwrap();
    }
    line.wait_for_log("the disk of the database is full");
    // Deleted first and noted then, in the space of what was deleted.
    line.wait_sql("SELECT count(*) FROM inspections WHERE id <= 40 AND outputs_deleted_at NOT NULL", "40");
    std::fs::remove_file(ballast).unwrap();
    line.wait_sql("SELECT sum(state = 'done') || ' ' || sum(state = 'failed') FROM inspections", "40 600");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'disk_full_over' AND detail LIKE '%disk of the database was full%'", "1");
    assert_eq!(line.sql("SELECT * FROM pragma_quick_check").unwrap(), "ok");
    assert!(daemon.stop().success());
}

/// A camera that writes to a disk that may be full: an image that it could not write whole it takes back and writes again later.
fn shoot(path: &Path, part: Part) -> bool {
    let bytes = crate::helper::image_bytes(part, image::ImageFormat::Png);
    let written = std::fs::write(path, bytes).is_ok();
    if !written {
        let _ = std::fs::remove_file(path);
    }
    written
}

#[test]
fn a_full_disk_gets_space_and_the_line_goes_on_by_itself() {
    const RETENTION: &str = "    retention: {min_free: 25%, when_full: [ok_outputs, ok_images], keep_at_least: 10s}\n";
    let line = Line::new(&[product("disc", &format!("{ALL_OUTPUTS}{RETENTION}"))]);
    // Database, images and outputs on one disk, as on a small line PC.
    let disk = line.path("disk");
    let Some(_disk) = Mount::tmpfs(&disk, "12m") else { return };
    std::fs::create_dir(disk.join("db")).unwrap();
    std::fs::create_dir(disk.join("images")).unwrap();
    line.database_in("disk/db");
    line.change_config(arg(&line.drop("disc")), arg(&disk.join("images")));
    line.fill_ok("disc", 0..6);
    let folder = disk.join("images");
    let space = || {
        rustix::fs::statvfs(&disk)
            .map(|s| format!("{} KiB of {} KiB free", s.f_bavail * s.f_frsize / 1024, s.f_blocks * s.f_frsize / 1024))
            .unwrap()
    };
    let one = |query: &str| line.sql(query).unwrap_or_else(|error| error);
    let state = || {
        one("SELECT count(*) || ' rows: done ' || sum(state = 'done') || ', pending ' || sum(state = 'pending') || ', outputs deleted ' ||
             count(outputs_deleted_at) || ', images deleted ' || count(image_deleted_at) FROM inspections")
    };

    let daemon = line.start();
    line.wait_for_bank("disc");
    let path = |number: u32| -> PathBuf { folder.join(format!("{number:04}.png")) };
    let mut written = 0;
    while written < 40 {
        assert!(shoot(&path(written), Part::ok(written % 6)));
        written += 1;
    }
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "40");
    println!("after 40 images: {}; {}", space(), state());
    while shoot(&path(written), Part::ok(written % 6)) {
        written += 1;
    }
    println!("the camera has filled the disk with image {written}: {}", space());
    // Whichever needs space first: the outputs of an image, or its row.
    wait_for("inspecting to pause", || {
        let log = line.log();
        let paused = log.contains("outputs cannot be written: No space left on device") || log.contains("the disk of the database is full");
        if paused { Ok(()) } else { Err(log) }
    });
    println!("inspecting pauses: {}; {}", space(), state());
    let all = written + 20;
    while written < all {
        wait_for("space for the camera", || if shoot(&path(written), Part::ok(written % 6)) { Ok(()) } else { Err(space()) });
        written += 1;
    }
    println!("the camera could go on: {}; {}", space(), state());
    let begin = std::time::Instant::now();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &all.to_string());
    println!("all {all} images are inspected, {:.0} s later: {}; {}", begin.elapsed().as_secs_f64(), space(), state());
    line.wait_sql("SELECT count(*) > 0 FROM events WHERE kind = 'retention'", "1");
    assert!(daemon.stop().success());
    println!(
        "{}",
        one(
            "SELECT group_concat(at || ' ' || level || ' ' || kind || ': ' || detail, char(10)) FROM events WHERE kind LIKE 'retention%' OR kind LIKE 'disk_full%'"
        )
    );
    println!(
        "{}",
        one(
            "SELECT group_concat(line, char(10)) FROM (SELECT image_path || ' decided ' || decided_at || ' outputs deleted ' || outputs_deleted_at || ' image deleted ' || ifnull(image_deleted_at, '-') AS line FROM inspections WHERE outputs_deleted_at NOT NULL ORDER BY id LIMIT 3)"
        )
    );

    // What is on the disk is what the history says is there.
    let kept = one(
        "SELECT group_concat(name, ' ') FROM (
           SELECT image_path AS name, image_deleted_at AS gone FROM inspections
           UNION ALL SELECT p.value, outputs_deleted_at FROM inspections, json_each(json_array(mask_path, overlay_path, heat_path, scores_path)) AS p)
         WHERE gone IS NULL",
    );
    let kept: BTreeSet<String> = kept.split_whitespace().map(str::to_owned).collect();
    assert_eq!(names(&folder).into_iter().map(|name| folder.join(name).display().to_string()).collect::<BTreeSet<_>>(), kept);
    assert_eq!(one("SELECT count(DISTINCT image_path) || ' ' || count(*) FROM inspections"), format!("{all} {all}"));
    assert_eq!(one("SELECT group_concat(state || decision) FROM (SELECT DISTINCT state, decision FROM inspections)"), "doneok");
    assert!(one("SELECT count(*) FROM inspections WHERE outputs_deleted_at NOT NULL").parse::<u32>().unwrap() >= 20);
    // Outputs went before images: no image of which the outputs are still there was deleted.
    assert_eq!(
        one(
            "SELECT count(*) FROM inspections WHERE image_deleted_at < outputs_deleted_at OR outputs_deleted_at IS NULL AND image_deleted_at NOT NULL"
        ),
        "0"
    );
}

#[test]
fn an_output_that_was_changed_since_stays() {
    let line = Line::new(&[product("disc", "")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    inspect(&line, "disc", &[("a.png", Part::ok(1)), ("b.png", Part::ok(2))]);
    assert!(daemon.stop().success());
    age(&line, "a.png", 20);
    age(&line, "b.png", 20);
    // Somebody drew into it; a copy that keeps its time is taken for what was written.
    let mask = std::fs::File::options().write(true).open(line.drop("disc").join("a.png.mask.png")).unwrap();
    /// Another time than the one that the history has.
    const IN_A_MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
    mask.set_modified(std::time::SystemTime::now() + IN_A_MINUTE).unwrap();
    line.configure(&[product("disc", "    retention: {ok_outputs: 14d}\n")]);
    let daemon = line.start();
    line.wait_sql("SELECT count(outputs_deleted_at) FROM inspections", "2");
    assert!(daemon.stop().success());
    assert_eq!(names(&line.drop("disc")), ["a.png", "a.png.mask.png", "b.png"].map(str::to_owned).into());
}

/// Rows of images of which nothing is left, not even a trace in their folder.
fn rows_without_files(line: &Line, folder: &str, rows: u32) {
    let path = line.drop("disc").join(folder);
    sql_change(
        &line.path("history.db"),
        &format!(
            "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {rows})
             INSERT INTO inspections (product, image_path, file_size, mtime_ns, state, seen_at, give_up_at, decided_at, bank_id, image_score,
                                      image_tau, pixel_tau, decision, mask_path)
             SELECT 'disc', image, 1, n, 'done', at, at, at, 1, 1.0, 2.0, 2.0, 'ok', image || '.mask.png'
             FROM (SELECT n, '{path}/' || n || '.png' AS image, '2026-01-01T00:00:00.000Z' AS at FROM number)",
            path = path.display()
        ),
    );
}

#[test]
fn emptied_folders_hold_up_no_other_file_however_many_images_were_in_them() {
    const ROWS: u32 = 100_000;
    let line = Line::new(&[product("disc", "")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    inspect(&line, "disc", &[("a.png", Part::ok(1))]);
    assert!(daemon.stop().success());
    // Decided after all of those, and old enough.
    age(&line, "a.png", 40);
    std::fs::create_dir(line.drop("disc").join("emptied")).unwrap();
    rows_without_files(&line, "emptied", ROWS);
    rows_without_files(&line, "removed", 1000);
    line.configure(&[product("disc", "    retention: {ok_outputs: 14d, ok_images: 30d}\n")]);
    let daemon = line.start();
    let begin = std::time::Instant::now();
    line.wait_sql("SELECT image_deleted_at NOT NULL FROM inspections WHERE image_path LIKE '%/a.png'", "1");
    println!("{ROWS} rows of an emptied folder, twice, and the file after them: {:?}", begin.elapsed());
    line.wait_sql(
        "SELECT count(*) FROM inspections WHERE image_path LIKE '%/removed/%' AND (image_deleted_at IS NULL OR outputs_deleted_at IS NULL)",
        "0",
    );
    // Whether something is mounted there some day, nobody knows.
    assert_eq!(line.sql("SELECT count(image_deleted_at) FROM inspections WHERE image_path LIKE '%/emptied/%'").unwrap(), "0");
    assert!(daemon.stop().success());
}

#[test]
fn images_that_were_moved_out_of_their_folder_are_noted() {
    let line = Line::new(&[product("disc", "    retention: {ok_outputs: 3s, ok_images: 3s, keep_at_least: 1s}\n")]);
    let day = line.drop("disc").join("day");
    std::fs::create_dir(&day).unwrap();
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    inspect(&line, "disc", &[("day/a.png", Part::ok(1)), ("day/b.png", Part::ok(2))]);
    // Whoever comes first: the folder is left, and empty.
    for name in names(&day) {
        let _ = std::fs::remove_file(day.join(name));
    }
    line.wait_sql("SELECT count(image_deleted_at) || count(outputs_deleted_at) FROM inspections", "22");
    assert!(day.is_dir());
    assert!(daemon.stop().success());
}
