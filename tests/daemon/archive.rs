//! Old rows: moved out of the history, and still to be asked.

use crate::docs::page;
use crate::helper::{Line, Part, Product, arg, run_ok, sql_value, wait_for, write_image};

const RETENTION: &str = "    retention: {ok_outputs: 2s, ok_images: 2s, ng_outputs: 2s, ng_images: 2s, rows: 4s, keep_at_least: 1s}\n";

#[test]
fn rows_whose_files_are_gone_move_into_the_file_of_their_month() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    for number in 0..4 {
        write_image(&line.drop("disc").join(format!("{number}.png")), if number == 0 { Part::ng(1) } else { Part::ok(number) });
        line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &(number + 1).to_string());
    }
    assert!(daemon.stop().success());
    let month = line.sql("SELECT DISTINCT substr(decided_at, 1, 7) FROM inspections").unwrap();
    let all = "SELECT group_concat(id || decision || round(image_score, 6)) FROM (SELECT * FROM inspections WHERE id < 4 ORDER BY id)";
    let before = line.sql(all).unwrap();
    line.configure_also(RETENTION);
    let daemon = line.start();
    line.wait_sql("SELECT group_concat(id) FROM inspections", "4");
    let archive = line.path(&format!("history-rows-{month}.db"));
    wait_for("the rows in the archive", || match sql_value(&archive, all) {
        Ok(seen) if seen == before => Ok(()),
        other => Err(format!("{other:?}")),
    });
    line.wait_sql(
        "SELECT count(*) FROM events WHERE kind = 'rows_moved' AND detail LIKE 'moved % rows of disc to %/history-rows-20%.db'",
        "1",
    );
    assert!(!line.drop("disc").join("0.png").exists());
    assert!(daemon.stop().success());

    // The query of the page, on both.
    let page = page("docs/retention.md");
    let query = page.blocks_of("console").find(|block| block.text.contains("ATTACH")).unwrap();
    let query = query.text.replace("/var/lib/patchcored/history-rows-2026-11.db", arg(&archive));
    let output = std::process::Command::new("sqlite3").args(["-readonly", arg(&line.path("history.db")), &query]).output();
    if let Ok(output) = output {
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim_end(),
            "disc|ng|1\ndisc|ok|3",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert!(run_ok(&["retention", "--dry-run", "--config", arg(&line.config())]).contains("nothing would be deleted now"));
}

#[test]
fn a_dry_run_counts_them() {
    let line = Line::new(&[Product::new("disc")]);
    line.configure_also(&RETENTION.replace("rows: 4s", "rows: 400d"));
    assert!(line.start_and_stop());
    let then = "'2025-01-01T00:00:00.000Z'";
    for id in 1..=3 {
        let row = format!(
            "INSERT INTO inspections (id, product, image_path, file_size, mtime_ns, state, seen_at, give_up_at, decided_at, image_score, decision,
             image_deleted_at) VALUES ({id}, 'disc', '/gone/{id}.png', 1, 1, 'done', {then}, {then}, {then}, 1.5, 'ng', {then})"
        );
        crate::helper::sql_change(&line.path("history.db"), &row);
    }
    let said = run_ok(&["retention", "--dry-run", "--config", arg(&line.config())]);
    assert!(said.ends_with("2 rows of disc would be moved out of the history\n"), "{said}");
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "3");
}
