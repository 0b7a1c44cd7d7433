//! The report for people: a block for each product, its words aligned; paths stand last, where they may be long.

use super::report::{DropFolder, PlaceReport, ProductReport, Profile, Report};
use crate::domain::printable::printable;
use crate::domain::{FolderState, LocalTime};
use crate::history::BankInUse;
use crate::retention::size;
use std::io::{self, Write};

/// Prints the report.
pub fn print(report: &Report, local: &LocalTime, out: &mut dyn Write) -> io::Result<()> {
    let daemon = match (report.daemon.running, report.daemon.process) {
        (true, Some(process)) => format!("running (process {process})"),
        (true, None) => "running".to_owned(),
        (false, _) => "not running".to_owned(),
    };
    writeln!(out, "daemon      {daemon}")?;
    writeln!(out, "config      {}", printable(&report.configuration.path))?;
    for line in report.configuration.reason.iter().flat_map(|reason| reason.lines()) {
        writeln!(out, "            {}", printable(line))?;
    }
    writeln!(out, "database    {}", place("", &report.database))?;
    if let Some(profile) = &report.profile {
        writeln!(out, "profile     {}", set_up_for(profile, local))?;
    }
    if report.messages_waiting > 0 {
        writeln!(out, "mqtt        {} messages wait for the broker", report.messages_waiting)?;
    }
    let is_built = |product: &&ProductReport| product.bank_work.as_ref().is_some_and(|work| work.step == "builds");
    let built: Vec<&str> = report.products.iter().filter(is_built).map(|product| product.product.as_str()).collect();
    for product in &report.products {
        print_product(product, &built.join(", "), local, out)?;
    }
    for other in &report.not_in_configuration {
        let age = other.oldest_pending_seconds.map_or(String::new(), |seconds| format!(" for {}", span(seconds)));
        writeln!(
            out,
            "\n{}: not in the configuration\n  pending   {}, the oldest{age}; they wait until it is back",
            other.product, other.pending
        )?;
    }
    Ok(())
}

fn set_up_for(profile: &Profile, local: &LocalTime) -> String {
    let since = profile.since.as_ref().map_or(String::new(), |since| format!(", in use since {}", local.show(since)));
    let in_use = profile.in_use.as_ref().map(|name| format!("{name}{since}"));
    let asked_for =
        profile.asked_for.as_ref().map(|name| format!("{name} is asked for and will be used when the daemon reads its configuration"));
    in_use.into_iter().chain(asked_for).collect::<Vec<_>>().join("; ")
}

fn print_product(product: &ProductReport, built_first: &str, local: &LocalTime, out: &mut dyn Write) -> io::Result<()> {
    let off = if product.on { "" } else { ": off in this profile" };
    let shown = product.display_name.as_ref().map_or(String::new(), |name| format!(" ({name})"));
    writeln!(out, "\n{}{shown}{off}", product.product)?;
    let mut row = |name: &str, text: &str| writeln!(out, "  {name:<8}  {text}");
    row("bank", &bank(product, local))?;
    if let Some(work) = work(product, built_first, local) {
        row("", &work)?;
    }
    if let Some(promise) = product.bank.as_ref().and_then(BankInUse::promise) {
        row("", &promise.to_string())?;
    }
    if let Some(changes) = product.bank.as_ref().and_then(changes) {
        row("", &changes)?;
    }
    for sentence in product.bank.iter().filter_map(|bank| bank.self_test.as_deref()).flat_map(str::lines) {
        row("", sentence)?;
    }
    if let Some(trouble) = &product.bank_trouble {
        let age = trouble.since_seconds.map_or(String::new(), |seconds| format!(" for {}", span(seconds)));
        row("", &format!("{}{age}: {}", trouble.code, printable(&trouble.reason)))?;
    }
    row("pending", &pending(product))?;
    for waits in &product.waiting {
        row("WAITS", &format!("{} for {}: {}: {}", waits.count, span(waits.oldest_seconds), waits.reason, printable(&waits.what)))?;
    }
    if product.actions_waiting > 0 {
        row("on_ng", &format!("{} defects wait to be acted on", product.actions_waiting))?;
    }
    row("last", &last(product, local))?;
    let day = &product.last_24h;
    let rate = day.ng_rate.map_or(String::new(), |rate| format!(" ({:.1} %)", rate * 100.0));
    row("24 h", &format!("{} images, {} ng{rate}, {} failed", day.images, day.ng, day.failed))?;
    row("10 min", &format!("{:.1} images per minute", product.images_per_minute))?;
    for folder in &product.drop_folders {
        row("drop", &place(state(folder), &folder.place))?;
        if let (Some(seconds), Some(reason)) = (folder.since_seconds, &folder.reason) {
            row("", &format!("for {}: {}", span(seconds), printable(reason)))?;
        }
    }
    if let Some(outputs) = &product.outputs_folder {
        row("outputs", &place("", outputs))?;
    }
    row("banks", &place("", &product.bank_folder))
}

