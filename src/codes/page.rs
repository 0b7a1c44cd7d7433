//! The codes as text: one of them in a terminal, and all of them as docs/troubleshooting.md.

use super::{Entry, ErrorCode, EventKind, Level, ReasonCode};

/// The place where people meet a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Event,
    Reason,
    Error,
}

impl Place {
    const ALL: [Place; 3] = [Place::Event, Place::Reason, Place::Error];

    fn entries(self) -> Vec<&'static Entry> {
        match self {
            Self::Event => EventKind::ALL.iter().map(|kind| kind.entry()).collect(),
            Self::Reason => ReasonCode::ALL.iter().map(|code| code.entry()).collect(),
            Self::Error => ErrorCode::ALL.iter().map(|code| code.entry()).collect(),
        }
    }

    fn has(self, entry: &Entry) -> bool {
        self.entries().iter().any(|other| other.code == entry.code)
    }

    /// The word for a code of this place.
    fn noun(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Reason => "reason of an image",
            Self::Error => "error of a command",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Event => "Events: what happened to the line",
            Self::Reason => "Reasons: why an image failed or waits",
            Self::Error => "Errors: why a command, or the daemon, ended",
        }
    }
}

/// Every code once, in the order of the lists.
fn all() -> Vec<(Place, &'static Entry)> {
    let mut all: Vec<(Place, &Entry)> = Vec::new();
    for place in Place::ALL {
        for entry in place.entries() {
            if !all.iter().any(|(_, other)| other.code == entry.code) {
                all.push((place, entry));
            }
        }
    }
    all
}

fn places(entry: &Entry) -> Vec<Place> {
    Place::ALL.into_iter().filter(|place| place.has(entry)).collect()
}

/// `event, error`
fn kind(entry: &Entry) -> String {
    let places: Vec<&str> = places(entry).into_iter().map(Place::noun).collect();
    format!("{}; level {}", places.join(", "), entry.level.as_str())
}

/// The newest events of a kind.
fn events_query(entry: &Entry) -> String {
    format!("SELECT at, level, product, detail FROM events WHERE kind = '{}' ORDER BY at DESC LIMIT 20;", entry.code)
}

/// The text of one code for a terminal; `None` when there is no such code.
pub fn explain(code: &str) -> Option<String> {
    let (_, entry) = all().into_iter().find(|(_, entry)| entry.code == code)?;
    let mut text = format!("{} ({})\n\n{}\n", entry.code, kind(entry), entry.means);
    if !entry.look.is_empty() || !entry.run.is_empty() {
        text += &format!("\nWhat to look at: {}\n", entry.look);
        entry.run.iter().for_each(|command| text += &format!("    {command}\n"));
    }
    if places(entry).contains(&Place::Event) {
        text += &format!("\nWhen it happened, in the database:\n    {}\n", events_query(entry));
    }
    if !entry.act.is_empty() {
        text += &format!("\nWhat to do: {}\n", entry.act);
    }
    Some(text.replace('`', ""))
}

/// One line for each code.
pub fn list() -> String {
    let all = all();
    let width = all.iter().map(|(_, entry)| entry.code.len()).max().unwrap_or(0);
    let mut text = String::new();
    for place in Place::ALL {
        text += &format!("{}{}\n", if text.is_empty() { "" } else { "\n" }, place.title());
        for (_, entry) in all.iter().filter(|(of, _)| *of == place) {
            let first = entry.means.split_inclusive(". ").next().unwrap_or_default().trim_end();
            text += &format!("  {:width$}  {:5}  {}\n", entry.code, entry.level.as_str(), first.replace('`', ""));
        }
    }
    text
}

const HEAD: &str = "# Troubleshooting by code

<!-- Made from the list in src/codes by the test codes::tests; do not edit it. -->

Whatever patchcored has to say carries a code: a word that never changes, whatever the sentence around it says. You find it

- in the log, as `kind=drop_folder_lost` (`journalctl -u patchcored`), and in the table `events` of the database;
- in the column `reason_code` of an image that failed or waits, and in `patchcored history`;
- in front of the message of a command that fails: `error[bad_config]: …`.

`patchcored explain drop_folder_lost` prints the section of a code in the terminal, `patchcored explain` lists them all.

The commands below are for a product `prod1-front` with the drop folder /srv/camera/line1/front and the bank folder /srv/banks/prod1-front, the
configuration in its usual place /etc/patchcored/config.yaml and the database /var/lib/patchcored/history.db; put your own names in their place. Run them as a
user who may read these, for example with `sudo -u patchcored` in front. SQL is for `sqlite3 -readonly -header -column /var/lib/patchcored/history.db`.

What needs attention right now:

```sh
patchcored status
patchcored history --failed --since 24h
```

```sql
SELECT at, level, kind, product, detail FROM events WHERE level <> 'info' ORDER BY at DESC LIMIT 20;
```

Levels: `info` is worth knowing; `warn` is worth a look, and the line goes on by itself; with `error` something does not work until somebody does something.
";

/// All codes as the page docs/troubleshooting.md.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for place in Place::ALL {
        text += &format!("\n## {}\n", place.title());
        let also: Vec<String> =
            place.entries().iter().filter(|entry| places(entry)[0] != place).map(|e| format!("[`{0}`](#{0})", e.code)).collect();
        if !also.is_empty() {
            text += &format!("\nThese mean here what they mean above: {}.\n", also.join(", "));
        }
        for (_, entry) in all().into_iter().filter(|(of, _)| *of == place) {
            text += &section(entry);
        }
    }
    text
}

fn section(entry: &Entry) -> String {
    let mut text = format!("\n### {}\n\n*{}.* {}\n", entry.code, capital(&kind(entry)), entry.means);
    let event = places(entry).contains(&Place::Event);
    if !entry.look.is_empty() || !entry.run.is_empty() {
        text += &format!("\n**What to look at.** {}\n", entry.look);
    }
    if !entry.run.is_empty() {
        text += &format!("\n```sh\n{}\n```\n", entry.run.join("\n"));
    }
    if event && entry.level != Level::Info {
        text += &format!("\n```sql\n{}\n```\n", events_query(entry));
    }
    if !entry.act.is_empty() {
        text += &format!("\n**What to do.** {}\n", entry.act);
    }
    text
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
