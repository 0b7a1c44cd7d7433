//! The history as a library: what the daemon relies on, the report command, and the queries of the pages.

mod any_order;
mod arrivals;
mod banks;
mod decisions;
mod old_sqlite;
mod queries;
mod queue;
mod reading;
mod recipes;

use jiff::Timestamp;
use patchcored::codes::{Reason, ReasonCode};
use patchcored::domain::{BankTrigger, DecidedBy, Decision, EngineSize, TimeSpan};
use patchcored::history::{Arrival, ArrivalState, Finished, FollowUp, HistoryStore, NewBank, Recorded};
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
        self.store.arrivals().record_arrivals(&[arrival]).await.unwrap()[0]
    }

    async fn due(&self, product: &str, now: Timestamp) -> Vec<i64> {
        self.store.queue().next_pending(product, now, 100, &[], &[]).await.unwrap().iter().map(|image| image.id).collect()
    }

    async fn decide(&self, finished: &Finished) {
        assert!(self.store.queue().start_attempt(finished.id).await.unwrap());
        assert!(self.store.queue().finish(finished).await.unwrap());
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
        trigger: BankTrigger::OkChanged,
        images: Some(20),
        patches: Some(20_480),
        rows: Some(409),
        pixel_tau: 3.0,
        image_tau: 4.0 + version as f64 / 10.0,
        expected_false_alarms: Some(47.6),
        false_alarms_bound: Some(139.1),
        warning: Some("few OK images".into()),
        comparison: None,
        seconds: Some(12.5),
        path: format!("/srv/banks/{product}/versions/{version:06}").into(),
        sha256: format!("{version:064x}"),
        config_sha256: "c".into(),
        tau_sha256: "t".into(),
        size: EngineSize::new(512, 1),
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
        sensitivity: 1.0,
        mask_pixels: 0,
        mask_regions: 0,
        decision: if score <= 4.0 { Decision::Ok } else { Decision::Ng },
        decided_by: DecidedBy::Image,
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
