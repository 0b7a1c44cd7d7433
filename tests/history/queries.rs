//! The queries of the pages and the views, on a day on the line.

use super::{Line, arrival, bank, finished, incomplete, time, until};
use crate::docs::page;
use jiff::{Timestamp, ToSpan};
use patchcored::codes::{EventKind, ReasonCode};
use patchcored::domain::{BankTrigger, FileKind, Publish};
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
async fn every_query_of_the_cookbook_runs_and_finds_something() {
    let line = a_day_on_the_line().await;
    let mut connection = sqlx::SqliteConnection::connect(line.file().to_str().unwrap()).await.unwrap();
    let cookbook = page("docs/sql-cookbook.md");
    let readme = page("README.md");
    let queries: Vec<&str> = [&cookbook, &readme].iter().flat_map(|page| page.blocks_of("sql")).map(|block| block.text.as_str()).collect();
    assert!(queries.len() >= 15, "{}", queries.len());
    for query in queries {
        let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap_or_else(|e| panic!("{query}\n{e}"));
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
