//! Images that were in hand when the daemon died. The daemon tries them alone, and fails an image that kills it again and again.
//!
//! The statement that begins an attempt marks the row, and every end of the attempt clears the mark. A mark that is still there at the next
//! start belongs to an image that was in hand when the process died. Such an image is a suspect: the daemon tries it while nothing else is
//! in hand, so the next death tells whether this image was the cause. Any end of an attempt except death clears the suspicion.

use super::queue::{InspectionQueue, PENDING_COLUMNS, PendingColumns, folders, outside};
use super::rows::time_text;
use crate::codes::{Reason, ReasonCode};
use crate::database::HistoryError;
use crate::domain::PendingImage;
use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// An image that was alone in hand at this many deaths in a row fails.
pub const DEATHS: i64 = 2;

/// What the previous process left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aftermath {
    /// Images that were in hand when it died. The daemon now tries them alone. Images in `failed` do not count here.
    pub suspects: u64,
    /// Images that failed because they kill the daemon.
    pub failed: Vec<Killer>,
}

/// An image that kills the daemon.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Killer {
    /// Inspection id.
    pub id: i64,
    /// The product of the image.
    pub product: String,
    /// The path as people see it.
    pub image_path: String,
}

impl InspectionQueue {
    /// Begins an attempt while no other image is in hand. Otherwise like [`InspectionQueue::start_attempt`].
    pub async fn start_attempt_alone(&self, id: i64) -> Result<bool, HistoryError> {
        self.start(id, "alone").await
    }

    /// Somebody asked the daemon to stop. If it dies before it has stopped, no image is to blame.
    pub async fn stops(&self) -> Result<(), HistoryError> {
        self.stops.store(true, Ordering::Release);
        let changed = sqlx::query("UPDATE inspections SET in_hand = NULL WHERE in_hand IS NOT NULL").execute(self.database.write()).await;
        changed.map(|_| ()).map_err(|e| self.database.error(e))
    }

    /// Treats the images that the process before `run` left in hand. For the start of a line, before the first attempt. A second call with
    /// the same `run` does nothing. `boot` tells one start of the machine from another.
    pub async fn after_death(&self, run: &str, boot: &str) -> Result<Aftermath, HistoryError> {
        let mut connection = self.database.writer().await?;
        let result = after_death(&mut connection, run, boot).await;
        self.database.settle(connection, result).await
    }

    /// True while there are suspects.
    pub async fn has_suspects(&self) -> Result<bool, HistoryError> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM inspections WHERE deaths IS NOT NULL)")
            .fetch_one(self.database.read())
            .await
            .map_err(|e| self.database.error(e))
    }

    /// The next suspect of these products, and its product: the fewest deaths first, then the oldest. `deaths` at most; the other
    /// parameters are those of [`InspectionQueue::next_pending`].
    pub async fn next_suspect(
        &self,
        products: &[&str],
        now: Timestamp,
        deaths: i64,
        exclude: &[i64],
        avoid: &[PathBuf],
    ) -> Result<Option<(String, PendingImage)>, HistoryError> {
        let query = format!(
            "SELECT product, {PENDING_COLUMNS} FROM inspections
             WHERE deaths IS NOT NULL AND deaths <= ? AND state = 'pending' AND reason_code IS NOT ?
               AND product IN (SELECT value FROM json_each(?)) AND (retry_at IS NULL OR retry_at <= ?)
               AND id NOT IN (SELECT value FROM json_each(?)) AND {}
             ORDER BY deaths, seen_at, id LIMIT 1",
            outside("?")
        );
        let row: Option<Suspect> = sqlx::query_as(sqlx::AssertSqlSafe(query))
            .bind(deaths)
            .bind(ReasonCode::NoBank.as_str())
            .bind(serde_json::Value::from(products).to_string())
            .bind(time_text(now))
            .bind(serde_json::Value::from(exclude).to_string())
            .bind(folders(avoid))
            .fetch_optional(self.database.read())
            .await
            .map_err(|e| self.database.error(e))?;
        row.map(|Suspect { product, image }| Ok((product, image.into_image()?))).transpose().map_err(|e| self.database.error(e))
    }
}

#[derive(sqlx::FromRow)]
struct Suspect {
    product: String,
    #[sqlx(flatten)]
    image: PendingColumns,
}

async fn after_death(connection: &mut SqliteConnection, run: &str, boot: &str) -> Result<Aftermath, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let last: Option<(String, String)> = sqlx::query_as("SELECT run, boot FROM last_run").fetch_optional(&mut *transaction).await?;
    if last.as_ref().is_some_and(|(last, _)| last == run) {
        transaction.rollback().await?;
        return Ok(Aftermath::default());
    }
    sqlx::query("INSERT OR REPLACE INTO last_run (only_row, run, boot) VALUES (1, ?, ?)")
        .bind(run)
        .bind(boot)
        .execute(&mut *transaction)
        .await?;
    let mut aftermath = Aftermath::default();
    if last.is_some_and(|(_, last)| last == boot) {
        aftermath.suspects = sqlx::query(
            "UPDATE inspections SET deaths = CASE in_hand WHEN 'alone' THEN ifnull(deaths, 0) + 1 ELSE 0 END, in_hand = NULL
             WHERE in_hand IS NOT NULL AND state = 'pending'",
        )
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        aftermath.failed = fail_killers(&mut transaction).await?;
        aftermath.suspects = aftermath.suspects.saturating_sub(aftermath.failed.len() as u64);
    }
    sqlx::query("UPDATE inspections SET in_hand = NULL WHERE in_hand IS NOT NULL").execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(aftermath)
}

