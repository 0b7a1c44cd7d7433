//! What is to be inspected next.

use super::{Line, arrival, bank, damaged, incomplete, time};
use patchcored::codes::ReasonCode;
use patchcored::history::Arrival;

#[tokio::test]
async fn the_queue_gives_the_oldest_that_are_due() {
    let line = Line::new().await;
    for (name, product, seen) in [("c", "p", 3), ("a", "p", 1), ("b", "p", 2), ("d", "q", 0)] {
        line.arrive(arrival(format!("/drop/{name}.jpg"), product, seen)).await;
    }
    assert_eq!(line.due("p", time(10)).await, [2, 3, 1]);
    assert_eq!(line.store.queue().next_pending("p", time(10), 1, &[2, 3], &[]).await.unwrap()[0].id, 1);

    assert!(line.store.queue().start_attempt(2).await.unwrap());
    assert!(line.store.queue().retry_later(2, &incomplete(), time(20)).await.unwrap());
    assert_eq!(line.due("p", time(10)).await, [3, 1]);
    assert_eq!(line.store.queue().due_products(&["q", "none", "p"], time(10)).await.unwrap(), ["q", "p"]);
    assert_eq!(line.due("p", time(20)).await, [2, 3, 1]);
    assert_eq!(line.store.queue().next_pending("p", time(20), 1, &[], &[]).await.unwrap()[0].attempts, 1);

    // A folder that does not answer is passed over, and no other that only begins like it.
    line.arrive(arrival("/drop2/e.jpg", "p", 4)).await;
    let passed = line.store.queue().next_pending("p", time(20), 9, &[], &["/drop".into()]).await.unwrap();
    assert_eq!(passed.iter().map(|image| image.id).collect::<Vec<_>>(), [5]);
    for id in 1..=3 {
        line.store.queue().fail(id, &damaged(), time(9)).await.unwrap();
        line.store.queue().start_attempt(id).await.unwrap();
        line.store.queue().fail(id, &damaged(), time(9)).await.unwrap();
    }
    line.store.queue().retry_later(5, &incomplete(), time(30)).await.unwrap();
    assert_eq!(line.store.queue().due_products(&["p", "q"], time(20)).await.unwrap(), ["q"]);
}

#[tokio::test]
async fn images_wait_for_the_first_bank_and_are_released_by_it() {
    let line = Line::new().await;
    line.arrive(arrival("/drop/a.jpg", "p", 0)).await;
    line.arrive(Arrival { reason: Some(ReasonCode::NoBank.into()), ..arrival("/drop/b.jpg", "p", 1) }).await;
    line.arrive(arrival("/drop/c.jpg", "q", 2)).await;
    assert_eq!(line.store.banks().set_waiting_for_bank("p").await.unwrap(), 1);
    assert_eq!(line.store.banks().set_waiting_for_bank("p").await.unwrap(), 0);
    line.arrive(arrival("/drop/a.jpg", "p", 5)).await;
    assert!(line.due("p", time(99)).await.is_empty(), "a changed file goes on waiting");
    assert_eq!(line.due("q", time(99)).await, [3]);

    line.store.banks().publish_bank(&bank("p", 1)).await.unwrap();
    assert_eq!(line.due("p", time(99)).await, [1, 2]);
    line.store.banks().set_waiting_for_bank("p").await.unwrap();
    assert_eq!(line.store.banks().release_waiting("p").await.unwrap(), 2);
    assert_eq!(line.store.banks().release_waiting("p").await.unwrap(), 0);
    assert_eq!(line.due("p", time(99)).await, [1, 2]);
}
