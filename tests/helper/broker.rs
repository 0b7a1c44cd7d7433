//! A real MQTT broker and a real subscriber, from Debian's packages `mosquitto` and `mosquitto-clients`.

use super::{arg, skipped, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where Debian has the broker, which is not on everybody's path.
const PROGRAM: &str = "/usr/sbin/mosquitto";

/// A broker on a free port, stopped with the test. What it has to remember it writes to its folder at once.
pub struct Broker {
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Broker {
    /// A broker for anybody, not started; `None`, said, where mosquitto is not installed.
    pub fn new(folder: &Path) -> Option<Self> {
        if !Path::new(PROGRAM).exists() || Command::new("mosquitto_sub").arg("--help").output().is_err() {
            return skipped("mosquitto and mosquitto_sub (apt-get install mosquitto mosquitto-clients)");
        }
        std::fs::create_dir_all(folder).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let broker = Self { folder: folder.to_owned(), port, child: None };
        broker.configure("allow_anonymous true\n");
        Some(broker)
    }

    /// Writes its configuration with these lines about who may connect and how.
    pub fn configure(&self, access: &str) {
        let folder = arg(&self.folder);
        let user = if rustix::process::geteuid().is_root() { "user root\n" } else { "" };
        let text = format!(
            "listener {} 127.0.0.1\n{access}{user}persistence true\npersistence_location {folder}/\nautosave_on_changes true\n\
             autosave_interval 1\nmax_inflight_messages 0\nmax_queued_messages 0\nlog_dest file {folder}/log\nlog_type all\n",
            self.port
        );
        std::fs::write(self.folder.join("conf"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The `mqtt:` section for it, on one line, with more keys.
    pub fn section(&self, keys: &str) -> String {
        format!("mqtt: {{broker: 'mqtt://127.0.0.1:{}', {keys}}}\n", self.port)
    }

    /// Starts it and waits until it listens.
    pub fn start(&mut self) {
        let child = Command::new(PROGRAM).args(["-c", arg(&self.folder.join("conf"))]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.unwrap());
        wait_for("mosquitto to listen", || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).map(drop).map_err(|e| format!("{e}\n{}", self.log()))
        });
    }

    /// Drops every connection without a word, as one that is killed, but writes its file first. A broker that is killed may have acknowledged a
    /// message that is not in its file yet, and whose subscriber gives up the broken connection before it reads it. No client can know.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = Pid::from_child(&child);
            kill_process(pid, Signal::TERM).unwrap();
            child.wait().unwrap();
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// A subscriber to everything, that is known to the broker from here on, whether or not it is connected.
    pub fn subscribe(&self, options: &[&str]) -> Subscriber {
        let heard = self.folder.join("heard");
        let child = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-c", "-i", "listener", "-q", "1", "-t", "#", "-F", "%t %p"])
            .args(options)
            .stdout(File::create(&heard).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("the subscription", || if self.log().contains("Sending SUBACK to listener") { Ok(()) } else { Err(self.log()) });
        Subscriber { heard, child }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Writes down what it hears; comes back when the broker does.
pub struct Subscriber {
    heard: PathBuf,
    child: Child,
}

impl Subscriber {
    /// Topic and payload of each message so far, in their order, also those that came twice.
    pub fn heard(&self) -> Vec<(String, Value)> {
        let text = std::fs::read_to_string(&self.heard).unwrap();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let messages = whole.lines().map(|line| line.split_once(' ').unwrap());
        messages.map(|(topic, payload)| (topic.to_owned(), serde_json::from_str(payload).unwrap())).collect()
    }

    /// The inspections heard of, each once, in the order in which they were first heard of; of one product or of all.
    pub fn inspections(&self, product: Option<&str>) -> Vec<i64> {
        let mut ids = Vec::new();
        for (_, payload) in self.heard() {
            let id = payload["inspection_id"].as_i64().unwrap();
            if product.is_none_or(|product| payload["product"] == product) && !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
