//! The history from outside: what the daemon relies on, the report command, and the queries of the pages.

use crate::docs::page;
use jiff::{Timestamp, ToSpan};
use patchcored::cli::history::{Format, HistoryArgs};
use patchcored::codes::{EventKind, Reason, ReasonCode};
use patchcored::history::{
    ActionEnd, Arrival, ArrivalState, BankRequestKind, Counts, Distance, Evidence, Finished, FollowUp, HistoryErrorKind, HistoryStore,
    InspectionFilter, InspectionResult, NewBank, Recorded, TimeSpan,
};
use patchcored::inspection::{Decision, FileKind, Publish};
use proptest::prelude::*;
use sqlx::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A store in a folder of its own; the folder goes with it.
struct Line {
    folder: tempfile::TempDir,
    store: HistoryStore,
}

impl Line {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        Self { folder, store }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("history.db")
    }

    /// As after a crash: whatever was not committed is gone.
    async fn reopen(&mut self) {
        self.store = HistoryStore::open(&self.file()).await.unwrap();
    }

    async fn arrive(&self, arrival: Arrival) -> Recorded {
        self.store.record_arrivals(&[arrival]).await.unwrap()[0]
    }

    async fn due(&self, product: &str, now: Timestamp) -> Vec<i64> {
        self.store.next_pending(product, now, 100, &[], &[]).await.unwrap().iter().map(|image| image.id).collect()
    }

    async fn decide(&self, finished: &Finished) {
        assert!(self.store.start_attempt(finished.id).await.unwrap());
        assert!(self.store.finish(finished).await.unwrap());
    }
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn arrival(path: impl AsRef<Path>, product: &str, version: i64) -> Arrival {
    Arrival {
        path: path.as_ref().to_owned(),
        product: Some(product.into()),
        size: 1000 + version as u64,
        mtime_ns: 1_795_000_000_123_456_789 + version,
        seen_at: time(version),
        give_up_at: time(version + 10),
        state: ArrivalState::Pending,
        reason: None,
        file_id: None,
        said_whole: true,
        evidence: None,
    }
}

fn bank(product: &str, version: i64) -> NewBank {
    NewBank {
        product: product.into(),
        version,
        trigger: "ok folder changed".into(),
        images: Some(20),
        patches: Some(20_480),
        rows: Some(409),
        pixel_tau: 3.0,
        image_tau: 4.0 + version as f64 / 10.0,
        expected_false_alarms: Some(47.6),
        false_alarms_bound: Some(139.1),
        warning: Some("few OK images".into()),
        seconds: Some(12.5),
        path: format!("/srv/banks/{product}/versions/{version:06}").into(),
        sha256: format!("{version:064x}"),
        config_sha256: "c".into(),
        tau_sha256: "t".into(),
        shorter: 512,
        ok_fingerprint: None,
        created_at: time(version),
    }
}

/// All times until this one.
fn until(time: Timestamp) -> [TimeSpan; 1] {
    [TimeSpan { from: Timestamp::UNIX_EPOCH, until: time }]
}

fn finished(id: i64, bank_id: i64, score: f64) -> Finished {
    Finished {
        id,
        content_hash: format!("{id:064x}"),
        bank_id,
        image_score: score,
        image_tau: 4.0,
        pixel_tau: 3.0,
        mask_pixels: 0,
        mask_regions: 0,
        decision: if score <= 4.0 { Decision::Ok } else { Decision::Ng },
        mask_path: Some("/drop/a.jpg.mask.png".into()),
        overlay_path: None,
        heat_path: None,
        side_by_side_path: None,
        scores_path: None,
        outputs_newest_ns: None,
        decode_ms: 10.0,
        engine_ms: 100.0,
        write_ms: 20.0,
        decided_at: time(100),
        follow_up: FollowUp::default(),
    }
}

fn damaged() -> Reason {
    Reason::new(ReasonCode::UnsupportedFormat, "damaged")
}

fn incomplete() -> Reason {
    Reason::new(ReasonCode::Incomplete, "incomplete: 5 of 9 bytes")
}

