//! A line in a temporary folder and its daemon as a child process.

use super::{Part, arg, patchcored, run_ok, scaled, wait_for, wait_up_to, write_image};
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Work at low priority on a machine whose cores are all busy.
const BACKGROUND: Duration = Duration::from_secs(900);

/// One product of the test line.
pub struct Product {
    pub name: &'static str,
    /// Extra YAML lines of the product, indented by four.
    pub extra: String,
    /// The `drop:` entry after its path, indented by eight; default: all images, close_write.
    pub drop: String,
    /// Drop folder; default: `drop/NAME`.
    pub folder: Option<&'static str>,
}

impl Product {
    pub fn new(name: &'static str) -> Self {
        Self { name, extra: String::new(), drop: String::new(), folder: None }
    }
}

/// Folders, config and database of a line.
pub struct Line {
    folder: TempDir,
}

impl Line {
    /// Creates the folders and writes the config.
    pub fn new(products: &[Product]) -> Self {
        let line = Self { folder: tempfile::tempdir().unwrap() };
        line.configure(products);
        line
    }

    /// Writes the config anew.
    pub fn configure(&self, products: &[Product]) {
        let root = self.folder.path().display();
        let mut yaml = format!(
            "database: {root}/history.db\nengine: {{device: cpu, precision: float32}}\nintake: {{rescan: 1s, give_up_after: 3s}}\nproducts:\n"
        );
        for product in products {
            let drop = self.drop_of(product);
            for folder in [&drop, &self.ok(product.name)] {
                std::fs::create_dir_all(folder).unwrap();
            }
            write!(
                yaml,
                "  - name: {name}\n    drop:\n      - path: {drop}\n{drop_extra}    ok: {root}/{name}/ok\n    bank: {root}/{name}/bank\n    \
                 build: {{backbone: efficientnet_lite0, shorter: 64, stride: 1, layers: [layer2, layer3], coreset: 0.1, min_images: 3}}\n    \
                 rebuild: {{quiet_period: 300ms, max_wait: 5s, keep_versions: 3}}\n{extra}",
                name = product.name,
                drop = drop.display(),
                drop_extra = product.drop,
                extra = product.extra,
            )
            .unwrap();
        }
        std::fs::write(self.config(), yaml).unwrap();
    }

    /// Appends lines to the config.
    pub fn configure_also(&self, text: &str) {
        let config = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), config + text).unwrap();
    }

    fn drop_of(&self, product: &Product) -> PathBuf {
        self.path("drop").join(product.folder.unwrap_or(product.name))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("config.yaml")
    }

    pub fn drop(&self, product: &str) -> PathBuf {
        self.path("drop").join(product)
    }

    pub fn ok(&self, product: &str) -> PathBuf {
        self.path(product).join("ok")
    }

    pub fn bank(&self, product: &str) -> PathBuf {
        self.path(product).join("bank")
    }

    /// Puts OK images number `range` into the ok folder.
    pub fn fill_ok(&self, product: &str, range: std::ops::Range<u32>) {
        for number in range {
            write_image(&self.ok(product).join(format!("ok{number:03}.png")), Part::ok(number));
        }
    }

    /// Changes the text of the config.
    pub fn change_config(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(from), "no `{from}` in {text}");
        std::fs::write(self.config(), text.replace(from, to)).unwrap();
    }

    /// Moves the database to `folder/history.db` of the line's folder; for before the first start.
    pub fn database_in(&self, folder: &str) {
        self.change_config("/history.db\n", &format!("/{folder}/history.db\n"));
        std::os::unix::fs::symlink(format!("{folder}/history.db"), self.path("history.db")).unwrap();
    }

    /// Waits for the product's bank.
    pub fn wait_for_bank(&self, product: &str) {
        self.wait_sql(&format!("SELECT count(*) FROM banks WHERE state = 'active' AND product = '{product}'"), "1");
    }

    /// Starts the daemon; does not wait.
    pub fn start(&self) -> Daemon {
        self.start_with(|_| {})
    }

    pub fn start_with(&self, change: impl FnOnce(&mut std::process::Command)) -> Daemon {
        let mut command = patchcored();
        change(&mut command);
        self.start_as(command)
    }

    /// Starts this program as the daemon.
    pub fn start_as(&self, mut command: std::process::Command) -> Daemon {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        command.args(["run", "--config", arg(&self.config())]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Daemon { child: command.spawn().unwrap() }
    }

    /// A daemon that has opened its database and stopped again.
    pub fn start_and_stop(&self) -> bool {
        let daemon = self.start();
        self.wait_for_log("ready");
        daemon.stop().success()
    }

    /// What the daemon has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn wait_for_log(&self, text: &str) {
        wait_for(&format!("`{text}` in the log"), || if self.log().contains(text) { Ok(()) } else { Err(self.log()) });
    }

    /// One text value by SQL, as an analyst would ask; NULL is an empty text.
    pub fn sql(&self, query: &str) -> Result<String, String> {
        super::sql::value(&self.path("history.db"), query)
    }

    /// The texts of one column by SQL.
    pub fn list(&self, query: &str) -> Vec<String> {
        super::sql::list(&self.path("history.db"), query)
    }

    /// How SQLite goes about a statement: the steps of its query plan.
    pub fn plan(&self, statement: &str) -> Vec<String> {
        super::sql::plan(&self.path("history.db"), statement)
    }

    /// What `patchcored status --json` says.
    pub fn status(&self) -> serde_json::Value {
        serde_json::from_str(&run_ok(&["status", "--json", "--config", arg(&self.config())])).unwrap()
    }

    /// Waits until the query gives this value.
    pub fn wait_sql(&self, query: &str, value: &str) {
        wait_for(&format!("{query} = {value}"), || match self.sql(query) {
            Ok(seen) if seen == value => Ok(()),
            Ok(seen) => Err(format!("{seen}\n{}", self.log())),
            Err(error) => Err(format!("{error}\n{}", self.log())),
        });
    }

    /// The same for what is done at low priority, which a busy machine keeps waiting.
    pub fn wait_sql_in_background(&self, query: &str, value: &str) {
        let done = wait_up_to(scaled(BACKGROUND), || (self.sql(query).as_deref() == Ok(value)).then_some(()));
        assert!(done.is_some(), "{query} is not {value}\n{}", self.log());
    }
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
}

impl Daemon {
    /// One that was started in another way.
    pub fn of(child: Child) -> Self {
        Self { child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The build process of this daemon, if there is one: it has no other children.
    pub fn build_process(&self) -> Option<Pid> {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut pids = processes.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
        pids.find(|pid| parent(*pid) == Some(self.pid()))
    }

    /// The build process of this daemon, as soon as there is one, and stopped.
    pub fn stop_the_build(&self) -> Pid {
        let child = wait_for("a build process", || self.build_process().ok_or_else(|| "none".to_owned()));
        kill_process(child, Signal::STOP).unwrap();
        child
    }

    /// Kills the build process; false when there is none.
    pub fn kill_build(&self) -> bool {
        self.build_process().is_some_and(|child| kill_process(child, Signal::KILL).is_ok())
    }

    /// SIGTERM, and the exit status.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the daemon to end", || self.child.try_wait().unwrap().ok_or_else(|| "still running".to_owned()))
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn parent(pid: Pid) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
