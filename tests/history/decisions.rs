//! What is decided, once, and what follows from it.

use super::{Line, arrival, bank, damaged, finished, incomplete, time, until};
use patchcored::codes::EventKind;
use patchcored::domain::{Decision, Publish};
use patchcored::history::{ActionEnd, Finished, FollowUp, InspectionFilter, Recorded, Scope};

#[tokio::test]
async fn a_result_counts_once_and_only_for_the_file_it_was_made_from() {
    let line = Line::new().await;
    let bank = line.store.banks().publish_bank(&bank("p", 1)).await.unwrap();
    line.arrive(arrival("/drop/a.jpg", "p", 0)).await;
    assert!(!line.store.queue().finish(&finished(1, bank, 3.0)).await.unwrap(), "no attempt began");

    // The camera writes on while the first attempt runs.
    line.store.queue().start_attempt(1).await.unwrap();
    assert_eq!(line.arrive(arrival("/drop/a.jpg", "p", 1)).await, Recorded::Changed(1));
    assert!(!line.store.queue().finish(&finished(1, bank, 3.0)).await.unwrap());
    assert!(!line.store.queue().fail(1, &incomplete(), time(9)).await.unwrap());
    assert_eq!(line.due("p", time(9)).await, [1]);

    line.store.queue().start_attempt(1).await.unwrap();
    assert!(line.store.queue().finish(&finished(1, bank, 3.0)).await.unwrap());
    assert!(!line.store.queue().finish(&finished(1, bank, 9.0)).await.unwrap());
    assert!(!line.store.queue().fail(1, &damaged(), time(9)).await.unwrap());
    assert!(!line.store.queue().start_attempt(1).await.unwrap());
    assert!(!line.store.queue().retry_later(1, &damaged(), time(9)).await.unwrap());
    assert!(!line.store.queue().touch(1, (5, 5), None, time(9)).await.unwrap());
    let row = &line.store.lists().inspections(&InspectionFilter::default()).await.unwrap()[0];
    assert_eq!((row.state.as_str(), row.decision.as_deref(), row.image_score, row.attempts), ("done", Some("ok"), Some(3.0), 2));
    assert_eq!((row.bank_version, row.decided_at.as_deref()), (Some(1), Some("2026-11-18T11:08:20.000Z")));
    assert_eq!(row.mask_path.as_deref(), Some("/drop/a.jpg.mask.png"));
}

#[tokio::test]
async fn a_score_that_is_not_a_number_never_passes() {
    let line = Line::new().await;
    let bank = line.store.banks().publish_bank(&bank("p", 1)).await.unwrap();
    line.arrive(arrival("/drop/a.jpg", "p", 0)).await;
    line.decide(&Finished { decision: Decision::Ok, ..finished(1, bank, f64::NAN) }).await;
    let row = &line.store.lists().inspections(&InspectionFilter::default()).await.unwrap()[0];
    assert_eq!((row.decision.as_deref(), row.image_score), (Some("ng"), None));
}

#[tokio::test]
async fn what_follows_a_decision_is_written_with_it_and_only_then() {
    let line = Line::new().await;
    let bank_id = line.store.banks().publish_bank(&bank("p", 1)).await.unwrap();
    let counts = async || {
        let recorded = line.store.records().take(Scope::Brief).await.unwrap();
        (recorded.actions_waiting, recorded.messages_waiting)
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
        assert!(!line.store.queue().finish(&finished).await.unwrap(), "no attempt began");
        line.decide(&finished).await;
        assert!(!line.store.queue().finish(&finished).await.unwrap());
        assert_eq!(counts().await, expected, "{follow_up:?} {score}");
    }
    let given_up = line.store.actions().expire_actions("p", &until(time(5)), "too old").await.unwrap();
    assert_eq!(given_up.iter().map(|action| action.inspection_id).collect::<Vec<_>>(), [3]);
    assert_eq!(line.store.actions().start_action("q", &until(time(0)), time(9)).await.unwrap(), None);
    assert_eq!(line.store.actions().start_action("p", &until(time(6)), time(9)).await.unwrap(), None, "as old as it may not be");
    let action = line.store.actions().start_action("p", &until(time(5)), time(9)).await.unwrap().unwrap();
    assert_eq!(line.store.actions().start_action("p", &until(time(0)), time(9)).await.unwrap(), None, "started once");
    let defect = line.store.actions().defect(action).await.unwrap();
    assert_eq!((defect.inspection_id, defect.image_score, defect.bank_version), (7, None, 1));
    assert_eq!(line.store.actions().cancel_actions(&["q"], "gone").await.unwrap(), []);
    assert_eq!(line.store.actions().interrupt_actions("died").await.unwrap().len(), 1);
    line.store.actions().end_action(action, &ActionEnd::default(), time(10)).await.unwrap();
    assert_eq!(line.store.actions().interrupt_actions("died").await.unwrap(), [], "an end that comes late changes nothing");

    let messages = line.store.outbox().next_messages(0, 2).await.unwrap();
    assert_eq!(messages.iter().map(|message| message.inspection_id).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(messages[0].image_margin, Some(5.0));
    let rest = line.store.outbox().next_messages(messages[1].id, 9).await.unwrap();
    assert_eq!((rest.len(), rest[0].image_score, rest[0].image_margin), (1, None, None));
    line.store.outbox().forget_messages(&[messages[0].id]).await.unwrap();
    let dropped = line.store.outbox().drop_messages(1, EventKind::MqttDropped, |count| format!("{count}")).await.unwrap();
    assert_eq!((dropped, counts().await.1), (1, 1));
    assert_eq!(line.store.outbox().drop_messages(1, EventKind::MqttDropped, |count| format!("{count}")).await.unwrap(), 0);
}