#[tokio::test]
async fn an_arrival_has_one_row_however_often_it_is_reported() {
    let mut line = Line::new().await;
    let a = arrival("/drop/a.jpg", "p", 0);
    assert_eq!(line.arrive(a.clone()).await, Recorded::New(1));
    assert_eq!(line.arrive(a.clone()).await, Recorded::Known(1));
    line.reopen().await;
    let both = line.store.record_arrivals(&[a.clone(), arrival("/drop/b.jpg", "p", 0), arrival("/drop/b.jpg", "p", 0)]).await.unwrap();
    assert_eq!(both, [Recorded::Known(1), Recorded::New(2), Recorded::Known(2)]);

    // Still being written: the row follows. Decided: the next version is another image.
    assert_eq!(line.arrive(arrival("/drop/a.jpg", "p", 1)).await, Recorded::Changed(1));
    let image = &line.store.next_pending("p", time(50), 1, &[2], &[]).await.unwrap()[0];
    assert_eq!((image.id, image.size, image.seen_at, image.give_up_at), (1, 1001, time(0), time(11)));
    assert!(line.store.fail(1, &damaged(), time(60)).await.unwrap());
    assert_eq!(line.arrive(arrival("/drop/a.jpg", "p", 1)).await, Recorded::Known(1));
    assert_eq!(line.arrive(arrival("/drop/a.jpg", "p", 2)).await, Recorded::New(3));

    let refused =
        Arrival { product: None, state: ArrivalState::Failed { reason: ReasonCode::Unrouted.into() }, ..arrival("/drop/x.jpg", "p", 0) };
    assert_eq!(line.arrive(refused).await, Recorded::New(4));
    assert_eq!(line.store.counts().await.unwrap(), Counts { arrived: 4, done: 0, failed: 2, pending: 2 });
    let by_product = line.store.counts_by_product().await.unwrap();
    assert_eq!(by_product[0].product, None);
    assert_eq!(by_product[1].counts, Counts { arrived: 3, done: 0, failed: 1, pending: 2 });
}

/// The file of inspection 1, moved to another path or with another time.
fn known(path: &str, version: i64, content: Option<&str>) -> Arrival {
    let evidence = content.map(|hash| Evidence { content_hash: Some(hash.to_owned()), gone: None });
    let first = arrival(path, "p", 0);
    Arrival { size: 1000, mtime_ns: first.mtime_ns + version, file_id: Some((8, 15)), evidence, ..first }
}

#[tokio::test]
async fn only_bytes_tell_that_a_file_is_the_same_and_the_row_stays_as_it_is() {
    let line = Line::new().await;
    let bank = line.store.publish_bank(&bank("p", 1)).await.unwrap();
    assert_eq!(line.arrive(known("/drop/a.jpg", 0, None)).await, Recorded::New(1));
    line.decide(&Finished { decided_at: Timestamp::now(), ..finished(1, bank, 9.0) }).await;
    let row = || async { line.store.inspections(&InspectionFilter::default()).await.unwrap() };
    let decided = row().await;
    let hash = format!("{:064x}", 1);

    for (path, version) in [("/drop/a.jpg", 1), ("/drop/b.jpg", 0), ("/drop/a.jpg", -1)] {
        assert_eq!(line.arrive(known(path, version, None)).await, Recorded::Unclear, "{path} {version}");
        assert_eq!(line.arrive(known(path, version, Some(&hash))).await, Recorded::Known(1), "{path} {version}");
        assert_eq!(line.arrive(known(path, version, None)).await, Recorded::Known(1), "known from now on");
    }
    // Back where it was: that is where it is now.
    assert_eq!(line.arrive(known("/drop/a.jpg", 0, None)).await, Recorded::Known(1));
    let now = line.store.kept_files("p", FileKind::NgImages, Timestamp::now(), &Default::default(), 9).await.unwrap();
    assert_eq!((now[0].image.as_path(), now[0].mtime_ns), (Path::new("/drop/a.jpg"), arrival("", "p", 0).mtime_ns));
    assert_eq!(row().await, decided, "the row stays as it is");

    // Another name and a later time, another product, another size: nobody need read the file.
    for (path, product, size, version) in [("/drop/c.jpg", "p", 1000, 9), ("/drop/d.jpg", "q", 1000, 0), ("/drop/a.jpg", "p", 999, 9)] {
        let other = Arrival { product: Some(product.into()), size, ..known(path, version, None) };
        assert!(matches!(line.arrive(other).await, Recorded::New(_)), "{path}");
    }
}

#[tokio::test]
async fn what_slipped_through_is_found_when_it_is_decided() {
    let line = Line::new().await;
    let bank = line.store.publish_bank(&bank("p", 1)).await.unwrap();
    let follow_up = FollowUp { act_since: Some(time(0)), publish: Some(Publish::All) };
    let decision = |id| Finished { content_hash: "same".into(), decided_at: Timestamp::now(), follow_up, ..finished(id, bank, 9.0) };
    // Two names of one file, seen before either was decided.
    assert_eq!(line.arrive(known("/drop/a.jpg", 0, None)).await, Recorded::New(1));
    assert_eq!(line.arrive(known("/drop/b.jpg", 0, None)).await, Recorded::Unclear);
    assert_eq!(line.arrive(known("/drop/b.jpg", 0, Some("same"))).await, Recorded::New(2));
    line.decide(&decision(1)).await;
    assert!(line.store.start_attempt(2).await.unwrap());
    assert!(!line.store.finish(&decision(2)).await.unwrap());
    assert!(line.store.is_duplicate(2).await.unwrap() && !line.store.is_duplicate(1).await.unwrap());
    assert_eq!(line.store.counts().await.unwrap(), Counts { arrived: 2, done: 1, failed: 1, pending: 0 });
    assert_eq!(line.store.waiting().await.unwrap().actions, 1);

    // A file that is renamed while it waits takes its row along.
    assert_eq!(line.arrive(Arrival { file_id: Some((8, 16)), ..known("/drop/c.jpg", 0, None) }).await, Recorded::New(3));
    let renamed = |gone| Arrival {
        file_id: Some((8, 16)),
        evidence: Some(Evidence { content_hash: Some("other".into()), gone }),
        ..known("/drop/d.jpg", 0, None)
    };
    assert_eq!(line.arrive(renamed(Some(3))).await, Recorded::Changed(3));
    assert_eq!(line.store.next_pending("p", Timestamp::now(), 9, &[], &[]).await.unwrap()[0].path, Path::new("/drop/d.jpg"));
}

