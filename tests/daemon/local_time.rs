//! The time zone and the shifts of the configuration, in what commands show and in what the views count.

use crate::helper::{Line, Part, Product, arg, run_ok, write_image};

#[test]
fn commands_and_views_go_by_the_clock_of_the_plant() {
    let line = Line::new(&[Product::new("disc")]);
    line.configure_also("time_zone: Asia/Seoul\nshifts: {day: \"00:00\"}\n");
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    write_image(&line.drop("disc").join("good.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    line.wait_sql("SELECT group_concat(name) FROM shifts", "day");
    assert_eq!(line.list("SELECT CAST(seconds AS TEXT) FROM local_offsets"), ["32400"]);
    let day = line.sql("SELECT date(decided_at, '+9 hours') FROM inspections").unwrap();
    assert_eq!(line.list("SELECT day || shift || ok FROM yield_by_shift"), [format!("{day}day1")]);
    assert_eq!(line.list("SELECT day || ok FROM local_daily_yield"), [format!("{day}1")]);

    let config = line.config();
    let shown = |arguments: &[&str]| run_ok(&[arguments, &["--config", arg(&config)]].concat());
    let seen = line.sql("SELECT strftime('%Y-%m-%dT%H:%M:%S', seen_at, '+9 hours') FROM inspections").unwrap();
    for arguments in [&["history"][..], &["history", "--since", "shift"], &["history", "--since", "today"], &["explain", "1"]] {
        let text = shown(arguments);
        assert!(text.contains(&seen) && text.contains("+09:00"), "{arguments:?}: {text}");
    }
    assert!(shown(&["status"]).contains("+09:00"), "{}", shown(&["status"]));
    for arguments in [&["history", "--utc"][..], &["explain", "1", "--utc"], &["status", "--utc"], &["history", "--format", "json"]] {
        let text = shown(arguments);
        assert!(!text.contains("+09:00") && text.contains(if arguments[0] == "status" { "built 20" } else { "good.png" }), "{text}");
    }
    assert!(daemon.stop().success());
}
