//! What a camera account, an engineer, a reader and the service may do with the files of a line, as docs/rights.md has it: its commands
//! make the folders, and its table says what has to come out.

use crate::docs::page;
use crate::helper::{Line, Part, Product, arg, can, patchcored, write_image};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Nobody's numbers, for the names of the page. The user `patchcored` has the number of its group.
const GROUPS: [(&str, &str); 4] =
    [("patchcored-camera", "48393"), ("patchcored-engineer", "48394"), ("patchcored-read", "48392"), ("patchcored", "48391")];

/// Somebody with these groups, the first of which is the own one.
struct Account {
    user: &'static str,
    groups: &'static str,
}

impl Account {
    fn of(column: &str) -> Self {
        match column {
            "camera" => Self { user: "48401", groups: "48401,48393" },
            "engineer" => Self { user: "48402", groups: "48402,48394,48392" },
            "reader" => Self { user: "48403", groups: "48403,48392" },
            // As the unit has it.
            "service" => Self { user: "48391", groups: "48392,48391,48393,48394" },
            "everybody else" => Self { user: "48404", groups: "48404" },
            _ => panic!("the table has the column `{column}`"),
        }
    }

    fn command(&self, rights: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        let own = self.groups.split(',').next().unwrap();
        command.args(["--reuid", self.user, "--regid", own, "--groups", self.groups]).args(rights);
        command
    }

