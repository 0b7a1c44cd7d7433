//! Bank versions in the history.

use super::{Line, bank};
use patchcored::domain::BankTrigger;
use patchcored::history::NewBank;
use sqlx::Connection;

#[tokio::test]
async fn one_bank_is_active_and_publishing_again_changes_nothing() {
    let line = Line::new().await;
    let states = async || {
        let mut connection = sqlx::SqliteConnection::connect(line.file().to_str().unwrap()).await.unwrap();
        let rows: Vec<(i64, String)> = sqlx::query_as("SELECT id, state FROM banks ORDER BY id").fetch_all(&mut connection).await.unwrap();
        rows.into_iter().map(|(_, state)| state).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line.store.banks().active_bank("p").await.unwrap(), None);
    let first = line.store.banks().publish_bank(&bank("p", 1)).await.unwrap();
    assert_eq!(line.store.banks().publish_bank(&bank("p", 1)).await.unwrap(), first);
    let second = line.store.banks().publish_bank(&bank("p", 2)).await.unwrap();
    line.store.banks().failed_bank("p", Some(3), BankTrigger::OkChanged, "3 images, min_images is 10", 0.5).await.unwrap();
    line.store.banks().failed_bank("p", None, BankTrigger::OkChanged, "killed", 0.5).await.unwrap();
    line.store.banks().publish_bank(&bank("q", 1)).await.unwrap();
    assert_eq!(states().await, "superseded active failed failed active");
    assert_eq!(line.store.banks().active_bank("p").await.unwrap().map(|b| (b.id, b.version)), Some((second, 2)));

    // Back to the first; then the folder was emptied and versions start again.
    assert_eq!(line.store.banks().publish_bank(&bank("p", 1)).await.unwrap(), first);
    assert_eq!(states().await, "active rolled_back failed failed active");
    let again = line.store.banks().publish_bank(&NewBank { sha256: "other".into(), ..bank("p", 1) }).await.unwrap();
    assert_eq!(states().await, "superseded rolled_back failed failed active active");
    assert_eq!(line.store.banks().active_bank("p").await.unwrap().map(|b| (b.id, b.version)), Some((again, 1)));
}
