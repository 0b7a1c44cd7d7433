//! One file, one row: what is the same image, and what is another.

use super::{Line, arrival, bank, damaged, finished, time};
use jiff::Timestamp;
use patchcored::codes::{Reason, ReasonCode};
use patchcored::domain::{FileKind, Publish};
use patchcored::history::{Arrival, ArrivalState, Counts, Evidence, Finished, FollowUp, InspectionFilter, Recorded, Scope};
use sqlx::Connection;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

#[tokio::test]
async fn an_arrival_has_one_row_however_often_it_is_reported() {
    let mut line = Line::new().await;
    let a = arrival("/drop/a.jpg", "p", 0);
    assert_eq!(line.arrive(a.clone()).await, Recorded::New(1));
    assert_eq!(line.arrive(a.clone()).await, Recorded::Known(1));
    line.reopen().await;
    let both =
        line.store.arrivals().record_arrivals(&[a.clone(), arrival("/drop/b.jpg", "p", 0), arrival("/drop/b.jpg", "p", 0)]).await.unwrap();
    assert_eq!(both, [Recorded::Known(1), Recorded::New(2), Recorded::Known(2)]);

    // Still being written: the row follows. Decided: the next version is another image.
    assert_eq!(line.arrive(arrival("/drop/a.jpg", "p", 1)).await, Recorded::Changed(1));
    let image = &line.store.queue().next_pending("p", time(50), 1, &[2], &[]).await.unwrap()[0];
    assert_eq!((image.id, image.size, image.seen_at, image.give_up_at), (1, 1001, time(0), time(11)));
    assert!(line.store.queue().fail(1, &damaged(), time(60)).await.unwrap());
    assert_eq!(line.arrive(arrival("/drop/a.jpg", "p", 1)).await, Recorded::Known(1));
    assert_eq!(line.arrive(arrival("/drop/a.jpg", "p", 2)).await, Recorded::New(3));

    let refused =
        Arrival { product: None, state: ArrivalState::Failed { reason: ReasonCode::Unrouted.into() }, ..arrival("/drop/x.jpg", "p", 0) };
    assert_eq!(line.arrive(refused).await, Recorded::New(4));
    assert_eq!(line.store.lists().counts().await.unwrap(), Counts { arrived: 4, done: 0, failed: 2, pending: 2 });
    let by_product = line.store.lists().counts_by_product().await.unwrap();
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
    let bank = line.store.banks().publish_bank(&bank("p", 1)).await.unwrap();
    assert_eq!(line.arrive(known("/drop/a.jpg", 0, None)).await, Recorded::New(1));
    line.decide(&Finished { decided_at: Timestamp::now(), ..finished(1, bank, 9.0) }).await;
    let row = || async { line.store.lists().inspections(&InspectionFilter::default()).await.unwrap() };
    let decided = row().await;
    let hash = format!("{:064x}", 1);

    for (path, version) in [("/drop/a.jpg", 1), ("/drop/b.jpg", 0), ("/drop/a.jpg", -1)] {
        assert_eq!(line.arrive(known(path, version, None)).await, Recorded::Unclear, "{path} {version}");
        assert_eq!(line.arrive(known(path, version, Some(&hash))).await, Recorded::Known(1), "{path} {version}");
        assert_eq!(line.arrive(known(path, version, None)).await, Recorded::Known(1), "known from now on");
    }
    // Back where it was: that is where it is now.
    assert_eq!(line.arrive(known("/drop/a.jpg", 0, None)).await, Recorded::Known(1));
    let now = line.store.deletable_files().kept_files("p", FileKind::NgImages, Timestamp::now(), &Default::default(), 9).await.unwrap();
    assert_eq!((now[0].image.as_path(), now[0].mtime_ns), (Path::new("/drop/a.jpg"), arrival("", "p", 0).mtime_ns));
    assert_eq!(row().await, decided, "the row stays as it is");

    // Another name and a later time, another product, another size: nobody need read the file.
    for (path, product, size, version) in [("/drop/c.jpg", "p", 1000, 9), ("/drop/d.jpg", "q", 1000, 0), ("/drop/a.jpg", "p", 999, 9)] {
        let other = Arrival { product: Some(product.into()), size, ..known(path, version, None) };
        assert!(matches!(line.arrive(other).await, Recorded::New(_)), "{path}");
    }
}

