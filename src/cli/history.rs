//! `patchcored history`: inspections as a table, JSON or CSV.
//!
//! JSON and CSV have every column of [`InspectionRow`], by its field names and in its order, in every version of the program;
//! new columns are added at the end. The table is for reading and shows what fits a terminal.

mod values;

use super::exit::Exit;
use super::{Coded, UsageError};
use crate::codes::ReasonCode;
use crate::config::Config;
use crate::domain::LocalTime;
use crate::domain::printable::printable;
use crate::history::{Distance, HistoryStore, InspectionFilter, InspectionResult, InspectionRow};
use anyhow::Context;
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, ColumnConstraint, Table, Width, presets};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use values::{parse_distance, parse_moment, parse_reason};

pub use values::Moment;

/// Rows of a table without `--limit`.
const TABLE_LIMIT: u32 = 50;

/// List inspections, newest first. Works while the daemon runs and while it does not.
#[derive(Debug, Default, Args)]
pub struct HistoryArgs {
    /// Configuration whose `database:` is read
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml", conflicts_with = "database")]
    pub config: PathBuf,
    /// Database to read, instead of the one in the configuration
    #[arg(long, value_name = "FILE")]
    pub database: Option<PathBuf>,
    /// Only this product
    #[arg(long, value_name = "NAME")]
    pub product: Option<String>,
    /// Only parts decided `ng`. Given together, --ng, --ok, --failed and --pending add up
    #[arg(long)]
    pub ng: bool,
    /// Only parts decided `ok`
    #[arg(long)]
    pub ok: bool,
    /// Only images that failed
    #[arg(long)]
    pub failed: bool,
    /// Only images that are still to be decided
    #[arg(long)]
    pub pending: bool,
    /// Only images that failed or wait for this reason, e.g. wrong_size; `patchcored explain` lists them
    #[arg(long, value_name = "CODE", value_parser = parse_reason)]
    pub reason: Option<ReasonCode>,
    /// Only images seen since then: 30s, 10m, 24h ago; today, yesterday or shift (their begin); or a time, e.g. "2026-11-23 08:00" by the
    /// clock at the plant, 2026-11-23T08:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub since: Option<Moment>,
    /// Only images seen before then, given in the same way
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub until: Option<Moment>,
    /// Only scores that come this near to tau, from below or above: in the unit of the scores, or as a share of tau, e.g. 5%
    #[arg(long, value_name = "DISTANCE", value_parser = parse_distance, conflicts_with_all = ["margin_above", "margin_below"])]
    pub within: Option<Distance>,
    /// Only scores that lie at least this far above tau, e.g. 0.5 or 10%; negative distances lie below tau
    #[arg(long, value_name = "DISTANCE", value_parser = parse_distance, allow_hyphen_values = true)]
    pub margin_above: Option<Distance>,
    /// Only scores that lie at most this far above tau, e.g. 0.5 or 10%; negative distances lie below tau
    #[arg(long, value_name = "DISTANCE", value_parser = parse_distance, allow_hyphen_values = true)]
    pub margin_below: Option<Distance>,
    /// At most this many, the newest; 0 = all [default: 50 in a table, else all]
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// Show and take times in UTC, not in the time zone of the plant; JSON and CSV always have UTC
    #[arg(long)]
    pub utc: bool,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// How to print rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    #[default]
    /// Aligned columns for a terminal
    Table,
    /// One array of objects
    Json,
    /// RFC 4180 with a header line
    Csv,
}

/// [`print()`] to stdout, from outside any runtime.
///
/// # Errors
/// As [`print()`].
pub fn run(args: HistoryArgs) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(print(args, &mut io::stdout().lock()))?;
    Ok(Exit::SUCCESS)
}

/// Prints the inspections that `args` asks for to `out`.
pub async fn print(args: HistoryArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let (database, mut names, local) = match &args.database {
        Some(file) => (file.clone(), Vec::new(), LocalTime::of_machine()),
        None => {
            let config = Config::load(&args.config)?;
            (config.database, config.products.into_iter().map(|product| product.name).collect(), config.local)
        }
    };
    let local = if args.utc { local.in_utc() } else { local };
    let limit = match (args.limit, args.format) {
        (Some(0), _) | (None, Format::Json | Format::Csv) => None,
        (Some(limit), _) => Some(limit),
        (None, Format::Table) => Some(TABLE_LIMIT),
    };
    let filter = filter(&args, limit, &local)?;
    let store = HistoryStore::open_read_only(&database).await.context("history database")?;
    let mut list = List::new(args.format, limit, local, out);
    let read = store.lists().inspections_in_pages(&filter, |rows| list.rows(rows)).await.context("history database");
    if let (Ok(()), 0, Some(name)) = (&read, list.printed, &args.product) {
        names.extend(store.lists().counts_by_product().await.context("history database")?.into_iter().filter_map(|of| of.product));
        if !names.contains(name) {
            names.sort();
            names.dedup();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            return Err(Coded::no_product(&database, &names, name).into());
        }
    }
    store.close().await.context("history database")?;
    read?;
    match list.end() {
        // `patchcored history | head` has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot print the history"),
    }
}

