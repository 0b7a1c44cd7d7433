//! The queries of the pages and the views, on a day on the line.

use super::recipes::recipes;
use super::{Line, arrival, bank, finished, incomplete, time, until};
use crate::docs::page;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use patchcored::codes::{EventKind, ReasonCode};
use patchcored::domain::{BankTrigger, FileKind, LocalTime, Publish, Shift};
use patchcored::history::{ActionEnd, Arrival, ArrivalState, BankRequestKind, Evidence, Finished, FollowUp, Recorded};
use patchcored::telemetry::Event;
use sqlx::Connection;
use std::path::Path;

/// Three products, two banks of one, every state, decision and kind of event, all within the last hours.
pub(super) async fn a_day_on_the_line() -> Line {
    let line = Line::new().await;
    let now = Timestamp::now();
    let store = &line.store;
    let old = store.banks().publish_bank(&bank("prod1-front", 1)).await.unwrap();
    let side = store.banks().publish_bank(&bank("prod1-side", 1)).await.unwrap();
    store.banks().failed_bank("prod1-front", Some(2), BankTrigger::OkChanged, "3 images, min_images is 10", 0.5).await.unwrap();
    let mut arrivals = Vec::new();
    for i in 0..40_i64 {
        let (folder, product) = if i % 2 == 0 { ("front", "prod1-front") } else { ("side", "prod1-side") };
        let seen_at = now - (i + 2).minutes();
        let file_id = Some((8, i as u64));
        arrivals.push(Arrival { seen_at, file_id, ..arrival(format!("/srv/camera/line1/{folder}/part-{:04}.jpg", i / 2 + 1), product, i) });
    }
    arrivals.push(Arrival { reason: Some(ReasonCode::NoBank.into()), ..arrival("/srv/camera/line2/part-0001.jpg", "prod2", 0) });
    let refused = ArrivalState::Failed { reason: ReasonCode::Unrouted.into() };
    arrivals.push(Arrival { product: None, state: refused, ..arrival("/srv/camera/line1/notes.jpg", "", 0) });
    for (i, recorded) in store.arrivals().record_arrivals(&arrivals).await.unwrap().into_iter().enumerate().take(38) {
        let Recorded::New(id) = recorded else { panic!("{recorded:?}") };
        let bank_id = match i {
            _ if i % 2 == 1 => side,
            20.. => store.banks().publish_bank(&bank("prod1-front", 3)).await.unwrap(),
            _ => old,
        };
        let score = if i == 7 { f64::NAN } else { 1.0 + i as f64 / 9.0 };
        // The last two are copies of one picture.
        let content_hash = format!("{:064x}", if i >= 36 { 36 } else { id });
        let overlay_path = Some(format!("/srv/out/{i}.overlay.png").into());
        let follow_up = FollowUp { act_since: (i >= 36).then_some(now), publish: (i >= 36).then_some(Publish::All) };
        let decided_at = now - 1.minute();
        line.decide(&Finished { content_hash, decided_at, overlay_path, follow_up, ..finished(id, bank_id, score) }).await;
    }
    for (product, failure) in [("prod1-front", None), ("prod1-side", Some("ended with exit code 1".to_owned()))] {
        let action = store.actions().start_action(product, &until(now - 1.hour()), now).await.unwrap().unwrap();
        let exit_code = Some(i32::from(failure.is_some()));
        store.actions().end_action(action, &ActionEnd { failure, exit_code, ..ActionEnd::default() }, now).await.unwrap();
    }
    let shifts = [("early", 6), ("late", 14), ("night", 22)].map(|(name, hour)| Shift { name: name.into(), begin_minute: hour * 60 });
    store.calendar().set(&LocalTime::new(TimeZone::get("Asia/Seoul").unwrap(), shifts.into())).await.unwrap();
    store.deletable_files().files_deleted(FileKind::OkOutputs, &[1]).await.unwrap();
    // The file of the first image was moved.
    let evidence = Some(Evidence { content_hash: Some(format!("{:064x}", 1)), gone: None });
    let moved = Arrival { path: "/srv/camera/line1/front/2026/part-0001.jpg".into(), evidence, ..arrivals[0].clone() };
    assert_eq!(store.arrivals().record_arrivals(&[moved]).await.unwrap(), [Recorded::Known(1)]);
    store.bank_requests().ask("prod1-front", BankRequestKind::Rebuild { anew: false }).await.unwrap();
    let profile = store.profiles().ask_for_profile("day").await.unwrap();
    store.profiles().profile_taken_up(profile).await.unwrap();
    store.queue().start_attempt(39).await.unwrap();
    store.queue().fail(39, &incomplete(), now).await.unwrap();
    store.queue().start_attempt(40).await.unwrap();
    store.queue().retry_later(40, &incomplete(), now).await.unwrap();
    store.events().record_event(&Event::new(EventKind::Start, "patchcored 0.1.0")).await.unwrap();
    store
        .events()
        .record_event(&Event::new(EventKind::Overflow, "inotify queue overflow, scanning").of_product("prod1-front"))
        .await
        .unwrap();
    line
}