fn bank(product: &ProductReport, local: &LocalTime) -> String {
    let Some(bank) = &product.bank else {
        return if product.bank_work.is_some() { "none yet" } else { "none: images wait for it" }.to_owned();
    };
    let waits = if product.waits_for_bank { "; cannot be used, images wait" } else { "" };
    let back = if bank.after_rollback { "; in use again after a rollback" } else { "" };
    format!("version {}, built {}{}{back}{waits}", bank.version, local.show(&bank.created_at), ago(product.bank_age_seconds))
}

/// What the daemon does about the bank; `built_first` are the products whose bank is built now.
fn work(product: &ProductReport, built_first: &str, local: &LocalTime) -> Option<String> {
    let work = product.bank_work.as_ref()?;
    let (done, total, since) = (work.done.unwrap_or_default(), work.total.unwrap_or_default(), local.show(&work.since));
    Some(match work.step.as_str() {
        "waits_for_images" => format!("{done} of {total} OK images; the first bank is built when there are {total}"),
        "waits_for_turn" if built_first.is_empty() => format!("next to be built, since {since}"),
        "waits_for_turn" => format!("next to be built, after {built_first}, since {since}"),
        _ => format!("building, {done} %, since {since}"),
    })
}

/// What the bank changed for recent images.
fn changes(bank: &BankInUse) -> Option<String> {
    let (images, to_ng, to_ok) = (bank.compared_images?, bank.compared_to_ng?, bank.compared_to_ok?);
    Some(format!("of the {images} newest images it made {to_ng} ng that were ok, and {to_ok} ok that were ng"))
}

fn pending(product: &ProductReport) -> String {
    let Some(oldest) = &product.oldest_pending else { return product.pending.to_string() };
    let reason = oldest.reason.as_deref().map_or(String::new(), |reason| format!(", {}", printable(reason)));
    let age = product.oldest_pending_seconds.map_or(String::new(), |seconds| format!(" for {}", span(seconds)));
    format!("{}, the oldest{age}{reason}: {}", product.pending, printable(&oldest.image_path))
}

fn last(product: &ProductReport, local: &LocalTime) -> String {
    let Some(last) = &product.last_decision else { return "nothing decided yet".to_owned() };
    let number = |value: Option<f64>| value.map_or("none".to_owned(), |value| format!("{value:.4}"));
    let (score, tau) = (number(last.image_score), number(last.image_tau));
    format!("{} score {score} tau {tau}, {}{}", last.decision, local.show(&last.decided_at), ago(product.last_decision_seconds))
}

fn state(folder: &DropFolder) -> &'static str {
    match folder.state {
        None => "not watched",
        Some(FolderState::Watched) => "watched",
        Some(FolderState::ScannedOnly) => "scanned only",
        Some(FolderState::Lost) => "LOST",
        Some(FolderState::Stuck) => "STUCK",
    }
}

fn place(state: &str, place: &PlaceReport) -> String {
    let free = place.free_bytes.map_or("not reachable".to_owned(), |bytes| format!("{} free", size(bytes)));
    format!("{state:<12}  {free:<15}  {}", printable(&place.path))
}

fn ago(seconds: Option<i64>) -> String {
    seconds.map_or(String::new(), |seconds| format!(" ({} ago)", span(seconds)))
}

/// In the two largest units that tell something.
fn span(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes() {
        let spans = [(0, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3661, "1 h 1 min"), (90_000, "1 d 1 h")];
        for (seconds, text) in spans {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(size(0), "0.0 MiB");
        assert_eq!(size((1 << 30) - (1 << 20)), "1023.0 MiB");
        assert_eq!(size(3 << 29), "1.5 GiB");
    }
}
