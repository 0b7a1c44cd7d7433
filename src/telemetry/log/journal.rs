//! Log lines to journald in its own protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>), so that their fields can be asked for:
//! `journalctl -u patchcored PRODUCT=prod1-front`.
//!
//! Not the crate tracing-journald, for two reasons: its MESSAGE is the constant text alone, so that `journalctl -u patchcored` would be a
//! column of the word "inspected"; and it waits for as long as journald does not read, and every image would wait with it.

use super::line::{LogLine, Quotes, keep};
use parking_lot::{Mutex, MutexGuard};
use rustix::fs::fstat;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

const SOCKET: &str = "/run/systemd/journal/socket";

/// How long a line waits for journald to take it.
const PATIENCE: Duration = Duration::from_millis(100);
/// After a line that was not taken, no other waits for this long.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of a value; a datagram of some of these still fits into the kernel's default buffer.
const LONGEST: usize = 16 << 10;

/// journald, as a place for log lines.
pub struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    lost: Mutex<Lost>,
}

/// What journald did not take of late.
#[derive(Default)]
struct Lost {
    lines: u64,
    until: Option<Instant>,
}

impl Journal {
    /// journald, when stderr is connected to it: systemd then names that stream in `JOURNAL_STREAM`.
    pub fn of_stderr() -> Option<Self> {
        let named = std::env::var("JOURNAL_STREAM").ok()?;
        let stderr = fstat(std::io::stderr()).ok()?;
        if named != format!("{}:{}", stderr.st_dev, stderr.st_ino) {
            return None;
        }
        let journal = Self::at(Path::new(SOCKET)).ok()?;
        // An empty message is heeded by nobody, but fails where nobody listens.
        journal.socket.send_to(&[], SOCKET).ok()?;
        Some(journal)
    }

    fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, path: path.to_owned(), lost: Mutex::default() })
    }

    /// Lines are lost rather than waited for; how many, the next one says.
    fn send(&self, line: &LogLine, own: &[(&str, &str)]) {
        let mut lost = self.lost();
        if lost.until.is_some_and(|until| Instant::now() < until) {
            lost.lines += 1;
            return;
        }
        let text = datagram(line, own, lost.lines);
        *lost = match self.socket.send_to(&text, &self.path) {
            Ok(_) => Lost::default(),
            Err(_) => Lost { lines: lost.lines + 1, until: Some(Instant::now() + PAUSE) },
        };
    }

    fn lost(&self) -> MutexGuard<'_, Lost> {
        self.lost.lock()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Journal {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        keep(attributes, id, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let meta = event.metadata();
        let priority = match *meta.level() {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            Level::DEBUG | Level::TRACE => "7",
        };
        let line = LogLine::of_event(event, context.event_scope(event));
        self.send(&line, &[("PRIORITY", priority), ("SYSLOG_IDENTIFIER", "patchcored"), ("TARGET", meta.target())]);
    }
}

/// The message, and every fact under journald's names; `own` are those of this program.
fn datagram(line: &LogLine, own: &[(&str, &str)], lost: u64) -> Vec<u8> {
    let note = if lost > 0 { format!(" ({lost} log lines before this one were lost: journald did not take them)") } else { String::new() };
    let mut text = Vec::with_capacity(1 << 10);
    put(&mut text, "MESSAGE", &format!("{}{}{note}", line.message, line.facts_in_words(Quotes::Nothing)));
    for fact in &line.facts {
        put(&mut text, &fact.name.replace('.', "_").to_ascii_uppercase(), &fact.value);
    }
    for (name, value) in own {
        put(&mut text, name, value);
    }
    text
}

/// Name, newline, length, value, newline: the form that any value fits.
fn put(text: &mut Vec<u8>, name: &str, value: &str) {
    let mut length = value.len().min(LONGEST);
    while !value.is_char_boundary(length) {
        length -= 1;
    }
    let value = &value[..length];
    text.extend_from_slice(name.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(&(value.len() as u64).to_le_bytes());
    text.extend_from_slice(value.as_bytes());
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    /// Name and value of each field of a datagram.
    fn fields(mut text: &[u8]) -> Vec<(String, String)> {
        let mut found = Vec::new();
        while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
            let (name, rest) = text.split_at(end);
            let (length, rest) = rest[1..].split_first_chunk().unwrap();
            let (value, rest) = rest.split_at(u64::from_le_bytes(*length) as usize);
            found.push((String::from_utf8(name.to_vec()).unwrap(), String::from_utf8(value.to_vec()).unwrap()));
            text = &rest[1..];
        }
        found
    }

    fn heard(journald: &UnixDatagram) -> Vec<(String, String)> {
        let mut buffer = vec![0; 1 << 18];
        let length = journald.recv(&mut buffer).unwrap();
        fields(&buffer[..length])
    }

    #[test]
    fn a_line_is_readable_and_its_facts_are_fields() {
        let folder = tempfile::tempdir().unwrap();
        let journald = UnixDatagram::bind(folder.path().join("socket")).unwrap();
        let journal = Journal::at(&folder.path().join("socket")).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(journal), || {
            tracing::info!(product = %"disc", image = "/drop/a\nb.png", score = 1.5, none = Option::<&str>::None, "inspected");
            tracing::error!(reason = "x".repeat(100_000), "failed");
            tracing::info_span!("image", product = %"disc", image = %"/a.png").in_scope(|| tracing::info!(score = 2.5, "inspected"));
        });
        let line = heard(&journald);
        let get = |name: &str| line.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!(get("MESSAGE"), Some("inspected product=disc image=/drop/a\\nb.png score=1.5000"));
        assert_eq!((get("PRODUCT"), get("IMAGE"), get("SCORE"), get("NONE")), (Some("disc"), Some("/drop/a\nb.png"), Some("1.5"), None));
        assert_eq!((get("PRIORITY"), get("SYSLOG_IDENTIFIER")), (Some("6"), Some("patchcored")));
        let line = heard(&journald);
        assert!(line.contains(&("PRIORITY".into(), "3".into())));
        assert!(line.contains(&("REASON".into(), "x".repeat(LONGEST))));
        let line = heard(&journald);
        assert!(line.contains(&("MESSAGE".into(), "inspected product=disc image=/a.png score=2.5000".into())), "{line:?}");
        assert!(line.contains(&("PRODUCT".into(), "disc".into())) && line.contains(&("SCORE".into(), "2.5".into())));
    }

    #[test]
    fn a_journald_that_does_not_read_costs_a_moment_and_is_told_later_what_it_missed() {
        let folder = tempfile::tempdir().unwrap();
        let journald = UnixDatagram::bind(folder.path().join("socket")).unwrap();
        let journal = Journal::at(&folder.path().join("socket")).unwrap();
        let line = LogLine { message: "x".into(), ..LogLine::default() };
        let mut sent = 0;
        while journal.lost().lines == 0 {
            journal.send(&line, &[]);
            sent += 1;
            assert!(sent < 100_000, "the kernel takes everything");
        }
        for _ in 0..9 {
            journal.send(&line, &[]);
        }
        assert_eq!(journal.lost().lines, 10);
        journald.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        while journald.recv(&mut buffer).is_ok() {}
        journal.lost().until = None;
        journal.send(&line, &[]);
        assert_eq!(heard(&journald), [("MESSAGE".into(), "x (10 log lines before this one were lost: journald did not take them)".into())]);
        assert_eq!(journal.lost().lines, 0);
    }
}
