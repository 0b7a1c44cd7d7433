//! `patchcored retention --dry-run`: what the daemon would delete now.

use super::exit::Exit;
use super::output::{complain, say};
use crate::archive::RowArchive;
use crate::config::Config;
use crate::domain::printable::printable;
use crate::history::HistoryStore;
use crate::platform::clock::LineClock;
use crate::retention::{Count, size};
use crate::retention::{DryRun, dry_run};
use anyhow::Context;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Arguments of `retention`.
#[derive(clap::Args)]
pub struct RetentionArgs {
    /// Only tell; always given, since deleting is what the daemon does by itself
    #[arg(long, required = true)]
    dry_run: bool,
    /// The configuration file: its `retention` sections, and its database
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml")]
    config: PathBuf,
    /// Print the path of every file, one a line, in place of the table
    #[arg(long)]
    list: bool,
    /// Print one JSON object, for programs; with --list, its `files` are all files
    #[arg(long)]
    json: bool,
}

/// Prints it, whether or not the daemon runs. Changes nothing.
///
/// # Errors
/// A history that cannot be read.
pub fn run(args: &RetentionArgs) -> anyhow::Result<Exit> {
    let config = Config::load(&args.config)?;
    if !config.products.iter().any(|product| product.retention.is_on()) {
        complain(&format!("{}: no product has a `retention`, so nothing is ever deleted", args.config.display()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let mut files: Vec<Value> = Vec::new();
    let mut printed = Ok(());
    let found = runtime.block_on(async {
        let store = HistoryStore::open_read_only(&config.database).await?;
        let clock = LineClock::resume(store.clock().clock_record().await?);
        let handles = (store.deletable_files(), RowArchive::of(store.database()));
        let found = dry_run(config.products, handles, clock, |product, kind, why, path| match (args.list, args.json) {
            (true, true) => files.push(json!({"path": path.display().to_string(), "product": product, "kind": kind, "why": why})),
            (true, false) if printed.is_ok() => printed = say(&format!("{}\n", printable(&path.display().to_string()))),
            _ => {}
        })
        .await;
        store.close().await?;
        found
    });
    // A folder that hangs must not keep the command.
    runtime.shutdown_background();
    let found = found.context("history database")?;
    printed.context("cannot print the files")?;
    if args.json {
        let mut report = report(&found);
        if args.list {
            report["files"] = files.into();
        }
        say(&format!("{report:#}\n"))?;
    } else if !args.list {
        say(&table(&found))?;
    }
    for (folder, reason) in &found.unread {
        complain(&format!("{}: {reason}; its files are not counted", folder.display()));
    }
    for shortage in &found.short {
        complain(&shortage.text());
    }
    Ok(Exit::SUCCESS)
}

/// Fields keep their names and meaning in every version of the program; new ones are added.
fn report(found: &DryRun) -> Value {
    let deleted = found.tally.counts.iter().map(|((product, kind, why), Count { images, files, bytes })| {
        json!({"product": product, "kind": kind, "why": why, "images": images, "files": files, "bytes": bytes})
    });
    let short = found.short.iter().map(|shortage| {
        json!({
            "product": shortage.product,
            "folder": shortage.folder.display().to_string(),
            "min_free": shortage.min_free.to_string(),
            "free_bytes": shortage.space.free,
            "total_bytes": shortage.space.total,
        })
    });
    json!({"deleted": deleted.collect::<Vec<_>>(), "rows_moved": found.rows, "short": short.collect::<Vec<_>>()})
}

fn table(found: &DryRun) -> String {
    let moved = found.rows.iter().map(|(product, rows)| format!("{rows} rows of {product} would be moved out of the history\n"));
    let moved: String = moved.collect();
    if found.tally.is_empty() {
        return "nothing would be deleted now\n".to_owned() + &moved;
    }
    let header = ["product", "kind", "why", "images", "files", "space"].map(str::to_owned);
    let mut rows = vec![header];
    let mut total = Count::default();
    for ((product, kind, why), count) in &found.tally.counts {
        total += *count;
        rows.push(cells(product, kind.as_str(), why.as_str(), *count));
    }
    rows.push(cells("total", "", "", total));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for [product, kind, why, images, files, space] in &rows {
        let [a, b, c, d, e, f] = widths;
        text += &format!("{product:<a$}  {kind:<b$}  {why:<c$}  {images:>d$}  {files:>e$}  {space:>f$}\n");
    }
    text + &moved
}

fn cells(product: &str, kind: &str, why: &str, Count { images, files, bytes }: Count) -> [String; 6] {
    [product.to_owned(), kind.to_owned(), why.to_owned(), images.to_string(), files.to_string(), size(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FileKind;
    use crate::retention::{Tally, Why};
    use std::collections::BTreeMap;

    #[test]
    fn the_table_is_aligned_and_has_a_total() {
        let mut tally = Tally::default();
        tally.add("prod1-front", FileKind::OkOutputs, Why::Age, Count { images: 120, files: 240, bytes: 34 << 20 });
        tally.add("prod2", FileKind::OkImages, Why::Space, Count { images: 7, files: 7, bytes: 3 << 29 });
        let rows = BTreeMap::from([("prod2".to_owned(), 41)]);
        let text = table(&DryRun { tally, rows, short: Vec::new(), unread: Vec::new() });
        let expected = "\
product      kind        why    images  files     space
prod1-front  ok_outputs  age       120    240  34.0 MiB
prod2        ok_images   space       7      7   1.5 GiB
total                              127    247   1.5 GiB
41 rows of prod2 would be moved out of the history
";
        assert_eq!(text, expected);
        assert_eq!(
            table(&DryRun { tally: Tally::default(), rows: BTreeMap::new(), short: Vec::new(), unread: Vec::new() }),
            "nothing would be deleted now\n"
        );
    }
}
