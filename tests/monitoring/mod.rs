//! Monitoring from outside: the pages over a port and over a socket, the journal, and the examples for IT people.

mod documents;
mod health;
mod journal;
mod metrics;
mod pages;
mod prometheus;
mod waiting;

use crate::helper::{Line, arg, scaled, skipped, wait_for};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where a daemon answers.
#[derive(Clone)]
enum Pages {
    Port(u16),
    Socket(PathBuf),
}

/// An answer.
struct Answer {
    code: u16,
    head: String,
    body: String,
}

impl Pages {
    /// A socket in the line's folder, set in its configuration.
    fn socket(line: &Line) -> Self {
        Self::Socket(line.path("metrics.sock")).set(line)
    }

    /// A port that nobody uses now, set in the line's configuration.
    fn port(line: &Line) -> Self {
        Self::Port(free_port()).set(line)
    }

    fn set(self, line: &Line) -> Self {
        line.change_config("products:\n", &format!("{}products:\n", self.section()));
        self
    }

    /// The lines of the configuration.
    fn section(&self) -> String {
        match self {
            Self::Port(port) => format!("metrics: {{listen: '127.0.0.1:{port}'}}\n"),
            Self::Socket(path) => format!("metrics: {{socket: {}}}\n", arg(path)),
        }
    }

    fn connect(&self) -> std::io::Result<Box<dyn Connection>> {
        let patience = Some(scaled(Duration::from_secs(60)));
        Ok(match self {
            Self::Port(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port))?;
                stream.set_read_timeout(patience)?;
                Box::new(stream)
            }
            Self::Socket(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(patience)?;
                Box::new(stream)
            }
        })
    }

    fn ask(&self, page: &str) -> std::io::Result<Answer> {
        self.request(&format!("GET {page} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    fn request(&self, text: &str) -> std::io::Result<Answer> {
        let mut stream = self.connect()?;
        stream.write_all(text.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let code = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
        assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
        Ok(Answer { code, head: head.to_owned(), body: body.to_owned() })
    }

    /// Waits until the daemon answers at all.
    fn wait(&self) {
        wait_for("an answer", || self.ask("/healthz").map(|_| ()).map_err(|error| error.to_string()));
    }

    /// The metrics as they are now.
    fn metrics(&self) -> Metrics {
        let answer = self.ask("/metrics").unwrap();
        assert_eq!(answer.code, 200, "{}", answer.body);
        Metrics::of(&answer.body)
    }

    /// Waits until this sample has this value.
    fn wait_metric(&self, sample: &str, value: f64) {
        wait_for(&format!("{sample} {value}"), || {
            let metrics = self.metrics();
            if metrics.get(sample) == Some(value) { Ok(()) } else { Err(format!("{:?}", metrics.get(sample))) }
        });
    }
}

trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Samples by name and labels, as `patchcored_inspections_total{decision="ok",product="disc"}` with the labels in the order of their names.
struct Metrics {
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    fn of(text: &str) -> Self {
        let mut samples = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(samples.insert(sorted(sample), value.parse().unwrap()).is_none(), "twice: {line}");
        }
        Self { samples }
    }

    fn get(&self, sample: &str) -> Option<f64> {
        self.samples.get(&sorted(sample)).copied()
    }

    /// The sum of all samples of this name that have all of these labels.
    fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let has = |sample: &str| sample.split('{').next() == Some(name) && labels.iter().all(|label| sample.contains(label));
        self.samples.iter().filter(|(sample, _)| has(sample)).map(|(_, value)| value).sum()
    }

    /// The names of all samples.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.samples.keys().filter_map(|sample| sample.split('{').next()).collect();
        names.dedup();
        names
    }
}

/// With the labels in the order of their names. Values of labels here have no commas.
fn sorted(sample: &str) -> String {
    let Some((name, labels)) = sample.split_once('{') else { return sample.to_owned() };
    let mut labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

/// Runs promtool, which must be content; `None`, said aloud, where there is none.
fn promtool(arguments: &[&str], input: &str) -> Option<String> {
    let child = Command::new("promtool").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        return skipped("promtool (Debian: apt install prometheus)");
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    Some(said)
}