async fn fail_killers(connection: &mut SqliteConnection) -> Result<Vec<Killer>, sqlx::Error> {
    let text = format!("the daemon died at each of the last {DEATHS} attempts, and nothing else was in hand then");
    let Reason { code, text } = Reason::new(ReasonCode::KillsTheDaemon, text);
    sqlx::query_as(
        "UPDATE inspections SET state = 'failed', retry_at = NULL, reason = ?, reason_code = ?, decided_at = ?, deaths = NULL
         WHERE deaths >= ? AND state = 'pending'
         RETURNING id, product, image_path",
    )
    .bind(text)
    .bind(code.as_str())
    .bind(time_text(Timestamp::now()))
    .bind(DEATHS)
    .fetch_all(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::super::{Arrival, HistoryStore, RequeueFilter};
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::MAX;

    struct Scene {
        store: HistoryStore,
        _folder: tempfile::TempDir,
    }

    async fn scene(images: i64) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        let arrivals: Vec<Arrival> =
            (0..images).map(|number| Arrival { path: format!("/drop/{number}.png").into(), ..Arrival::sample(number) }).collect();
        store.arrivals().record_arrivals(&arrivals).await.unwrap();
        store.queue().after_death("run 0", "boot").await.unwrap();
        Scene { store, _folder: folder }
    }

    impl Scene {
        async fn suspects(&self) -> Vec<i64> {
            let mut found = Vec::new();
            while let Some((_, image)) = self.store.queue().next_suspect(&["p"], NOW, DEATHS, &found, &[]).await.unwrap() {
                found.push(image.id);
            }
            found
        }

        async fn others(&self) -> Vec<i64> {
            self.store.queue().next_pending("p", NOW, 9, &[], &[]).await.unwrap().into_iter().map(|image| image.id).collect()
        }
    }

    #[tokio::test]
    async fn images_in_hand_at_a_death_are_suspects_until_an_attempt_ends_otherwise() {
        let scene = scene(4).await;
        for id in [1, 2, 3] {
            scene.store.queue().start_attempt(id).await.unwrap();
        }
        let later = Timestamp::now();
        scene.store.queue().retry_later(3, &ReasonCode::Changing.into(), later).await.unwrap();
        let found = scene.store.queue().after_death("run 1", "boot").await.unwrap();
        assert_eq!((found.suspects, found.failed.len()), (2, 0));
        assert_eq!(scene.store.queue().after_death("run 1", "boot").await.unwrap(), Aftermath::default(), "a reload is no death");
        assert_eq!((scene.suspects().await, scene.others().await), (vec![1, 2], vec![3, 4]));
        assert_eq!(scene.store.queue().due_products(&["p"], NOW).await.unwrap(), ["p"]);
        scene.store.queue().start_attempt_alone(1).await.unwrap();
        scene.store.queue().retry_later(1, &ReasonCode::Changing.into(), later).await.unwrap();
        scene.store.queue().start_attempt_alone(2).await.unwrap();
        scene.store.queue().put_down(2).await.unwrap();
        assert_eq!((scene.suspects().await, scene.others().await), (vec![], vec![1, 2, 3, 4]));
        assert!(!scene.store.queue().has_suspects().await.unwrap());
    }

    #[tokio::test]
    async fn two_deaths_alone_fail_an_image_and_a_requeue_forgets_them() {
        let scene = scene(2).await;
        scene.store.queue().start_attempt(1).await.unwrap();
        scene.store.queue().start_attempt(2).await.unwrap();
        scene.store.queue().after_death("run 1", "boot").await.unwrap();
        scene.store.queue().start_attempt_alone(2).await.unwrap();
        assert_eq!(scene.store.queue().after_death("run 2", "boot").await.unwrap().failed, []);
        assert_eq!(scene.suspects().await, [1, 2], "the least suspicious first");
        assert_eq!(scene.store.queue().next_suspect(&["p"], NOW, 0, &[1], &[]).await.unwrap(), None, "it has one death already");
        scene.store.queue().start_attempt_alone(2).await.unwrap();
        let found = scene.store.queue().after_death("run 3", "boot").await.unwrap();
        assert_eq!((found.failed[0].id, found.failed[0].image_path.as_str()), (2, "/drop/1.png"));
        assert_eq!((scene.suspects().await, scene.store.lists().counts().await.unwrap().failed), (vec![1], 1));

        let everything = RequeueFilter::default();
        scene.store.failed_images().requeue(&everything, |_, _| Some("p".into()), Duration::ZERO).await.unwrap();
        scene.store.banks().release_waiting("p").await.unwrap();
        assert_eq!((scene.suspects().await, scene.others().await), (vec![1], vec![2]), "like any other");
    }

    #[tokio::test]
    async fn a_stop_and_a_machine_that_goes_down_blame_nobody() {
        let scene = scene(2).await;
        scene.store.queue().start_attempt(1).await.unwrap();
        assert_eq!(scene.store.queue().after_death("run 1", "another boot").await.unwrap(), Aftermath::default());
        scene.store.queue().start_attempt(1).await.unwrap();
        scene.store.queue().stops().await.unwrap();
        scene.store.queue().start_attempt(2).await.unwrap();
        assert_eq!(scene.store.queue().after_death("run 2", "another boot").await.unwrap(), Aftermath::default());
        assert_eq!(scene.others().await, [1, 2]);
    }
}
