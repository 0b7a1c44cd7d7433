//! Files that the daemon may delete some day, and the record that it did.

use super::rows::{PathColumns, time_text};
use crate::database::{Connections, HistoryError};
use crate::domain::{FileKind, OUTPUT_SUFFIXES};
use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The columns that name outputs.
const OUTPUT_COLUMNS: [&str; 5] = ["mask_path", "overlay_path", "heat_path", "side_by_side_path", "scores_path"];

/// The existing files of one decided image, as far as the history knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFiles {
    /// Inspection id.
    pub id: i64,
    /// The image: where it was inspected, or, when the caller asked for images, where it was last found.
    pub image: PathBuf,
    /// The size of the inspected image in bytes.
    pub size: u64,
    /// Its modification time when it was last found, ns since 1970.
    pub mtime_ns: i64,
    /// Its outputs; empty when the caller asked for images.
    pub outputs: Vec<KeptOutput>,
    /// The latest modification time of the outputs when they were written, ns since 1970, by the clock of their file system; `None` when an
    /// earlier version wrote them.
    pub outputs_newest_ns: Option<i64>,
    decided_at: String,
}

/// An output that a row names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptOutput {
    /// The file.
    File(PathBuf),
    /// A later row names the same file. The file now belongs to that image and is deleted with it.
    OfLaterImage,
    /// A name that no output of this image can have; another program wrote it into the database.
    Strange(String),
}

/// The position in a walk through kept files.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptCursor {
    decided_at: String,
    id: i64,
}

impl KeptFiles {
    /// The position after this image.
    pub fn cursor(&self) -> KeptCursor {
        KeptCursor { decided_at: self.decided_at.clone(), id: self.id }
    }

    /// When it was decided, by the wall clock of that time, ns since 1970.
    pub fn decided_ns(&self) -> i64 {
        let decided = self.decided_at.parse().unwrap_or(Timestamp::MIN);
        i64::try_from(decided.as_nanosecond()).unwrap_or(i64::MIN)
    }

    /// True when there is nothing left to delete, because later images have replaced every output.
    pub fn is_all_of_later_images(&self) -> bool {
        !self.outputs.is_empty() && self.outputs.iter().all(|output| *output == KeptOutput::OfLaterImage)
    }
}

impl KeptCursor {
    /// The position before the first image decided at this time or later.
    pub fn at(time: Timestamp) -> Self {
        Self { decided_at: time_text(time), id: i64::MIN }
    }
}

/// The files of decided images.
#[derive(Debug, Clone)]
pub struct DeletableFiles {
    pub(super) database: Connections,
}

impl DeletableFiles {
    /// The images of a product, oldest decision first, whose files of this kind still exist and may be deleted: decided at `until` or
    /// before, and after `after`. Reads an index with only such rows, however long the history is.
    ///
    /// An image whose path has a pending row is left out: the camera wrote it again, and the daemon is about to replace its outputs.
    pub async fn kept_files(
        &self,
        product: &str,
        kind: FileKind,
        until: Timestamp,
        after: &KeptCursor,
        limit: u32,
    ) -> Result<Vec<KeptFiles>, HistoryError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(kept_query(kind)))
            .bind(product)
            .bind(kind.decision().as_str())
            .bind(time_text(until))
            .bind(&after.decided_at)
            .bind(after.id)
            .bind(limit)
            .fetch_all(self.database.read())
            .await;
        let kept = rows.and_then(|rows| rows.iter().map(|row| kept(row, kind)).collect());
        kept.map_err(|e| self.database.error(e))
    }

    /// Records that the files of this kind of these inspections are gone, as of now.
    ///
    /// Call it after the deletion. If the daemon dies in between, its next walk finds nothing left to delete, and records that.
    pub async fn files_deleted(&self, kind: FileKind, ids: &[i64]) -> Result<(), HistoryError> {
        let statement = if kind.is_image() {
            "UPDATE inspections SET image_deleted_at = ?1 WHERE id IN (SELECT value FROM json_each(?2)) AND image_deleted_at IS NULL"
        } else {
            "UPDATE inspections SET outputs_deleted_at = ?1 WHERE id IN (SELECT value FROM json_each(?2)) AND outputs_deleted_at IS NULL"
        };
        let changed = sqlx::query(statement).bind(time_text(Timestamp::now())).bind(serde_json::Value::from(ids).to_string());
        changed.execute(self.database.write()).await.map(|_| ()).map_err(|e| self.database.error(e))
    }
}

