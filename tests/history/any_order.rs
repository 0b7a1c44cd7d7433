//! Whatever happens in whatever order, nothing is lost or counted twice.

use super::{Line, arrival, bank, damaged, finished, incomplete, time};
use patchcored::codes::ReasonCode;
use patchcored::history::{Arrival, ArrivalState, Evidence, InspectionFilter, Recorded};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

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
    let bank_id = line.store.banks().publish_bank(&bank("p", 1)).await.unwrap();
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
                    let kin = line.store.arrivals().kin(&arrival).await.unwrap();
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
            Step::Start(id) => drop(line.store.queue().start_attempt(id).await.unwrap()),
            Step::Finish(id, score) => {
                if line.store.queue().finish(&finished(id, bank_id, score)).await.unwrap() {
                    assert!(!line.store.queue().finish(&finished(id, bank_id, score)).await.unwrap(), "{step:?}: a result counts once");
                }
            }
            Step::Fail(id) => drop(line.store.queue().fail(id, &damaged(), time(50)).await.unwrap()),
            Step::Retry(id) => drop(line.store.queue().retry_later(id, &incomplete(), time(40)).await.unwrap()),
            Step::Touch(id, version) => {
                let a = arrival("", "p", version);
                line.store.queue().touch(id, (a.size, a.mtime_ns), None, a.give_up_at).await.unwrap();
            }
            Step::Wait => drop(line.store.banks().set_waiting_for_bank("p").await.unwrap()),
            Step::Release => drop(line.store.banks().release_waiting("p").await.unwrap()),
            Step::Publish(version) => drop(line.store.banks().publish_bank(&bank("p", version)).await.unwrap()),
            Step::Restart => line.reopen().await,
        }
        let counts = line.store.lists().counts().await.unwrap();
        assert_eq!(counts.arrived, counts.done + counts.failed + counts.pending, "{step:?}");
        assert_eq!(counts.arrived, rows.len() as i64, "{step:?}");
        let due = line.store.queue().due_products(&["p"], time(30)).await.unwrap().len();
        assert_eq!(due == 1, !line.due("p", time(30)).await.is_empty(), "{step:?}: a product is due when an image of it is");
        let mut keys = BTreeSet::new();
        for row in line.store.lists().inspections(&InspectionFilter::default()).await.unwrap() {
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
    line.store.banks().release_waiting("p").await.unwrap();
    for id in line.due("p", time(1000)).await {
        line.decide(&finished(id, bank_id, 1.0)).await;
    }
    assert_eq!(line.store.lists().counts().await.unwrap().pending, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_lost_or_counted_twice_in_any_order(steps in prop::collection::vec(step(), 1..40)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(any_order(steps));
    }
}