#[tokio::test]
async fn what_was_given_up_for_not_being_closed_is_tried_again_when_it_is_reported_again() {
    let line = Line::new().await;
    let [first, second] = [0, 1].map(|version| arrival("/drop/a.jpg", "p", version));
    for (arrival, reason) in [(&first, Reason::new(ReasonCode::NotClosed, "not closed")), (&second, damaged())] {
        let Recorded::New(id) = line.arrive(arrival.clone()).await else { panic!("it is new") };
        assert!(line.store.start_attempt(id).await.unwrap());
        assert!(line.store.fail(id, &reason, time(20)).await.unwrap());
    }
    assert_eq!(line.arrive(second).await, Recorded::Known(2), "failed for another reason");
    assert_eq!(line.arrive(arrival("/drop/a.jpg", "p", 2)).await, Recorded::New(3));
    assert_eq!(line.arrive(first.clone()).await, Recorded::Known(1), "a path has one pending row");
    assert!(line.store.start_attempt(3).await.unwrap() && line.store.fail(3, &damaged(), time(20)).await.unwrap());
    assert_eq!(line.arrive(first.clone()).await, Recorded::Changed(1));
    assert_eq!(line.due("p", time(30)).await, [1]);
    assert_eq!(line.arrive(first).await, Recorded::Known(1));
}

#[tokio::test]
async fn a_name_that_is_not_utf8_is_an_image_like_any_other() {
    let line = Line::new().await;
    let odd = PathBuf::from(std::ffi::OsStr::from_bytes(b"/drop/\xff.jpg"));
    // The second is named as the first is shown.
    for path in [odd.as_path(), Path::new("/drop/\\xFF.jpg")] {
        assert!(matches!(line.arrive(arrival(path, "p", 0)).await, Recorded::New(_)));
        assert!(matches!(line.arrive(arrival(path, "p", 0)).await, Recorded::Known(_)));
        assert!(matches!(line.arrive(arrival(path, "p", 1)).await, Recorded::Changed(_)));
    }
    let pending = line.store.next_pending("p", time(50), 10, &[], &[]).await.unwrap();
    assert_eq!(pending.iter().map(|image| image.path.clone()).collect::<Vec<_>>(), [odd, "/drop/\\xFF.jpg".into()]);
}

#[tokio::test]
async fn the_queue_gives_the_oldest_that_are_due() {
    let line = Line::new().await;
    for (name, product, seen) in [("c", "p", 3), ("a", "p", 1), ("b", "p", 2), ("d", "q", 0)] {
        line.arrive(arrival(format!("/drop/{name}.jpg"), product, seen)).await;
    }
    assert_eq!(line.due("p", time(10)).await, [2, 3, 1]);
    assert_eq!(line.store.next_pending("p", time(10), 1, &[2, 3], &[]).await.unwrap()[0].id, 1);

    assert!(line.store.start_attempt(2).await.unwrap());
    assert!(line.store.retry_later(2, &incomplete(), time(20)).await.unwrap());
    assert_eq!(line.due("p", time(10)).await, [3, 1]);
    assert_eq!(line.store.due_products(&["q", "none", "p"], time(10)).await.unwrap(), ["q", "p"]);
    assert_eq!(line.due("p", time(20)).await, [2, 3, 1]);
    assert_eq!(line.store.next_pending("p", time(20), 1, &[], &[]).await.unwrap()[0].attempts, 1);

    // A folder that does not answer is passed over, and no other that only begins like it.
    line.arrive(arrival("/drop2/e.jpg", "p", 4)).await;
    let passed = line.store.next_pending("p", time(20), 9, &[], &["/drop".into()]).await.unwrap();
    assert_eq!(passed.iter().map(|image| image.id).collect::<Vec<_>>(), [5]);
    for id in 1..=3 {
        line.store.fail(id, &damaged(), time(9)).await.unwrap();
        line.store.start_attempt(id).await.unwrap();
        line.store.fail(id, &damaged(), time(9)).await.unwrap();
    }
    line.store.retry_later(5, &incomplete(), time(30)).await.unwrap();
    assert_eq!(line.store.due_products(&["p", "q"], time(20)).await.unwrap(), ["q"]);
}