#[tokio::test]
async fn a_path_holds_the_image_that_came_there_last() {
    let line = Line::new().await;
    let bank = line.store.banks().publish_bank(&bank("p", 1)).await.unwrap();
    let at = |seconds, inode, arrival: Arrival| Arrival { seen_at: time(seconds), file_id: Some((8, inode)), ..arrival };
    let hash = |id: i64| format!("{id:064x}");
    // Two parts under names of their own, both decided.
    for (id, path) in [(1, "/drop/a.jpg"), (2, "/drop/b.jpg")] {
        assert_eq!(line.arrive(at(id, id as u64, known(path, id, None))).await, Recorded::New(id));
        line.decide(&Finished { decided_at: Timestamp::now(), ..finished(id, bank, 9.0) }).await;
    }

    // The second is renamed over the first: no part is new.
    assert_eq!(line.arrive(at(3, 2, known("/drop/a.jpg", 2, Some(&hash(2))))).await, Recorded::Known(2));
    // So what is written there next is a new part, though its bytes are those of the first.
    let again = |content| at(4, 3, known("/drop/a.jpg", 5, content));
    assert_eq!(line.arrive(again(Some(&hash(1)))).await, Recorded::New(3));
    line.decide(&Finished { content_hash: hash(1), decided_at: Timestamp::now(), ..finished(3, bank, 9.0) }).await;

    // The other way: the older row was moved to the name of the newer one, and is touched there.
    assert_eq!(line.arrive(at(5, 1, known("/drop/b.jpg", 1, Some(&hash(1))))).await, Recorded::Known(1));
    assert_eq!(line.arrive(at(6, 4, known("/drop/b.jpg", 7, Some(&hash(1))))).await, Recorded::Known(1));
    // It is moved away and back, and touched again.
    assert_eq!(line.arrive(at(7, 2, known("/drop/b.jpg", 2, None))).await, Recorded::Known(2));
    assert_eq!(line.arrive(at(8, 1, known("/drop/b.jpg", 1, Some(&hash(1))))).await, Recorded::Known(1));
    assert_eq!(line.arrive(at(9, 4, known("/drop/b.jpg", 8, Some(&hash(1))))).await, Recorded::Known(1));
}

#[tokio::test]
async fn what_slipped_through_is_found_when_it_is_decided() {
    let line = Line::new().await;
    let bank = line.store.banks().publish_bank(&bank("p", 1)).await.unwrap();
    let follow_up = FollowUp { act_since: Some(time(0)), publish: Some(Publish::All) };
    let decision = |id| Finished { content_hash: "same".into(), decided_at: Timestamp::now(), follow_up, ..finished(id, bank, 9.0) };
    // Two names of one file, seen before either was decided.
    assert_eq!(line.arrive(known("/drop/a.jpg", 0, None)).await, Recorded::New(1));
    assert_eq!(line.arrive(known("/drop/b.jpg", 0, None)).await, Recorded::Unclear);
    assert_eq!(line.arrive(known("/drop/b.jpg", 0, Some("same"))).await, Recorded::New(2));
    line.decide(&decision(1)).await;
    assert!(line.store.queue().start_attempt(2).await.unwrap());
    assert!(!line.store.queue().finish(&decision(2)).await.unwrap());
    assert!(line.store.queue().is_duplicate(2).await.unwrap() && !line.store.queue().is_duplicate(1).await.unwrap());
    assert_eq!(line.store.lists().counts().await.unwrap(), Counts { arrived: 2, done: 1, failed: 1, pending: 0 });
    assert_eq!(line.store.records().take(Scope::Brief).await.unwrap().actions_waiting, 1);

    // A file that is renamed while it waits takes its row along.
    assert_eq!(line.arrive(Arrival { file_id: Some((8, 16)), ..known("/drop/c.jpg", 0, None) }).await, Recorded::New(3));
    let renamed = |gone| Arrival {
        file_id: Some((8, 16)),
        evidence: Some(Evidence { content_hash: Some("other".into()), gone }),
        ..known("/drop/d.jpg", 0, None)
    };
    assert_eq!(line.arrive(renamed(Some(3))).await, Recorded::Changed(3));
    assert_eq!(line.store.queue().next_pending("p", Timestamp::now(), 9, &[], &[]).await.unwrap()[0].path, Path::new("/drop/d.jpg"));
}