/// Parameters: product, decision, until, the two values of the cursor, limit.
fn kept_query(kind: FileKind) -> String {
    // The conditions of the two partial indexes, word for word. The query names the index, because the planner prefers the index of the
    // yield, which also holds the millions of rows whose files are long gone.
    let (columns, index, still_there) = if kind.is_image() {
        let last = "SELECT max(id) FROM sightings WHERE inspection_id = i.id";
        let now = ["image_path", "image_path_raw", "mtime_ns"]
            .map(|column| format!(", iif(s.id IS NULL, i.{column}, s.{column}) AS {column}_now"));
        (
            now.concat(),
            format!("inspections_image_kept LEFT JOIN sightings AS s ON s.id = ({last})"),
            "i.image_deleted_at IS NULL".to_owned(),
        )
    } else {
        let columns: String =
            OUTPUT_COLUMNS.iter().map(|column| format!(", i.{column}, {} AS {column}_is_later", of_later_image(column))).collect();
        let any = OUTPUT_COLUMNS.map(|column| format!("i.{column} IS NOT NULL")).join(" OR ");
        (columns, "inspections_outputs_kept".to_owned(), format!("i.outputs_deleted_at IS NULL AND ({any})"))
    };
    format!(
        "SELECT i.id, i.decided_at, i.image_path, i.image_path_raw, i.file_size, i.mtime_ns, i.outputs_newest_ns{columns}
         FROM inspections AS i INDEXED BY {index}
         WHERE i.state = 'done' AND {still_there}
           AND i.product = ? AND i.decision = ? AND i.decided_at <= ? AND (i.decided_at, i.id) > (?, ?)
           AND {NOT_WRITTEN_AGAIN} AND {NOTHING_WAITS_FOR_IT}
         ORDER BY i.decided_at, i.id
         LIMIT ?"
    )
}

/// The command that acts on the defect, or the receiver of the message, may read the files.
const NOTHING_WAITS_FOR_IT: &str =
    "NOT EXISTS (SELECT 1 FROM actions AS a WHERE a.inspection_id = i.id AND a.state IN ('pending', 'started'))
    AND NOT EXISTS (SELECT 1 FROM mqtt_outbox AS m WHERE m.inspection_id = i.id)";

const NOT_WRITTEN_AGAIN: &str = "NOT EXISTS (SELECT 1 FROM inspections AS p
    WHERE p.image_path = i.image_path AND ifnull(p.image_path_raw, x'') = ifnull(i.image_path_raw, x'') AND p.state = 'pending')";

/// True when a row of a later image, or of one decided later, names the same output. Clocks are sometimes set back.
fn of_later_image(column: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM inspections AS l
                 WHERE l.image_path = i.image_path AND ifnull(l.image_path_raw, x'') = ifnull(i.image_path_raw, x'')
                   AND l.id <> i.id AND (l.id > i.id OR l.decided_at > i.decided_at)
                   AND l.state = 'done' AND l.outputs_deleted_at IS NULL AND l.{column} = i.{column})"
    )
}

fn kept(row: &SqliteRow, kind: FileKind) -> Result<KeptFiles, sqlx::Error> {
    // Outputs have the name that the image had when it was inspected.
    let now = if kind.is_image() { "_now" } else { "" };
    let column = |name: &str| format!("{name}{now}");
    let image = PathColumns { shown: row.try_get(column("image_path").as_str())?, raw: row.try_get(column("image_path_raw").as_str())? };
    let mut outputs = Vec::new();
    if !kind.is_image() {
        for column in OUTPUT_COLUMNS {
            let Some(recorded) = row.try_get::<Option<String>, _>(column)? else { continue };
            outputs.push(if row.try_get(format!("{column}_is_later").as_str())? {
                KeptOutput::OfLaterImage
            } else {
                output_path(&image, &recorded).map_or(KeptOutput::Strange(recorded), KeptOutput::File)
            });
        }
    }
    Ok(KeptFiles {
        id: row.try_get("id")?,
        size: row.try_get::<i64, _>("file_size")? as u64,
        mtime_ns: row.try_get(column("mtime_ns").as_str())?,
        outputs,
        outputs_newest_ns: row.try_get("outputs_newest_ns")?,
        decided_at: row.try_get("decided_at")?,
        image: image.into_path(),
    })
}