/// A list that is printed as its rows come.
struct List<'a> {
    format: Format,
    limit: Option<u32>,
    local: LocalTime,
    out: &'a mut dyn Write,
    /// Rows printed so far.
    printed: u64,
    /// The widths of a table's columns; they only grow.
    widths: Widths,
    result: io::Result<()>,
}

impl<'a> List<'a> {
    fn new(format: Format, limit: Option<u32>, local: LocalTime, out: &'a mut dyn Write) -> Self {
        Self { format, limit, local, out, printed: 0, widths: Widths::default(), result: Ok(()) }
    }

    /// Prints more rows; breaks when nobody listens any more.
    fn rows(&mut self, rows: &[InspectionRow]) -> ControlFlow<()> {
        let first = self.printed == 0;
        self.result = match self.format {
            Format::Table if rows.is_empty() => Ok(()),
            Format::Table => table(rows, first, &self.local, &mut self.widths, self.out),
            Format::Json => json(rows, first, self.out),
            Format::Csv => csv(rows, first, self.out),
        };
        self.printed += rows.len() as u64;
        if self.result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn end(self) -> io::Result<()> {
        self.result?;
        match self.format {
            Format::Table if self.printed == 0 => writeln!(self.out, "no inspections match")?,
            Format::Table if self.limit.is_some_and(|limit| self.printed >= u64::from(limit)) => {
                writeln!(self.out, "(the newest {}; --limit 0 shows all)", self.printed)?;
            }
            Format::Json => writeln!(self.out, "{}]", if self.printed == 0 { "" } else { "\n" })?,
            Format::Table | Format::Csv => {}
        }
        self.out.flush()
    }
}

fn filter(args: &HistoryArgs, limit: Option<u32>, local: &LocalTime) -> anyhow::Result<InspectionFilter> {
    let now = Timestamp::now();
    let time = |moment: Option<Moment>, name: &str| {
        moment.map(|moment| moment.resolve(now, local)).transpose().map_err(|why| UsageError(format!("{name} {why}")))
    };
    let results = [
        (args.ng, InspectionResult::Ng),
        (args.ok, InspectionResult::Ok),
        (args.failed, InspectionResult::Failed),
        (args.pending, InspectionResult::Pending),
    ];
    Ok(InspectionFilter {
        product: args.product.clone(),
        results: results.into_iter().filter(|(wanted, _)| *wanted).map(|(_, result)| result).collect(),
        reason: args.reason,
        since: time(args.since, "--since")?,
        until: time(args.until, "--until")?,
        margin_from: args.within.map(Distance::opposite).or(args.margin_above),
        margin_to: args.within.or(args.margin_below),
        limit,
    })
}

// Numbers stand to the right.
const HEADER: [(&str, bool); 10] = [
    ("id", true),
    ("seen_at", false),
    ("product", false),
    ("result", false),
    ("score", true),
    ("tau", true),
    ("margin", true),
    ("image", false),
    ("code", false),
    ("reason", false),
];

type Widths = [u16; HEADER.len()];

/// Blanks between two columns.
const GAP: u16 = 2;

fn table(rows: &[InspectionRow], first: bool, local: &LocalTime, widths: &mut Widths, out: &mut dyn Write) -> io::Result<()> {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let cells: Vec<[String; 10]> = rows
        .iter()
        .map(|row| {
            [
                row.id.to_string(),
                local.show(&row.seen_at),
                printable(row.product.as_deref().unwrap_or("-")),
                row.decision.as_deref().unwrap_or(&row.state).to_owned(),
                number(row.image_score),
                number(row.image_tau),
                number(row.image_score.zip(row.image_tau).map(|(score, tau)| score - tau)),
                printable(&row.image_path),
                printable(row.reason_code.as_deref().unwrap_or("")),
                printable(row.reason.as_deref().unwrap_or("")),
            ]
        })
        .collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).add_rows(cells);
    if first {
        table.set_header(HEADER.map(|(name, _)| name));
    }
    let last = HEADER.len() - 1;
    for ((column, (name, right)), width) in table.column_iter_mut().zip(HEADER).zip(widths.iter()) {
        column.set_cell_alignment(if right { CellAlignment::Right } else { CellAlignment::Left });
        column.set_padding((0, if column.index == last { 0 } else { GAP }));
        // The last column may be of any length, and nothing stands to the right of it.
        if column.index != last {
            let least = (*width).max(u16::try_from(name.len()).unwrap_or(0));
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least + GAP)));
        }
    }
    for (width, longest) in widths.iter_mut().zip(table.column_max_content_widths()) {
        *width = (*width).max(longest);
    }
    writeln!(out, "{}", table.trim_fmt())
}