#[tokio::test]
async fn what_was_given_up_for_not_being_closed_is_tried_again_when_it_is_reported_again() {
    let line = Line::new().await;
    let [first, second] = [0, 1].map(|version| arrival("/drop/a.jpg", "p", version));
    for (arrival, reason) in [(&first, Reason::new(ReasonCode::NotClosed, "not closed")), (&second, damaged())] {
        let Recorded::New(id) = line.arrive(arrival.clone()).await else { panic!("it is new") };
        assert!(line.store.queue().start_attempt(id).await.unwrap());
        assert!(line.store.queue().fail(id, &reason, time(20)).await.unwrap());
    }
    assert_eq!(line.arrive(second).await, Recorded::Known(2), "failed for another reason");
    assert_eq!(line.arrive(arrival("/drop/a.jpg", "p", 2)).await, Recorded::New(3));
    assert_eq!(line.arrive(first.clone()).await, Recorded::Known(1), "a path has one pending row");
    assert!(line.store.queue().start_attempt(3).await.unwrap() && line.store.queue().fail(3, &damaged(), time(20)).await.unwrap());
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
    let pending = line.store.queue().next_pending("p", time(50), 10, &[], &[]).await.unwrap();
    assert_eq!(pending.iter().map(|image| image.path.clone()).collect::<Vec<_>>(), [odd, "/drop/\\xFF.jpg".into()]);
}

#[tokio::test]
async fn a_file_that_changes_back_to_a_known_version_is_its_duplicate() {
    let line = Line::new().await;
    line.arrive(arrival("/drop/a.jpg", "p", 0)).await;
    line.store.queue().fail(1, &damaged(), time(1)).await.unwrap();
    line.arrive(arrival("/drop/a.jpg", "p", 1)).await;
    assert!(line.store.queue().touch(2, (1002, 7), Some((8, 99)), time(30)).await.unwrap());
    let mut connection = sqlx::SqliteConnection::connect(line.file().to_str().unwrap()).await.unwrap();
    let file: (i64, i64) = sqlx::query_as("SELECT device, inode FROM inspections WHERE id = 2").fetch_one(&mut connection).await.unwrap();
    assert_eq!(file, (8, 99), "a camera that shifts its names leaves another file there");
    let first = arrival("/drop/a.jpg", "p", 0);
    assert!(!line.store.queue().touch(2, (first.size, first.mtime_ns), None, time(30)).await.unwrap());
    let row = &line.store.lists().inspections(&InspectionFilter { limit: Some(1), ..InspectionFilter::default() }).await.unwrap()[0];
    assert_eq!((row.id, row.state.as_str(), row.reason.as_deref()), (2, "failed", Some("same file as inspection 1")));
}

#[tokio::test]
async fn a_scan_of_known_files_does_not_need_the_write_lock() {
    let line = Line::new().await;
    let arrivals: Vec<_> = (0..5000).map(|i| arrival(format!("/drop/{i}.jpg"), "p", i)).collect();
    line.store.arrivals().record_arrivals(&arrivals).await.unwrap();
    let mut other = sqlx::SqliteConnection::connect(line.file().to_str().unwrap()).await.unwrap();
    let held = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let again = line.store.arrivals().record_arrivals(&arrivals).await.unwrap();
    assert!(again.iter().enumerate().all(|(i, recorded)| *recorded == Recorded::Known(i as i64 + 1)));
    drop(held);
}