/// An output has the name of its image with a suffix, perhaps below another folder. So if the name is not UTF-8, its bytes are those of the
/// image's name.
fn output_path(image: &PathColumns, recorded: &str) -> Option<PathBuf> {
    let (rest, suffix) = OUTPUT_SUFFIXES.iter().find_map(|suffix| Some((recorded.strip_suffix(suffix)?, suffix)))?;
    let folder = rest.strip_suffix(&image.shown)?;
    let name = image.raw.as_deref().unwrap_or(image.shown.as_bytes());
    Some(OsString::from_vec([folder.as_bytes(), name, suffix.as_bytes()].concat()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Arrival, HistoryStore, NewBank};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    #[test]
    fn an_output_is_known_by_its_image_and_nothing_else_is() {
        let image = PathColumns::of(Path::new("/drop/a.jpg"));
        let path = |recorded: &str| output_path(&image, recorded);
        assert_eq!(path("/drop/a.jpg.mask.png"), Some("/drop/a.jpg.mask.png".into()));
        assert_eq!(path("/out/drop/a.jpg.overlay.jpg"), Some("/out/drop/a.jpg.overlay.jpg".into()));
        for strange in ["/etc/passwd", "/drop/b.jpg.mask.png", "/drop/a.jpg.other.png", "/drop/a.jpg"] {
            assert_eq!(path(strange), None, "{strange}");
        }
        let odd = PathBuf::from(OsStr::from_bytes(b"/drop/\xff.jpg"));
        let mask = PathBuf::from(OsStr::from_bytes(b"/out/drop/\xff.jpg.mask.png"));
        assert_eq!(output_path(&PathColumns::of(&odd), &PathColumns::of(&mask).shown), Some(mask));
    }

    /// A store with images decided at second 1, 2, …; every third one is `ng`.
    async fn store(folder: &Path, images: i64) -> HistoryStore {
        let store = HistoryStore::open(&folder.join("history.db")).await.unwrap();
        let arrival = |i: i64| Arrival::sample(i);
        store.arrivals().record_arrivals(&(1..=images).map(arrival).collect::<Vec<_>>()).await.unwrap();
        let bank = NewBank {
            product: "p".into(),
            version: 1,
            trigger: crate::domain::BankTrigger::First,
            images: None,
            patches: None,
            rows: None,
            pixel_tau: 1.0,
            image_tau: 1.0,
            expected_false_alarms: None,
            false_alarms_bound: None,
            warning: None,
            comparison: None,
            seconds: None,
            path: "/bank".into(),
            sha256: "0".into(),
            config_sha256: "c".into(),
            tau_sha256: "t".into(),
            size: crate::domain::EngineSize::new(512, 1),
            ok_fingerprint: None,
            created_at: Timestamp::UNIX_EPOCH,
        };
        store.banks().publish_bank(&bank).await.unwrap();
        let done = "UPDATE inspections SET state = 'done', bank_id = 1, image_score = 1.0, decision = iif(id % 3, 'ok', 'ng'),
                    mask_path = image_path || '.mask.png', scores_path = '/out' || image_path || '.scores.json',
                    decided_at = strftime('%Y-%m-%dT%H:%M:%fZ', id, 'unixepoch')";
        sqlx::raw_sql(done).execute(store.write()).await.unwrap();
        store
    }

    fn ids(kept: &[KeptFiles]) -> Vec<i64> {
        kept.iter().map(|files| files.id).collect()
    }

    #[tokio::test]
    async fn kept_files_are_found_oldest_first_and_not_again_when_they_were_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 9).await;
        let second = |second| Timestamp::from_second(second).unwrap();
        let start = KeptCursor::default();
        let ok = store.deletable_files().kept_files("p", FileKind::OkOutputs, second(7), &start, 3).await.unwrap();
        assert_eq!(ids(&ok), [1, 2, 4]);
        let files = ["/drop/1.jpg.mask.png", "/out/drop/1.jpg.scores.json"].map(|name| KeptOutput::File(name.into()));
        assert_eq!((ok[0].image.as_path(), &ok[0].outputs[..]), (Path::new("/drop/1.jpg"), &files[..]));
        let rest = store.deletable_files().kept_files("p", FileKind::OkOutputs, second(7), &ok[2].cursor(), 9).await.unwrap();
        assert_eq!(ids(&rest), [5, 7]);
        store.deletable_files().files_deleted(FileKind::OkOutputs, &[1, 4]).await.unwrap();
        assert_eq!(ids(&store.deletable_files().kept_files("p", FileKind::OkOutputs, second(5), &start, 9).await.unwrap()), [2, 5]);
        assert_eq!(ids(&store.deletable_files().kept_files("p", FileKind::OkImages, second(5), &start, 9).await.unwrap()), [1, 2, 4, 5]);
        store.deletable_files().files_deleted(FileKind::NgImages, &[3]).await.unwrap();
        assert_eq!(ids(&store.deletable_files().kept_files("p", FileKind::NgImages, second(9), &start, 9).await.unwrap()), [6, 9]);
        assert_eq!(ids(&store.deletable_files().kept_files("q", FileKind::NgImages, second(9), &start, 9).await.unwrap()), [0; 0]);
    }

    #[tokio::test]
    async fn an_image_that_is_written_again_takes_its_outputs_along() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 3).await;
        // All three are versions of one file; the second wrote its scores elsewhere.
        let same = "UPDATE inspections SET image_path = '/drop/a.jpg', mask_path = '/drop/a.jpg.mask.png', decision = 'ok',
                    scores_path = iif(id = 2, '/old/drop/a.jpg.scores.json', '/out/drop/a.jpg.scores.json')";
        sqlx::raw_sql(same).execute(store.write()).await.unwrap();
        let outputs = async || {
            let kept =
                store.deletable_files().kept_files("p", FileKind::OkOutputs, Timestamp::now(), &KeptCursor::default(), 9).await.unwrap();
            kept.into_iter().map(|files| (files.id, files.outputs)).collect::<Vec<_>>()
        };
        let file = |name: &str| KeptOutput::File(name.into());
        let later = KeptOutput::OfLaterImage;
        let [mask, scores] = [file("/drop/a.jpg.mask.png"), file("/out/drop/a.jpg.scores.json")];
        let expected = [
            (1, vec![later.clone(), later.clone()]),
            (2, vec![later.clone(), file("/old/drop/a.jpg.scores.json")]),
            (3, vec![mask.clone(), scores.clone()]),
        ];
        assert_eq!(outputs().await, expected);
        store.deletable_files().files_deleted(FileKind::OkOutputs, &[3]).await.unwrap();
        assert_eq!(outputs().await, [(1, vec![later, scores]), (2, vec![mask, file("/old/drop/a.jpg.scores.json")])]);
        // The camera has just written the image again.
        sqlx::raw_sql("UPDATE inspections SET state = 'pending', decision = NULL, decided_at = NULL WHERE id = 3")
            .execute(store.write())
            .await
            .unwrap();
        assert_eq!(outputs().await, []);
    }

    #[tokio::test]
    async fn an_image_is_looked_for_where_it_was_found_last_and_its_outputs_where_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 1).await;
        for (place, mtime_ns) in [("/drop/a/1.jpg", 7), ("/drop/b/1.jpg", 8)] {
            let sighting = "INSERT INTO sightings (inspection_id, image_path, file_size, mtime_ns, seen_at)
                            VALUES (1, ?, 1, ?, '2026-11-01T00:00:00.000Z')";
            sqlx::query(sighting).bind(place).bind(mtime_ns).execute(store.write()).await.unwrap();
        }
        let kept = async |kind| {
            store.deletable_files().kept_files("p", kind, Timestamp::now(), &KeptCursor::default(), 9).await.unwrap().remove(0)
        };
        let image = kept(FileKind::OkImages).await;
        assert_eq!((image.image.as_path(), image.mtime_ns), (Path::new("/drop/b/1.jpg"), 8));
        let outputs = kept(FileKind::OkOutputs).await;
        assert_eq!(outputs.image, Path::new("/drop/1.jpg"));
        assert_eq!(outputs.outputs[0], KeptOutput::File("/drop/1.jpg.mask.png".into()));
    }

    #[tokio::test]
    async fn a_look_reads_its_index_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 1).await;
        for (kind, index) in [(FileKind::OkOutputs, "inspections_outputs_kept"), (FileKind::NgImages, "inspections_image_kept")] {
            let plan = format!("EXPLAIN QUERY PLAN {}", kept_query(kind));
            let plan = sqlx::query(sqlx::AssertSqlSafe(plan)).fetch_all(store.read()).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
            let wanted = format!("SEARCH i USING INDEX {index} (product=? AND decision=? AND decided_at>? AND decided_at<?)");
            assert!(plan.contains(&wanted), "{plan:#?}");
            assert!(plan.iter().any(|step| step.contains("SEARCH p USING INDEX inspections_pending_path")), "{plan:#?}");
            let slow = |step: &&String| step.contains("SCAN") || step.contains("TEMP B-TREE");
            assert_eq!(plan.iter().find(slow), None, "{plan:#?}");
        }
    }
}
