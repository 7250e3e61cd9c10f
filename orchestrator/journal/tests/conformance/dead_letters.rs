//! Dead letters: kept once, with any content.

use chrono::TimeDelta;
use contract::{CommandId, Op, SagaId};
use journal::{Door, NewDeadLetter};

use crate::{adapters::Storage, fixtures::*};

fn letter(message_id: &str, saga_id: Option<SagaId>) -> NewDeadLetter {
    let command = |saga| CommandId { saga, step: step("hold-rooms"), op: Op::Compensation, generation: 1 };
    NewDeadLetter {
        message_id: message_id.to_owned(),
        saga_id,
        command_id: saga_id.map(command),
        queue: "commands.accommodation".to_owned(),
        exchange: Some("commands".to_owned()),
        routing_key: "accommodation".to_owned(),
        reason: "unreadable".to_owned(),
        kind: "command".to_owned(),
        body: br#"{"a":1}"#.to_vec(),
        received_at: now(),
    }
}

pub(crate) async fn a_dead_letter_is_kept_once(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut letter = letter("msg_1", Some(saga_on(0)));
    journal.keep_dead_letter(&letter).await.unwrap();
    let sent = letter.clone();
    letter.reason = "seen again".to_owned();
    journal.keep_dead_letter(&letter).await.unwrap();
    let listed = journal.dead_letters(Door::Reads, None, None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    let kept = journal.dead_letter(listed[0].id).await.unwrap().unwrap();
    assert_eq!(format!("{:?}", kept.letter), format!("{sent:?}"));
    assert_eq!(kept.view.reason, "unreadable");
    assert_eq!(kept.view.op, Some(Op::Compensation));
    assert_eq!(kept.view.command_id, sent.command_id.map(|id| id.to_string()));
    assert_eq!(kept.view.body, r#"{"a":1}"#);
    assert!(journal.dead_letter(listed[0].id + 1).await.unwrap().is_none());
}

pub(crate) async fn a_message_that_two_queues_give_up_is_two_dead_letters(storage: &dyn Storage) {
    let journal = storage.process().await;
    let first = letter("msg_1", None);
    let second = NewDeadLetter { queue: "events.feed".to_owned(), ..first.clone() };
    for letter in [&first, &second, &second] {
        journal.keep_dead_letter(letter).await.unwrap();
    }
    let listed = journal.dead_letters(Door::Reads, None, None, 10).await.unwrap();
    let queues: Vec<_> = listed.iter().map(|letter| letter.queue.as_str()).collect();
    assert_eq!(queues, ["events.feed", "commands.accommodation"]);
}

pub(crate) async fn dead_letters_are_listed_newest_first_and_by_saga(storage: &dyn Storage) {
    let journal = storage.process().await;
    let saga = saga_on(0);
    for (message, saga) in [("msg_1", Some(saga)), ("msg_2", None), ("msg_3", Some(saga_on(0))), ("msg_4", Some(saga))]
    {
        journal.keep_dead_letter(&letter(message, saga)).await.unwrap();
    }
    let all = journal.dead_letters(Door::Reads, None, None, 10).await.unwrap();
    assert_eq!(all.len(), 4);
    assert!(all.windows(2).all(|pair| pair[0].id > pair[1].id));
    assert_eq!(journal.dead_letters(Door::Reads, None, None, 2).await.unwrap().len(), 2);
    let older = journal.dead_letters(Door::Reads, None, Some(all[1].id), 10).await.unwrap();
    assert_eq!(older.iter().map(|view| view.id).collect::<Vec<_>>(), [all[2].id, all[3].id]);
    let older = journal.dead_letters(Door::Acts, Some(saga), Some(all[0].id), 10).await.unwrap();
    assert_eq!(older.iter().map(|view| view.id).collect::<Vec<_>>(), [all[3].id]);
    let of_saga = journal.dead_letters(Door::Reads, Some(saga), None, 10).await.unwrap();
    assert_eq!(of_saga.iter().map(|view| view.id).collect::<Vec<_>>(), [all[0].id, all[3].id]);
}

pub(crate) async fn a_redriven_letter_says_when(storage: &dyn Storage) {
    let journal = storage.process().await;
    journal.keep_dead_letter(&letter("msg_1", None)).await.unwrap();
    let id = journal.dead_letters(Door::Reads, None, None, 1).await.unwrap()[0].id;
    let at = now() + TimeDelta::seconds(5);
    journal.mark_redriven(id, at).await.unwrap();
    assert_eq!(journal.dead_letter(id).await.unwrap().unwrap().view.redriven_at, Some(at));
    assert_eq!(journal.dead_letters(Door::Reads, None, None, 1).await.unwrap()[0].redriven_at, Some(at));
    journal.mark_redriven(id + 7, at).await.unwrap();
}

pub(crate) async fn a_letter_with_anything_in_it_can_be_kept(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut letter = letter(&"\u{0}".repeat(10_000), None);
    letter.reason = "\u{0}\u{1f6cf}".repeat(5_000);
    letter.kind = "\u{0}".to_owned();
    letter.body = vec![0, 159, 146, 150];
    letter.exchange = None;
    journal.keep_dead_letter(&letter).await.unwrap();
    journal.keep_dead_letter(&letter).await.unwrap();
    let listed = journal.dead_letters(Door::Reads, None, None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(!listed[0].reason.contains('\u{0}') && listed[0].reason.contains('\u{1f6cf}'));
    let kept = journal.dead_letter(listed[0].id).await.unwrap().unwrap();
    assert_eq!(kept.letter.body, letter.body, "it is sent again as it came");
}
