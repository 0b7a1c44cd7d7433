//! How the pages are reached, and what cannot be done to the line through them.

use super::{Pages, free_port};
use crate::helper::{Line, Part, Product, arg, run, run_ok, wait_for, write_image};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;

/// The sockets of a process that somebody can connect to.
fn listening(pid: u32) -> Vec<String> {
    let own: HashSet<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| {
            Some(std::fs::read_link(entry.ok()?.path()).ok()?.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
        })
        .collect();
    let mut found = Vec::new();
    // (table, column of the state, state of a listener, column of the inode)
    for (table, column, state, inode) in [("tcp", 3, "0A", 9), ("tcp6", 3, "0A", 9), ("unix", 3, "00010000", 6)] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        let columns = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        found.extend(
            columns.filter(|c| c.get(column) == Some(&state) && c.get(inode).is_some_and(|i| own.contains(*i))).map(|c| c.join(" ")),
        );
    }
    found
}

#[test]
fn nothing_listens_unless_it_is_asked_to() {
    let line = Line::new(&[Product::new("disc")]);
    let daemon = line.start();
    line.wait_for_log("ready");
    assert_eq!(listening(daemon.pid()), Vec::<String>::new());
    assert!(daemon.stop().success());

    for pages in [Pages::Port(free_port()), Pages::Socket(line.path("metrics.sock"))] {
        let plain = std::fs::read_to_string(line.config()).unwrap();
        let pages = pages.set(&line);
        let daemon = line.start();
        pages.wait();
        assert_eq!(listening(daemon.pid()).len(), 1);
        assert!(daemon.stop().success());
        std::fs::write(line.config(), plain).unwrap();
    }
}

#[test]
fn there_are_two_pages_and_they_are_read_only() {
    let line = Line::new(&[Product::new("disc")]);
    let pages = Pages::socket(&line);
    let daemon = line.start();
    line.wait_for_log("ready");
    let answer = pages.ask("/metrics").unwrap();
    assert_eq!(answer.code, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let answer = pages.ask("/healthz").unwrap();
    assert_eq!((answer.code, answer.body.as_str()), (200, "{\"status\":\"ok\",\"problems\":[]}\n"));
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    assert_eq!(pages.ask("/").unwrap().code, 404);
    assert_eq!(pages.request("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").unwrap().code, 405);
    assert_eq!(pages.request("nonsense\r\n\r\n").unwrap().code, 400);
    assert!(daemon.stop().success());
}

#[test]
fn an_address_that_cannot_be_used_does_not_stop_the_line_and_is_tried_again() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let pages = Pages::Port(taken.local_addr().unwrap().port()).set(&line);
    let warned = |line: &Line| String::from_utf8(run(&["check", "--config", arg(&line.config())]).stdout).unwrap();
    let text = warned(&line);
    assert!(text.contains("warning: metrics.listen: 127.0.0.1:") && text.contains("another program listens there"), "{text}");

    let daemon = line.start();
    line.wait_for_bank("disc");
    line.wait_sql("SELECT detail LIKE '%another program listens there%' FROM events WHERE kind = 'metrics_unavailable'", "1");
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    drop(taken);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'metrics_available'", "1");
    pages.wait_metric("patchcored_inspections_total{product=\"disc\",decision=\"ok\"}", 1.0);
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'metrics_unavailable'").unwrap(), "1", "said once");
    let text = warned(&line);
    assert!(!text.contains("metrics"), "the daemon itself has the address: {text}");
    assert!(daemon.stop().success());
}

#[test]
fn a_socket_file_is_made_only_where_nothing_is_in_the_way() {
    let line = Line::new(&[Product::new("disc")]);
    let pages = Pages::socket(&line);
    let socket = line.path("metrics.sock");
    // As a killed daemon leaves it.
    drop(UnixListener::bind(&socket).unwrap());
    run_ok(&["check", "--config", arg(&line.config())]);
    let daemon = line.start();
    pages.wait();
    daemon.kill();
    assert!(socket.exists());
    let daemon = line.start();
    pages.wait();
    assert!(daemon.stop().success());

    std::fs::write(&socket, "notes").unwrap();
    let daemon = line.start();
    line.wait_sql("SELECT detail LIKE '%is there and no socket%' FROM events WHERE kind = 'metrics_unavailable'", "1");
    assert!(daemon.stop().success());
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "notes");

    line.change_config("/metrics.sock", "/missing/metrics.sock");
    let text = String::from_utf8(run(&["check", "--config", arg(&line.config())]).stdout).unwrap();
    assert!(text.contains("warning: metrics.socket: ") && text.contains("make the folder"), "{text}");
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM events WHERE detail LIKE '%/missing/metrics.sock: the socket cannot be made%'", "1");
    std::fs::create_dir(line.path("missing")).unwrap();
    Pages::Socket(line.path("missing/metrics.sock")).wait();
    assert!(daemon.stop().success());
}

#[test]
fn a_crowd_of_idle_clients_keeps_nobody_from_an_answer() {
    let line = Line::new(&[Product::new("disc")]);
    let pages = Pages::port(&line);
    let Pages::Port(port) = pages else { unreachable!() };
    let daemon = line.start();
    line.wait_for_log("ready");
    pages.wait();
    let idle: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    assert_eq!(pages.ask("/healthz").unwrap().code, 200);
    // It was not answered after all of them were got rid of, but beside them.
    let waits = |client: &&TcpStream| {
        client.set_nonblocking(true).unwrap();
        let mut stream: &TcpStream = client;
        stream.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    let waiting = idle.iter().filter(waits).count();
    assert!((20..=64).contains(&waiting), "{waiting} are still connected");
    assert!(daemon.stop().success());
}

#[test]
fn slow_and_greedy_clients_do_not_touch_the_line() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let pages = Pages::port(&line);
    let daemon = line.start();
    line.wait_for_bank("disc");
    pages.wait();

    // More than are served at once: half a request, no request, a request whose answer is not read, a head without end.
    let mut clients = Vec::new();
    for number in 0..24 {
        let mut client = pages.connect().unwrap();
        match number % 4 {
            0 => client.write_all(b"GET /metrics HTTP/1.1\r\nHost: ").unwrap(),
            1 => {}
            2 => client.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap(),
            // It may be refused before it is all written.
            _ => drop(client.write_all(&[b'a'; 30_000])),
        }
        clients.push(client);
    }
    for number in 0..10 {
        write_image(&line.drop("disc").join(format!("{number}.png")), Part::ok(number));
    }
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "10");
    // All of them are got rid of, one after another, while they are still there.
    pages.wait_metric("patchcored_inspections_total{product=\"disc\",decision=\"ok\"}", 10.0);
    for client in &mut clients {
        wait_for("the daemon to close the connection", || {
            let mut rest = Vec::new();
            match client.read_to_end(&mut rest) {
                Ok(_) => Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        });
    }
    assert!(daemon.stop().success());
}