fn json(rows: &[InspectionRow], first: bool, out: &mut dyn Write) -> io::Result<()> {
    // One row per line, so that the array can also be read by eye and by line tools.
    if first {
        write!(out, "[")?;
    }
    for (i, row) in rows.iter().enumerate() {
        write!(out, "{}", if first && i == 0 { "\n" } else { ",\n" })?;
        serde_json::to_writer(&mut *out, row)?;
    }
    Ok(())
}

fn csv(rows: &[InspectionRow], first: bool, out: &mut dyn Write) -> io::Result<()> {
    if first {
        let header = columns(&InspectionRow::default())?;
        write!(out, "{}\r\n", header.keys().map(|name| quoted(name)).collect::<Vec<_>>().join(","))?;
    }
    for row in rows {
        let cells: Vec<String> = columns(row)?
            .values()
            .map(|value| match value {
                Value::Null => String::new(),
                Value::String(text) => quoted(text),
                other => other.to_string(),
            })
            .collect();
        write!(out, "{}\r\n", cells.join(","))?;
    }
    Ok(())
}

fn columns(row: &InspectionRow) -> io::Result<Map<String, Value>> {
    match serde_json::to_value(row)? {
        Value::Object(columns) => Ok(columns),
        _ => Err(io::Error::other("a row is not an object")),
    }
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(image_path: &str) -> InspectionRow {
        InspectionRow {
            id: 7,
            product: Some("prod1".into()),
            image_path: image_path.into(),
            state: "done".into(),
            decision: Some("ng".into()),
            image_score: Some(1.5),
            image_tau: Some(1.25),
            seen_at: "2026-11-23T08:42:00.123Z".into(),
            ..InspectionRow::default()
        }
    }

    /// What is printed of rows that come page by page.
    fn text(format: Format, limit: Option<u32>, pages: &[&[InspectionRow]]) -> String {
        let mut out = Vec::new();
        let mut list = List::new(format, limit, LocalTime::of_machine().in_utc(), &mut out);
        for page in pages {
            assert!(list.rows(page).is_continue());
        }
        list.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    const COLUMNS: &str = "id,product,image_path,state,decision,reason,image_score,image_tau,pixel_tau,mask_pixels,mask_regions,seen_at,\
                           started_at,decided_at,attempts,bank_id,bank_version,mask_path,overlay_path,decode_ms,engine_ms,write_ms,\
                           file_size,mtime_ns,content_hash,heat_path,side_by_side_path,scores_path,outputs_deleted_at,image_deleted_at,\
                           reason_code,sensitivity,image_ratio,decided_by";

    #[test]
    fn csv_has_stable_columns_and_quotes() {
        let text = text(Format::Csv, None, &[&[row("/a/\"odd\", name.jpg")]]);
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], COLUMNS);
        assert!(lines[1].starts_with("7,prod1,\"/a/\"\"odd\"\", name.jpg\",done,ng,,1.5,1.25,,"), "{}", lines[1]);
        assert_eq!(lines[2], "");
        assert_eq!(super::tests::text(Format::Csv, None, &[&[]]), format!("{COLUMNS}\r\n"));
    }

    #[test]
    fn json_is_one_array_with_the_same_columns() {
        let parsed: Vec<Map<String, Value>> =
            serde_json::from_str(&text(Format::Json, None, &[&[row("/a.jpg")], &[row("/b.jpg")], &[]])).unwrap();
        assert_eq!(parsed.len(), 2);
        assert_eq!(parsed[0].keys().cloned().collect::<Vec<_>>().join(","), COLUMNS);
        assert_eq!(parsed[1]["image_path"], "/b.jpg");
        assert_eq!(text(Format::Json, None, &[&[]]), "[]\n");
    }

    #[test]
    fn a_table_is_aligned_and_harmless() {
        let mut pending = row("/evil\u{1b}[2J.jpg");
        pending = InspectionRow {
            decision: None,
            state: "pending".into(),
            reason: Some("waits".into()),
            reason_code: Some("no_bank".into()),
            image_score: None,
            ..pending
        };
        let text = text(Format::Table, Some(2), &[&[row("/a.jpg"), pending]]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "id  seen_at                   product  result    score     tau  margin  image               code     reason");
        assert_eq!(lines[1], " 7  2026-11-23T08:42:00.123Z  prod1    ng       1.5000  1.2500  0.2500  /a.jpg");
        assert_eq!(lines[2], " 7  2026-11-23T08:42:00.123Z  prod1    pending       -  1.2500       -  /evil\\u{1b}[2J.jpg  no_bank  waits");
        assert_eq!(lines[3], "(the newest 2; --limit 0 shows all)");
        assert_eq!(super::tests::text(Format::Table, None, &[&[]]), "no inspections match\n");
        let pages = super::tests::text(Format::Table, None, &[&[row("/a.jpg")], &[row("/long.jpg")]]);
        assert_eq!(pages.lines().count(), 3, "one header: {pages}");
    }
}
