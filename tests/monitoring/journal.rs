//! Log lines under systemd: a journald of our own in a mount namespace of the daemon, so that the real one, if any, hears nothing.

use crate::helper::{Line, Part, Product, arg, can, patchcored, wait_for, write_image};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

/// Puts the folder `$1` where journald has its socket, tells the daemon that its stderr is the journal, and becomes the daemon.
const START: &str = r#"
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && mount --bind "$1" /run/systemd/journal || exit 99
shift
export JOURNAL_STREAM="$(stat -L -c %d:%i /proc/self/fd/2)"
exec "$@"
"#;

type Fields = Vec<(String, String)>;

/// Name and value of each field; journald's protocol has a length before each value.
fn fields(mut text: &[u8]) -> Fields {
    let mut found = Vec::new();
    while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
        let (length, rest) = text[end + 1..].split_first_chunk().unwrap();
        let (value, rest) = rest.split_at(u64::from_le_bytes(*length) as usize);
        found.push((String::from_utf8_lossy(&text[..end]).into_owned(), String::from_utf8_lossy(value).into_owned()));
        text = &rest[1..];
    }
    found
}

fn get<'a>(line: &'a Fields, name: &str) -> Option<&'a str> {
    line.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// Between two looks at what was heard.
const ROUND: Duration = Duration::from_millis(50);

#[test]
fn journald_gets_one_line_for_each_image_with_its_facts_as_fields() {
    let Some(()) = can("root, for a mount namespace", "unshare", &["-m", "true"]) else { return };
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    std::fs::create_dir(line.path("journal")).unwrap();
    let journald = UnixDatagram::bind(line.path("journal/socket")).unwrap();
    journald.set_read_timeout(Some(ROUND)).unwrap();
    let mut heard: Vec<Fields> = Vec::new();
    let mut wait = |what: &str, is: &dyn Fn(&Fields) -> bool| -> Fields {
        wait_for(what, || {
            let mut buffer = vec![0; 1 << 18];
            while let Ok(length) = journald.recv(&mut buffer) {
                heard.push(fields(&buffer[..length]));
            }
            heard.iter().find(|line| is(line)).cloned().ok_or_else(|| format!("{heard:?} {}", line.log()))
        })
    };

    let program = patchcored();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", START, "sh", arg(&line.path("journal"))]).arg(program.get_program());
    command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET");
    let daemon = line.start_as(command);
    wait("bank in use", &|line| get(line, "MESSAGE").is_some_and(|text| text.starts_with("bank in use")));
    let (good, bad) = (line.drop("disc").join("good.png"), line.drop("disc").join("list.jpg"));
    write_image(&good, Part::ok(1));
    std::fs::write(&bad, "this is a shopping list, not an image").unwrap();

    let seen = wait("the line of the good part", &|line| get(line, "IMAGE") == Some(arg(&good)));
    assert_eq!((get(&seen, "PRODUCT"), get(&seen, "DECISION"), get(&seen, "PRIORITY")), (Some("disc"), Some("ok"), Some("6")));
    let score: f64 = get(&seen, "SCORE").unwrap().parse().unwrap();
    let recorded: f64 = line.sql("SELECT image_score FROM inspections WHERE decision = 'ok'").unwrap().parse().unwrap();
    assert!((score - recorded).abs() < 1e-9, "{score} {recorded}");
    assert!(get(&seen, "IMAGE_TAU").is_some() && get(&seen, "ENGINE_MS").is_some());
    let message = get(&seen, "MESSAGE").unwrap();
    assert!(message.starts_with(&format!("inspected product=disc image={} decision=ok score=", arg(&good))), "{message}");

    let seen = wait("the line of the list", &|line| get(line, "IMAGE") == Some(arg(&bad)));
    assert_eq!((get(&seen, "PRODUCT"), get(&seen, "PRIORITY")), (Some("disc"), Some("4")));
    assert!(get(&seen, "REASON").unwrap().starts_with("is not a JPEG"));
    let seen = wait("an event", &|line| get(line, "KIND") == Some("start"));
    assert_eq!(get(&seen, "PRIORITY"), Some("6"));
    assert!(daemon.stop().success());
    wait("the end", &|line| get(line, "MESSAGE") == Some("stopped"));
    assert_eq!(heard.iter().filter(|line| get(line, "IMAGE").is_some()).count(), 2, "one line for each image");
    assert_eq!(line.log(), "", "nothing goes to stderr as well");
}

#[test]
fn a_stderr_that_is_not_the_journal_gets_text() {
    let line = Line::new(&[Product::new("disc")]);
    let daemon = line.start_with(|command| {
        // As a program started from a service inherits it.
        command.env("JOURNAL_STREAM", "1:1");
    });
    line.wait_for_log("ready");
    assert!(daemon.stop().success());
}