    /// Whether a shell of this account may do it; `$1` is the file.
    fn can(&self, what: &str, file: &Path) -> bool {
        let mut command = self.command(&["--inh-caps=-all", "--bounding-set=-all"]);
        command.args(["sh", "-c", what, "sh", arg(file)]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    }

    fn rights(&self, file: &Path) -> String {
        let (read, write) = if file.is_dir() {
            ("ls \"$1\"", "touch \"$1/new\" && rm \"$1/new\"")
        } else {
            ("cat \"$1\"", "cat /dev/null >>\"$1\" || { mv \"$1\" \"$1.moved\" && mv \"$1.moved\" \"$1\"; }")
        };
        let may = [("r", read), ("w", write)].into_iter().filter(|(_, what)| self.can(what, file)).map(|(letter, _)| letter);
        let may: String = may.collect();
        if may.is_empty() { "-".to_owned() } else { may }
    }
}

fn root(command: &str) {
    let status = Command::new("sh").args(["-ec", command]).status().unwrap();
    assert!(status.success(), "{command}");
}

/// The commands of the page that make folders, for this line and with numbers for names.
fn make_folders(line: &Line) {
    let commands: Vec<String> =
        page("docs/rights.md").blocks.into_iter().flat_map(|block| block.text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let commands: Vec<&String> = commands.iter().filter(|command| command.starts_with("sudo install -d ")).collect();
    assert_eq!(commands.len(), 3);
    for command in commands {
        let mut command = command.trim_start_matches("sudo ").to_owned();
        for (name, number) in GROUPS {
            command = command.replace(&format!(" {name} "), &format!(" {number} "));
        }
        for (there, here) in [
            ("/srv/camera/line1/front", line.drop("disc")),
            ("/srv/banks/prod1-front/ok", line.ok("disc")),
            ("/srv/banks/prod1-front", line.path("disc")),
        ] {
            command = command.replace(there, arg(&here));
        }
        root(&command);
    }
}

#[test]
fn everybody_may_do_what_the_page_says_and_no_more() {
    let Some(()) = can("root and setpriv", "setpriv", &["--reuid", "48391", "--regid", "48391", "--clear-groups", "true"]) else { return };
    let line = Line::new(&[Product::new("disc")]);
    line.database_in("db");
    root(&format!(
        "cd '{}'; chmod 755 . drop; make() {{ install -d -m \"$1\" -o \"$2\" -g \"$3\" \"$4\"; }}; make 2750 48391 48392 db; make 0750 0 48392 etc
         mv config.yaml etc; ln -s etc/config.yaml config.yaml; chgrp 48392 etc/config.yaml; chmod 640 etc/config.yaml
         install -m 400 -o 48391 /dev/null etc/mqtt-password",
        line.path("").display()
    ));
    make_folders(&line);
    // As an engineer and a camera put them there, with the umask that most systems have.
    let put = |account: &Account, from: &Path, to: &Path| {
        assert!(account.can(&format!("umask 022; cp '{}' \"$1\"", from.display()), to), "{}", to.display());
    };
    let made = tempfile::tempdir().unwrap();
    root(&format!("chmod 755 '{}'", made.path().display()));
    let image = made.path().join("image.png");
    for number in 0..4 {
        write_image(&image, Part::ok(number));
        put(&Account::of("engineer"), &image, &line.ok("disc").join(format!("{number}.png")));
    }
    put(&Account::of("camera"), &image, &line.drop("disc").join("0001.png"));

    let mut daemon = Command::new("sh");
    daemon.args(["-c", "umask 027; exec \"$@\"", "sh"]);
    // It may read all, as the test's binary and its libraries lie in root's folders; what it writes is its own.
    let service = Account::of("service");
    let reads = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search", "--bounding-set=-all,+dac_read_search"];
    let setpriv = service.command(&reads);
    daemon.arg(setpriv.get_program()).args(setpriv.get_args()).arg(patchcored().get_program());
    daemon.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").env_remove("LD_LIBRARY_PATH");
    let daemon = line.start_as(daemon);
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");

    let drop = |name: &str| vec![line.drop("disc").join(name)];
    let files: BTreeMap<&str, Vec<PathBuf>> = BTreeMap::from([
        ("drop folder", vec![line.drop("disc")]),
        ("image of the camera", drop("0001.png")),
        ("mask and overlay beside it", [drop("0001.png.mask.png"), drop("0001.png.overlay.png")].concat()),
        ("`ok` folder", vec![line.ok("disc")]),
        ("image in the `ok` folder, put there by an engineer", vec![line.ok("disc").join("0.png")]),
        ("bank folder", vec![line.bank("disc")]),
        ("`tau.json` of a bank", vec![line.bank("disc").join("current/tau.json"), line.bank("disc").join("current/memory_bank.pt")]),
        ("history", ["db/history.db", "db/history.db-wal", "db/history.db-shm"].map(|name| line.path(name)).to_vec()),
        ("configuration", vec![line.path("etc/config.yaml")]),
        ("password of the broker", vec![line.path("etc/mqtt-password")]),
    ]);
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rights.md")).unwrap();
    let cells = |row: &str| -> Vec<String> { row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect() };
    let mut rows = text.lines().skip_while(|row| !row.starts_with("| file or folder |")).take_while(|row| row.starts_with('|')).map(cells);
    let columns = [&rows.next().unwrap()[1..], &["everybody else".to_owned()]].concat();
    let rows: Vec<_> = rows.skip(1).collect();
    assert_eq!(rows.len(), files.len());
    for row in rows {
        for file in &files[row[0].as_str()] {
            for (number, column) in columns.iter().enumerate() {
                let expected = row.get(number + 1).map_or("-", String::as_str);
                assert_eq!(Account::of(column).rights(file), expected, "{column}: {} ({})", row[0], file.display());
            }
        }
    }
    assert!(daemon.stop().success(), "{}", line.log());
    // An engineer is told whose rights this is about. As above, the binary lies where only root may read.
    let mut engineer = Account::of("engineer").command(&reads);
    engineer.arg(patchcored().get_program()).env_remove("LD_LIBRARY_PATH");
    let of_engineer = |arguments: &[&str]| {
        let mut command = Command::new(engineer.get_program());
        let output = command.args(engineer.get_args()).args(arguments).args(["--config", arg(&line.config())]).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let said = of_engineer(&["check"]);
    assert!(
        said.contains("NOT ready to start") && said.contains("For the rights of the service: sudo -u patchcored patchcored check"),
        "{said}"
    );
    let said = of_engineer(&["rebuild", "disc"]);
    assert!(said.contains("run the command as the user of the service (`sudo -u patchcored patchcored …`)"), "{said}");
    let said = patchcored().args(["check", "--config", arg(&line.path("etc/config.yaml"))]).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout);
    assert!(!said.contains("may write") && !said.contains("may read"), "{said}");
}