#[tokio::test]
async fn every_query_for_the_analyst_runs_and_finds_something() {
    let line = a_day_on_the_line().await;
    let mut connection = sqlx::SqliteConnection::connect(line.file().to_str().unwrap()).await.unwrap();
    let cookbook = page("docs/sql-cookbook.md");
    let readme = page("README.md");
    let mut queries: Vec<String> =
        [&cookbook, &readme].iter().flat_map(|page| page.blocks_of("sql")).map(|block| block.text.clone()).collect();
    assert!(queries.len() >= 15, "{}", queries.len());
    queries.extend(recipes().into_iter().map(|(_, query)| query));
    for query in queries {
        let found = sqlx::query(sqlx::AssertSqlSafe(query.as_str())).fetch_all(&mut connection).await;
        let rows = found.unwrap_or_else(|e| panic!("{query}\n{e}"));
        assert!(!rows.is_empty(), "no rows:\n{query}");
    }
}

#[tokio::test]
async fn every_query_about_actions_and_messages_runs_and_finds_something() {
    let line = Line::new().await;
    let bank_id = line.store.banks().publish_bank(&bank("p", 1)).await.unwrap();
    for id in 1..=2 {
        line.arrive(arrival(format!("/drop/{id}.jpg"), "p", 0)).await;
        let follow_up = FollowUp { act_since: Some(time(0)), publish: Some(Publish::All) };
        line.decide(&Finished { follow_up, ..finished(id, bank_id, 9.0) }).await;
    }
    let action = line.store.actions().start_action("p", &until(time(-1)), time(101)).await.unwrap().unwrap();
    let end = ActionEnd { failure: Some("ended with exit code 1".into()), exit_code: Some(1), ..ActionEnd::default() };
    line.store.actions().end_action(action, &end, time(102)).await.unwrap();
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/acting-on-defects.md")).unwrap();
    let queries: Vec<&str> = page.split("```sql\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert!(queries.len() >= 3, "{}", queries.len());
    let mut connection = sqlx::SqliteConnection::connect(line.file().to_str().unwrap()).await.unwrap();
    for query in queries {
        let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap_or_else(|e| panic!("{query}\n{e}"));
        assert!(!rows.is_empty(), "no rows:\n{query}");
    }
}

#[tokio::test]
async fn the_views_add_up() {
    let line = a_day_on_the_line().await;
    let mut connection = sqlx::SqliteConnection::connect(line.file().to_str().unwrap()).await.unwrap();
    let counts = line.store.lists().counts().await.unwrap();
    let (ok, ng, failed): (i64, i64, i64) =
        sqlx::query_as("SELECT sum(ok), sum(ng), sum(failed) FROM daily_yield").fetch_one(&mut connection).await.unwrap();
    assert_eq!((ok + ng, failed), (counts.done, counts.failed));
    let rates: Vec<(i64, i64, Option<f64>)> =
        sqlx::query_as("SELECT ok, ng, ng_rate FROM daily_yield").fetch_all(&mut connection).await.unwrap();
    for (ok, ng, rate) in rates {
        assert_eq!(rate, (ok + ng > 0).then(|| ng as f64 / (ok + ng) as f64));
    }
    let defects: Vec<(i64, Option<f64>, Option<f64>)> =
        sqlx::query_as("SELECT id, image_margin, pixel_margin FROM defect_history").fetch_all(&mut connection).await.unwrap();
    assert_eq!(defects.len() as i64, ng);
    assert!(defects.is_sorted_by(|a, b| a.0 > b.0), "decided at the same time: the newest row first");
    for (id, image, pixel) in defects {
        assert_eq!(image.zip(pixel).map(|(image, pixel)| image > 0.0 && pixel == image + 1.0), (id != 8).then_some(true), "{id}");
    }
    let changes: Vec<(i64, String, Option<f64>)> =
        sqlx::query_as("SELECT version, state, image_tau_change FROM bank_history WHERE product = 'prod1-front'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let expected = [(3, "active", Some(4.3 - 4.1)), (2, "failed", None), (1, "superseded", None)];
    assert_eq!(changes.iter().map(|(version, state, change)| (*version, state.as_str(), *change)).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn the_reference_has_every_table_view_and_column_and_no_other() {
    let line = Line::new().await;
    let mut connection = sqlx::SqliteConnection::connect(line.file().to_str().unwrap()).await.unwrap();
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/history-reference.md")).unwrap();
    let section = |table: &str| {
        let heading = |line: &str| line.starts_with("## ") && line.contains(&format!("`{table}`"));
        let lines = text.lines().skip_while(|line| !heading(line)).skip(1).take_while(|line| !line.starts_with("## "));
        let cells = lines.filter_map(|line| line.strip_prefix("| `")?.split_once(" | ")).filter(|(_, meaning)| meaning.len() > 3);
        cells.flat_map(|(names, _)| names.split(", ").map(|name| name.trim_matches('`').to_owned()).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let named: Vec<(String, String)> = sqlx::query_as(
        "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlx_%' ORDER BY name",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(named.len() > 12, "{named:?}");
    for (name, kind) in named {
        if kind == "view" {
            assert!(text.contains(&format!("| `{name}` | ")), "{name} is missing");
            continue;
        }
        let query = format!("SELECT name FROM pragma_table_info('{name}')");
        let columns: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
        let shared = ["clock_stamp", "last_run"].contains(&name.as_str());
        let told: Vec<String> = section(&name).into_iter().filter(|column| !shared || columns.contains(column)).collect();
        let (mut told, mut columns) = (told, columns);
        if shared {
            told.sort();
            columns.sort();
        }
        assert_eq!(told, columns, "{name}");
    }
}

#[tokio::test]
async fn a_day_and_a_shift_are_those_of_the_plant() {
    let line = Line::new().await;
    let bank_id = line.store.banks().publish_bank(&bank("p", 1)).await.unwrap();
    // The hour at Seoul: 05:59 and 06:00 on the 24th, 23:30 on the 23rd.
    for (id, decided_at) in [(1, "2026-11-23T20:59:00Z"), (2, "2026-11-23T21:00:00Z"), (3, "2026-11-23T14:30:00Z")] {
        line.arrive(arrival(format!("/drop/{id}.jpg"), "p", 0)).await;
        line.decide(&Finished { decided_at: decided_at.parse().unwrap(), ..finished(id, bank_id, 9.0) }).await;
    }
    let mut connection = sqlx::SqliteConnection::connect(line.file().to_str().unwrap()).await.unwrap();
    let days = "SELECT day || ' ' || ng FROM local_daily_yield ORDER BY day";
    let shifts = "SELECT day || ' ' || shift || ' ' || ng FROM yield_by_shift ORDER BY day, shift";
    let mut rows = async |query: &'static str| sqlx::query_scalar::<_, String>(query).fetch_all(&mut connection).await.unwrap();
    assert_eq!(rows(days).await, ["2026-11-23 3"], "UTC as long as nothing is configured");
    assert_eq!(rows(shifts).await, [] as [&str; 0]);
    let of = |zone: &str, shifts: &[(&str, u16)]| {
        let shifts = shifts.iter().map(|(name, begin_minute)| Shift { name: (*name).into(), begin_minute: *begin_minute });
        LocalTime::new(TimeZone::get(zone).unwrap(), shifts.collect())
    };
    line.store.calendar().set(&of("Asia/Seoul", &[("early", 360), ("late", 840), ("night", 1320)])).await.unwrap();
    assert_eq!(rows(days).await, ["2026-11-23 1", "2026-11-24 2"]);
    assert_eq!(rows(shifts).await, ["2026-11-23 night 2", "2026-11-24 early 1"]);
    line.store.calendar().set(&of("UTC", &[("all", 0)])).await.unwrap();
    assert_eq!(rows(shifts).await, ["2026-11-23 all 3"]);
}