#[tokio::test]
async fn images_wait_for_the_first_bank_and_are_released_by_it() {
    let line = Line::new().await;
    line.arrive(arrival("/drop/a.jpg", "p", 0)).await;
    line.arrive(Arrival { reason: Some(ReasonCode::NoBank.into()), ..arrival("/drop/b.jpg", "p", 1) }).await;
    line.arrive(arrival("/drop/c.jpg", "q", 2)).await;
    assert_eq!(line.store.set_waiting_for_bank("p").await.unwrap(), 1);
    assert_eq!(line.store.set_waiting_for_bank("p").await.unwrap(), 0);
    line.arrive(arrival("/drop/a.jpg", "p", 5)).await;
    assert!(line.due("p", time(99)).await.is_empty(), "a changed file goes on waiting");
    assert_eq!(line.due("q", time(99)).await, [3]);

    line.store.publish_bank(&bank("p", 1)).await.unwrap();
    assert_eq!(line.due("p", time(99)).await, [1, 2]);
    line.store.set_waiting_for_bank("p").await.unwrap();
    assert_eq!(line.store.release_waiting("p").await.unwrap(), 2);
    assert_eq!(line.store.release_waiting("p").await.unwrap(), 0);
    assert_eq!(line.due("p", time(99)).await, [1, 2]);
}

#[tokio::test]
async fn a_result_counts_once_and_only_for_the_file_it_was_made_from() {
    let line = Line::new().await;
    let bank = line.store.publish_bank(&bank("p", 1)).await.unwrap();
    line.arrive(arrival("/drop/a.jpg", "p", 0)).await;
    assert!(!line.store.finish(&finished(1, bank, 3.0)).await.unwrap(), "no attempt began");

    // The camera writes on while the first attempt runs.
    line.store.start_attempt(1).await.unwrap();
    assert_eq!(line.arrive(arrival("/drop/a.jpg", "p", 1)).await, Recorded::Changed(1));
    assert!(!line.store.finish(&finished(1, bank, 3.0)).await.unwrap());
    assert!(!line.store.fail(1, &incomplete(), time(9)).await.unwrap());
    assert_eq!(line.due("p", time(9)).await, [1]);

    line.store.start_attempt(1).await.unwrap();
    assert!(line.store.finish(&finished(1, bank, 3.0)).await.unwrap());
    assert!(!line.store.finish(&finished(1, bank, 9.0)).await.unwrap());
    assert!(!line.store.fail(1, &damaged(), time(9)).await.unwrap());
    assert!(!line.store.start_attempt(1).await.unwrap());
    assert!(!line.store.retry_later(1, &damaged(), time(9)).await.unwrap());
    assert!(!line.store.touch(1, 5, 5, time(9)).await.unwrap());
    let row = &line.store.inspections(&InspectionFilter::default()).await.unwrap()[0];
    assert_eq!((row.state.as_str(), row.decision.as_deref(), row.image_score, row.attempts), ("done", Some("ok"), Some(3.0), 2));
    assert_eq!((row.bank_version, row.decided_at.as_deref()), (Some(1), Some("2026-11-18T11:08:20.000Z")));
    assert_eq!(row.mask_path.as_deref(), Some("/drop/a.jpg.mask.png"));
}

#[tokio::test]
async fn a_score_that_is_not_a_number_never_passes() {
    let line = Line::new().await;
    let bank = line.store.publish_bank(&bank("p", 1)).await.unwrap();
    line.arrive(arrival("/drop/a.jpg", "p", 0)).await;
    line.decide(&Finished { decision: Decision::Ok, ..finished(1, bank, f64::NAN) }).await;
    let row = &line.store.inspections(&InspectionFilter::default()).await.unwrap()[0];
    assert_eq!((row.decision.as_deref(), row.image_score), (Some("ng"), None));
}

#[tokio::test]
async fn a_file_that_changes_back_to_a_known_version_is_its_duplicate() {
    let line = Line::new().await;
    line.arrive(arrival("/drop/a.jpg", "p", 0)).await;
    line.store.fail(1, &damaged(), time(1)).await.unwrap();
    line.arrive(arrival("/drop/a.jpg", "p", 1)).await;
    assert!(line.store.touch(2, 1002, 7, time(30)).await.unwrap());
    let first = arrival("/drop/a.jpg", "p", 0);
    assert!(!line.store.touch(2, first.size, first.mtime_ns, time(30)).await.unwrap());
    let row = &line.store.inspections(&InspectionFilter { limit: Some(1), ..InspectionFilter::default() }).await.unwrap()[0];
    assert_eq!((row.id, row.state.as_str(), row.reason.as_deref()), (2, "failed", Some("same file as inspection 1")));
}

