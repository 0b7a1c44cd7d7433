//! The report and what others read, beside the daemon and without it.

use super::{Line, arrival, bank, damaged, finished, time};
use patchcored::cli::history::{Format, HistoryArgs};
use patchcored::codes::ReasonCode;
use patchcored::history::{Distance, HistoryErrorKind, HistoryStore, InspectionFilter, InspectionResult};

#[tokio::test]
async fn inspections_are_filtered_newest_first() {
    let line = Line::new().await;
    let bank = line.store.banks().publish_bank(&bank("p", 1)).await.unwrap();
    for i in 0..6 {
        line.arrive(arrival(format!("/drop/{i}.jpg"), if i % 2 == 0 { "p" } else { "q" }, i)).await;
    }
    line.decide(&finished(1, bank, 1.0)).await;
    line.decide(&finished(3, bank, 9.0)).await;
    let ids = async |filter: InspectionFilter| {
        line.store.lists().inspections(&filter).await.unwrap().iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let all = InspectionFilter::default();
    assert_eq!(ids(all.clone()).await, [6, 5, 4, 3, 2, 1]);
    assert_eq!(ids(InspectionFilter { product: Some("p".into()), ..all.clone() }).await, [5, 3, 1]);
    let results = |results: &[InspectionResult]| InspectionFilter { results: results.to_vec(), ..all.clone() };
    assert_eq!(ids(results(&[InspectionResult::Ng])).await, [3]);
    assert_eq!(ids(results(&[InspectionResult::Ok, InspectionResult::Ng])).await, [3, 1]);
    line.store.queue().fail(2, &damaged(), time(60)).await.unwrap();
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
    assert_eq!(reader.lists().counts().await.unwrap().arrived, 1);
    line.arrive(arrival("/drop/b.jpg", "p", 0)).await;
    assert_eq!(reader.lists().counts().await.unwrap().arrived, 2);
    let refused = reader.arrivals().record_arrivals(&[arrival("/drop/c.jpg", "p", 0)]).await.unwrap_err();
    assert_eq!(refused.kind, HistoryErrorKind::ReadOnly);
    reader.close().await.unwrap();
    line.store.close().await.unwrap();
    let reader = HistoryStore::open_read_only(&line.folder.path().join("history.db")).await.unwrap();
    assert_eq!(reader.lists().counts().await.unwrap().arrived, 2);
}

#[tokio::test]
async fn the_history_command_prints_all_formats() {
    let line = Line::new().await;
    let bank = line.store.banks().publish_bank(&bank("p", 1)).await.unwrap();
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
