//! Signals and systemd.

use crate::helper::{Line, Part, Product, write_image};
use rustix::process::Signal;
use std::os::unix::net::UnixDatagram;

#[test]
fn reload_adds_a_product_and_a_bad_config_changes_nothing() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "1");

    let good = std::fs::read_to_string(line.config()).unwrap();
    std::fs::write(line.config(), good.replace("shorter: 64", "shorter: sixty-four")).unwrap();
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT detail LIKE '%shorter%' FROM events WHERE kind = 'reload_refused'", "1");
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");

    line.configure(&[Product::new("disc"), Product::new("other")]);
    line.fill_ok("other", 0..6);
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "2");
    write_image(&line.drop("other").join("b.png"), Part::ok(2));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done' AND product = 'other'", "1");
    daemon.signal(Signal::USR1);
    line.wait_for_log("backlog 0, ok ");
    assert!(daemon.stop().success());
}

#[test]
fn signals_are_served_when_nobody_reads_the_notifications() {
    let line = Line::new(&[Product::new("disc")]);
    let socket = UnixDatagram::bind(line.path("notify")).unwrap();
    let daemon = line.start_with(|command| {
        command.env("NOTIFY_SOCKET", line.path("notify"));
    });
    socket.recv(&mut [0; 4096]).unwrap();
    // Full is full for everybody: a socket may also be refused because of what it sent itself.
    let fill = || {
        let filler = UnixDatagram::unbound().unwrap();
        filler.set_nonblocking(true).unwrap();
        std::iter::repeat_with(|| filler.send_to(b"STATUS=full", line.path("notify"))).take_while(Result::is_ok).count()
    };
    while fill() > 0 {}
    assert!(daemon.stop().success());
    line.wait_for_log("systemd not told");
}

/// Without them its memory grows with every reload, and its waiting threads take the cores from reading and writing.
#[test]
fn the_daemon_gives_itself_the_environment_that_it_is_best_in() {
    let environment = |change: &[(&str, &str)]| {
        let line = Line::new(&[Product::new("disc")]);
        let daemon = line.start_with(|command| {
            command.env_remove("OMP_WAIT_POLICY").env_remove("GOMP_SPINCOUNT").env_remove("MALLOC_ARENA_MAX");
            command.envs(change.iter().copied());
        });
        line.wait_sql("SELECT count(*) FROM events WHERE kind = 'ok_images_too_few'", "1");
        let text = std::fs::read(format!("/proc/{}/environ", daemon.pid())).unwrap();
        assert!(daemon.stop().success());
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut set: Vec<_> =
            text.split('\0').filter(|entry| entry.contains("OMP_") || entry.starts_with("MALLOC_")).map(str::to_owned).collect();
        set.sort();
        set
    };
    assert_eq!(environment(&[]), ["MALLOC_ARENA_MAX=2", "OMP_WAIT_POLICY=PASSIVE"]);
    // What somebody has chosen stays.
    let chosen = [("GOMP_SPINCOUNT", "1000"), ("MALLOC_ARENA_MAX", "3")];
    assert_eq!(environment(&chosen), ["GOMP_SPINCOUNT=1000", "MALLOC_ARENA_MAX=3"]);
}

#[test]
fn a_bad_config_does_not_start() {
    let line = Line::new(&[Product::new("disc")]);
    std::fs::write(line.config(), "database: h.db\nproducts: []\nextra: 1\n").unwrap();
    let mut daemon = line.start();
    assert_eq!(daemon.wait().code(), Some(78));
    assert!(line.log().contains("extra"), "{}", line.log());
}