#[tokio::test]
async fn one_bank_is_active_and_publishing_again_changes_nothing() {
    let line = Line::new().await;
    let states = async || {
        let mut connection = sqlx::SqliteConnection::connect(line.file().to_str().unwrap()).await.unwrap();
        let rows: Vec<(i64, String)> = sqlx::query_as("SELECT id, state FROM banks ORDER BY id").fetch_all(&mut connection).await.unwrap();
        rows.into_iter().map(|(_, state)| state).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line.store.active_bank("p").await.unwrap(), None);
    let first = line.store.publish_bank(&bank("p", 1)).await.unwrap();
    assert_eq!(line.store.publish_bank(&bank("p", 1)).await.unwrap(), first);
    let second = line.store.publish_bank(&bank("p", 2)).await.unwrap();
    line.store.failed_bank("p", Some(3), "ok folder changed", "3 images, min_images is 10", 0.5).await.unwrap();
    line.store.failed_bank("p", None, "ok folder changed", "killed", 0.5).await.unwrap();
    line.store.publish_bank(&bank("q", 1)).await.unwrap();
    assert_eq!(states().await, "superseded active failed failed active");
    assert_eq!(line.store.active_bank("p").await.unwrap().map(|b| (b.id, b.version)), Some((second, 2)));

    // Back to the first; then the folder was emptied and versions start again.
    assert_eq!(line.store.publish_bank(&bank("p", 1)).await.unwrap(), first);
    assert_eq!(states().await, "active rolled_back failed failed active");
    let again = line.store.publish_bank(&NewBank { sha256: "other".into(), ..bank("p", 1) }).await.unwrap();
    assert_eq!(states().await, "superseded rolled_back failed failed active active");
    assert_eq!(line.store.active_bank("p").await.unwrap().map(|b| (b.id, b.version)), Some((again, 1)));
}

#[tokio::test]
async fn inspections_are_filtered_newest_first() {
    let line = Line::new().await;
    let bank = line.store.publish_bank(&bank("p", 1)).await.unwrap();
    for i in 0..6 {
        line.arrive(arrival(format!("/drop/{i}.jpg"), if i % 2 == 0 { "p" } else { "q" }, i)).await;
    }
    line.decide(&finished(1, bank, 1.0)).await;
    line.decide(&finished(3, bank, 9.0)).await;
    let ids = async |filter: InspectionFilter| line.store.inspections(&filter).await.unwrap().iter().map(|row| row.id).collect::<Vec<_>>();
    let all = InspectionFilter::default();
    assert_eq!(ids(all.clone()).await, [6, 5, 4, 3, 2, 1]);
    assert_eq!(ids(InspectionFilter { product: Some("p".into()), ..all.clone() }).await, [5, 3, 1]);
    let results = |results: &[InspectionResult]| InspectionFilter { results: results.to_vec(), ..all.clone() };
    assert_eq!(ids(results(&[InspectionResult::Ng])).await, [3]);
    assert_eq!(ids(results(&[InspectionResult::Ok, InspectionResult::Ng])).await, [3, 1]);
    line.store.fail(2, &damaged(), time(60)).await.unwrap();
    assert_eq!(ids(results(&[InspectionResult::Failed])).await, [2]);
    assert_eq!(ids(results(&[InspectionResult::Pending])).await, [6, 5, 4]);
    assert_eq!(ids(InspectionFilter { reason: Some(ReasonCode::UnsupportedFormat), ..all.clone() }).await, [2]);
    assert_eq!(ids(InspectionFilter { since: Some(time(4)), ..all.clone() }).await, [6, 5]);
    assert_eq!(ids(InspectionFilter { since: Some(time(1)), until: Some(time(3)), ..all.clone() }).await, [3, 2]);
    // Tau is 4: the scores lie 3 below and 5 above it.
    let margin = |from, to| InspectionFilter { margin_from: from, margin_to: to, ..all.clone() };
    assert_eq!(ids(margin(Some(Distance::Score(0.0)), None)).await, [3]);
    assert_eq!(ids(margin(None, Some(Distance::Score(-3.0)))).await, [1]);
    assert_eq!(ids(margin(Some(Distance::OfTau(-0.75)), Some(Distance::OfTau(0.75)))).await, [1]);
    assert_eq!(ids(margin(Some(Distance::OfTau(-1.25)), Some(Distance::OfTau(1.25)))).await, [3, 1]);
    assert!(ids(margin(Some(Distance::OfTau(-0.74)), Some(Distance::OfTau(1.24)))).await.is_empty());
    assert_eq!(ids(InspectionFilter { limit: Some(2), ..all }).await, [6, 5]);
}

#[tokio::test]
async fn reports_read_while_the_daemon_writes_and_when_it_is_gone() {
    let line = Line::new().await;
    line.arrive(arrival("/drop/a.jpg", "p", 0)).await;
    let reader = HistoryStore::open_read_only(&line.file()).await.unwrap();
    assert_eq!(reader.counts().await.unwrap().arrived, 1);
    line.arrive(arrival("/drop/b.jpg", "p", 0)).await;
    assert_eq!(reader.counts().await.unwrap().arrived, 2);
    let refused = reader.record_arrivals(&[arrival("/drop/c.jpg", "p", 0)]).await.unwrap_err();
    assert_eq!(refused.kind, HistoryErrorKind::ReadOnly);
    reader.close().await.unwrap();
    line.store.close().await.unwrap();
    let reader = HistoryStore::open_read_only(&line.folder.path().join("history.db")).await.unwrap();
    assert_eq!(reader.counts().await.unwrap().arrived, 2);
}

#[tokio::test]
async fn the_history_command_prints_all_formats() {
    let line = Line::new().await;
    let bank = line.store.publish_bank(&bank("p", 1)).await.unwrap();
    for i in 0..3 {
        line.arrive(arrival(format!("/drop/{i}, \"x\".jpg"), "p", i)).await;
    }
    line.decide(&finished(2, bank, 9.0)).await;
    let config = line.folder.path().join("config.yaml");
    std::fs::write(&config, format!("database: {}\nproducts: []\n", line.file().display())).unwrap();
    let args = |format| HistoryArgs {
        config: config.clone(),
        database: Some(line.file()),
        product: Some("p".into()),
        format,
        ..HistoryArgs::default()
    };
    let print = async |args| {
        let mut out = Vec::new();
        patchcored::cli::history::print(args, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    };
    let table = print(args(Format::Table)).await;
    assert_eq!(table.lines().count(), 4);
    assert!(table.lines().nth(2).unwrap().contains("ng       9.0000  4.0000  5.0000"), "{table}");
    let json: Vec<serde_json::Value> = serde_json::from_str(&print(HistoryArgs { ng: true, ..args(Format::Json) }).await).unwrap();
    assert_eq!(json.len(), 1);
    assert_eq!(json[0]["bank_version"], 1);
    let csv = print(HistoryArgs { limit: Some(1), ..args(Format::Csv) }).await;
    assert_eq!(csv.split("\r\n").nth(1).unwrap().split(",\"/drop/2, \"\"x\"\".jpg\",").count(), 2, "{csv}");

    let missing = HistoryArgs { database: Some("/nowhere/history.db".into()), ..args(Format::Table) };
    let error = patchcored::cli::history::print(missing, &mut Vec::new()).await.unwrap_err();
    assert!(format!("{error:#}").contains("/nowhere/history.db: does not exist; start the daemon"), "{error:#}");
}

#[tokio::test]
async fn a_scan_of_known_files_does_not_need_the_write_lock() {
    let line = Line::new().await;
    let arrivals: Vec<_> = (0..5000).map(|i| arrival(format!("/drop/{i}.jpg"), "p", i)).collect();
    line.store.record_arrivals(&arrivals).await.unwrap();
    let mut other = sqlx::SqliteConnection::connect(line.file().to_str().unwrap()).await.unwrap();
    let held = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let again = line.store.record_arrivals(&arrivals).await.unwrap();
    assert!(again.iter().enumerate().all(|(i, recorded)| *recorded == Recorded::Known(i as i64 + 1)));
    drop(held);
}

/// What the daemon may do in any order; numbers choose among few paths, versions and ids, so that they meet.
#[derive(Debug, Clone)]
enum Step {
    /// Of a file; paths 4 and beyond are further names of the first ones, which are the same file.
    Arrive {
        path: u8,
        version: i64,
        refused: bool,
    },
    Start(i64),
    Finish(i64, f64),
    Fail(i64),
    Retry(i64),
    Touch(i64, i64),
    Wait,
    Release,
    Publish(i64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 1..8_i64;
    prop_oneof![
        6 => (0..8_u8, 0..4_i64, prop::bool::weighted(0.1)).prop_map(|(path, version, refused)| Step::Arrive { path, version, refused }),
        4 => id.clone().prop_map(Step::Start),
        4 => (id.clone(), prop_oneof![Just(1.0), Just(9.0), Just(f64::NAN)]).prop_map(|(id, score)| Step::Finish(id, score)),
        2 => id.clone().prop_map(Step::Fail),
        2 => id.clone().prop_map(Step::Retry),
        2 => (id, 0..4_i64).prop_map(|(id, version)| Step::Touch(id, version)),
        1 => Just(Step::Wait),
        1 => Just(Step::Release),
        1 => (1..4_i64).prop_map(Step::Publish),
        1 => Just(Step::Restart),
    ]
}

async fn any_order(steps: Vec<Step>) {
    let mut line = Line::new().await;
    let bank_id = line.store.publish_bank(&bank("p", 1)).await.unwrap();
    let mut rows = BTreeSet::new();
    let mut ended = BTreeMap::new();
    for step in steps {
        match step.clone() {
            Step::Arrive { path, version, refused } => {
                let mut arrival = arrival(format!("/drop/{path}.jpg"), "p", version);
                arrival.file_id = Some((1, u64::from(path % 4) + 1));
                if refused {
                    arrival.state = ArrivalState::Failed { reason: ReasonCode::Unrouted.into() };
                }
                let mut recorded = line.arrive(arrival.clone()).await;
                if recorded == Recorded::Unclear {
                    let kin = line.store.kin(&arrival).await.unwrap();
                    let evidence = Evidence { content_hash: kin[0].content_hash.clone(), gone: Some(kin[0].id) };
                    recorded = line.arrive(Arrival { evidence: Some(evidence), ..arrival.clone() }).await;
                }
                match recorded {
                    Recorded::New(id) => assert!(rows.insert(id), "{step:?}"),
                    Recorded::Changed(id) | Recorded::Known(id) => assert!(rows.contains(&id), "{step:?}"),
                    Recorded::Unclear => panic!("{step:?}: it was looked at"),
                }
                assert!(matches!(line.arrive(arrival).await, Recorded::Known(_)), "{step:?}: the same again is known");
            }
            Step::Start(id) => drop(line.store.start_attempt(id).await.unwrap()),
            Step::Finish(id, score) => {
                if line.store.finish(&finished(id, bank_id, score)).await.unwrap() {
                    assert!(!line.store.finish(&finished(id, bank_id, score)).await.unwrap(), "{step:?}: a result counts once");
                }
            }
            Step::Fail(id) => drop(line.store.fail(id, &damaged(), time(50)).await.unwrap()),
            Step::Retry(id) => drop(line.store.retry_later(id, &incomplete(), time(40)).await.unwrap()),
            Step::Touch(id, version) => {
                let a = arrival("", "p", version);
                line.store.touch(id, a.size, a.mtime_ns, a.give_up_at).await.unwrap();
            }
            Step::Wait => drop(line.store.set_waiting_for_bank("p").await.unwrap()),
            Step::Release => drop(line.store.release_waiting("p").await.unwrap()),
            Step::Publish(version) => drop(line.store.publish_bank(&bank("p", version)).await.unwrap()),
            Step::Restart => line.reopen().await,
        }
        let counts = line.store.counts().await.unwrap();
        assert_eq!(counts.arrived, counts.done + counts.failed + counts.pending, "{step:?}");
        assert_eq!(counts.arrived, rows.len() as i64, "{step:?}");
        let due = line.store.due_products(&["p"], time(30)).await.unwrap().len();
        assert_eq!(due == 1, !line.due("p", time(30)).await.is_empty(), "{step:?}: a product is due when an image of it is");
        let mut keys = BTreeSet::new();
        for row in line.store.inspections(&InspectionFilter::default()).await.unwrap() {
            assert_eq!(row.reason.is_some(), row.reason_code.is_some(), "{step:?}: a reason has its code, and a code its words");
            assert!(row.state != "failed" || row.reason_code.is_some(), "{step:?}");
            assert!(keys.insert((row.image_path.clone(), row.file_size, row.mtime_ns)), "{step:?}: an arrival has one row");
            assert!(row.decision.as_deref() != Some("ok") || row.image_score.is_some_and(|score| score <= 4.0), "{step:?}");
            assert_eq!(row.state == "done", row.decision.is_some(), "{step:?}");
            if row.state != "pending" {
                let before = ended.entry(row.id).or_insert_with(|| row.clone());
                assert_eq!(*before, row, "{step:?}: what has ended does not change");
            }
        }
    }
    // Whatever happened, what is pending can still be worked off.
    line.store.release_waiting("p").await.unwrap();
    for id in line.due("p", time(1000)).await {
        line.decide(&finished(id, bank_id, 1.0)).await;
    }
    assert_eq!(line.store.counts().await.unwrap().pending, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_lost_or_counted_twice_in_any_order(steps in prop::collection::vec(step(), 1..40)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(any_order(steps));
    }
}

/// Three products, two banks of one, every state, decision and kind of event, all within the last hours.
async fn a_day_on_the_line() -> Line {
    let line = Line::new().await;
    let now = Timestamp::now();
    let store = &line.store;
    let old = store.publish_bank(&bank("prod1-front", 1)).await.unwrap();
    let side = store.publish_bank(&bank("prod1-side", 1)).await.unwrap();
    store.failed_bank("prod1-front", Some(2), "ok folder changed", "3 images, min_images is 10", 0.5).await.unwrap();
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
    for (i, recorded) in store.record_arrivals(&arrivals).await.unwrap().into_iter().enumerate().take(38) {
        let Recorded::New(id) = recorded else { panic!("{recorded:?}") };
        let bank_id = match i {
            _ if i % 2 == 1 => side,
            20.. => store.publish_bank(&bank("prod1-front", 3)).await.unwrap(),
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
        let action = store.start_action(product, &until(now - 1.hour()), now).await.unwrap().unwrap();
        let exit_code = Some(i32::from(failure.is_some()));
        store.end_action(action, &ActionEnd { failure, exit_code, ..ActionEnd::default() }, now).await.unwrap();
    }
    store.files_deleted(FileKind::OkOutputs, &[1]).await.unwrap();
    // The file of the first image was moved.
    let evidence = Some(Evidence { content_hash: Some(format!("{:064x}", 1)), gone: None });
    let moved = Arrival { path: "/srv/camera/line1/front/2026/part-0001.jpg".into(), evidence, ..arrivals[0].clone() };
    assert_eq!(store.record_arrivals(&[moved]).await.unwrap(), [Recorded::Known(1)]);
    store.ask("prod1-front", BankRequestKind::Rebuild { anew: false }).await.unwrap();
    let profile = store.ask_for_profile("day").await.unwrap();
    store.profile_taken_up(profile).await.unwrap();
    store.start_attempt(39).await.unwrap();
    store.fail(39, &incomplete(), now).await.unwrap();
    store.start_attempt(40).await.unwrap();
    store.retry_later(40, &incomplete(), now).await.unwrap();
    store.record_event(EventKind::Start, None, "patchcored 0.1.0").await.unwrap();
    store.record_event(EventKind::Overflow, Some("prod1-front"), "inotify queue overflow, scanning").await.unwrap();
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
    let bank_id = line.store.publish_bank(&bank("p", 1)).await.unwrap();
    for id in 1..=2 {
        line.arrive(arrival(format!("/drop/{id}.jpg"), "p", 0)).await;
        let follow_up = FollowUp { act_since: Some(time(0)), publish: Some(Publish::All) };
        line.decide(&Finished { follow_up, ..finished(id, bank_id, 9.0) }).await;
    }
    let action = line.store.start_action("p", &until(time(-1)), time(101)).await.unwrap().unwrap();
    let end = ActionEnd { failure: Some("ended with exit code 1".into()), exit_code: Some(1), ..ActionEnd::default() };
    line.store.end_action(action, &end, time(102)).await.unwrap();
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
async fn what_follows_a_decision_is_written_with_it_and_only_then() {
    let line = Line::new().await;
    let bank_id = line.store.publish_bank(&bank("p", 1)).await.unwrap();
    let counts = async || {
        let waiting = line.store.waiting().await.unwrap();
        (waiting.actions, waiting.messages)
    };
    let cases = [
        (FollowUp::default(), 9.0, (0, 0)),
        (FollowUp { act_since: Some(time(5)), publish: None }, 1.0, (0, 0)),
        (FollowUp { act_since: Some(time(5)), publish: None }, 9.0, (1, 0)),
        (FollowUp { act_since: None, publish: Some(Publish::Ng) }, 1.0, (1, 0)),
        (FollowUp { act_since: None, publish: Some(Publish::Ng) }, 9.0, (1, 1)),
        (FollowUp { act_since: None, publish: Some(Publish::All) }, 1.0, (1, 2)),
        // Nobody said ng, but a score that is no number is one.
        (FollowUp { act_since: Some(time(6)), publish: Some(Publish::Ng) }, f64::NAN, (2, 3)),
    ];
    for (number, (follow_up, score, expected)) in cases.into_iter().enumerate() {
        let id = number as i64 + 1;
        line.arrive(arrival(format!("/drop/{id}.jpg"), "p", 0)).await;
        let finished = Finished { follow_up, decision: Decision::Ok, ..finished(id, bank_id, score) };
        let finished = if score > 4.0 { Finished { decision: Decision::Ng, ..finished } } else { finished };
        assert!(!line.store.finish(&finished).await.unwrap(), "no attempt began");
        line.decide(&finished).await;
        assert!(!line.store.finish(&finished).await.unwrap());
        assert_eq!(counts().await, expected, "{follow_up:?} {score}");
    }
    let given_up = line.store.expire_actions("p", &until(time(5)), "too old").await.unwrap();
    assert_eq!(given_up.iter().map(|action| action.inspection_id).collect::<Vec<_>>(), [3]);
    assert_eq!(line.store.start_action("q", &until(time(0)), time(9)).await.unwrap(), None);
    assert_eq!(line.store.start_action("p", &until(time(6)), time(9)).await.unwrap(), None, "as old as it may not be");
    let action = line.store.start_action("p", &until(time(5)), time(9)).await.unwrap().unwrap();
    assert_eq!(line.store.start_action("p", &until(time(0)), time(9)).await.unwrap(), None, "started once");
    let defect = line.store.defect(action).await.unwrap();
    assert_eq!((defect.inspection_id, defect.image_score, defect.bank_version), (7, None, 1));
    assert_eq!(line.store.cancel_actions(&["q"], "gone").await.unwrap(), []);
    assert_eq!(line.store.interrupt_actions("died").await.unwrap().len(), 1);
    line.store.end_action(action, &ActionEnd::default(), time(10)).await.unwrap();
    assert_eq!(line.store.interrupt_actions("died").await.unwrap(), [], "an end that comes late changes nothing");

    let messages = line.store.next_messages(0, 2).await.unwrap();
    assert_eq!(messages.iter().map(|message| message.inspection_id).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(messages[0].image_margin, Some(5.0));
    let rest = line.store.next_messages(messages[1].id, 9).await.unwrap();
    assert_eq!((rest.len(), rest[0].image_score, rest[0].image_margin), (1, None, None));
    line.store.forget_messages(&[messages[0].id]).await.unwrap();
    let dropped = line.store.drop_messages(1, EventKind::MqttDropped, |count| format!("{count}")).await.unwrap();
    assert_eq!((dropped, counts().await.1), (1, 1));
    assert_eq!(line.store.drop_messages(1, EventKind::MqttDropped, |count| format!("{count}")).await.unwrap(), 0);
}

#[tokio::test]
async fn the_views_add_up() {
    let line = a_day_on_the_line().await;
    let mut connection = sqlx::SqliteConnection::connect(line.file().to_str().unwrap()).await.unwrap();
    let counts = line.store.counts().await.unwrap();
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
