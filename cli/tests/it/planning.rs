//! `plan`, and `--dry-run` of the repairs.

use contract::saga::SagaStatus;

use crate::{
    door::{Door, saga_id, view},
    run::Sagactl,
};

#[tokio::test]
async fn the_plan_of_one_saga_names_each_command_in_its_order() {
    let door = Door::open().await;
    let id = door.add(view(1, SagaStatus::Running)).to_string();
    let plan = Sagactl::at(&door, &["plan", "cancel", &id]).run().await;
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    insta::assert_snapshot!("plan_of_one", plan.stdout);
    assert_eq!(door.seen().last().unwrap().1, format!(r#"{{"action":"cancel","saga_ids":["{id}"]}}"#));
    let dry = Sagactl::at(&door, &["cancel", &id, "--reason", "because", "--dry-run"]).run().await;
    assert_eq!((dry.code, dry.stdout), (0, plan.stdout));
    assert!(door.seen().iter().all(|(call, _)| call == "POST /plans"), "a dry run does nothing");
}

#[tokio::test]
async fn the_plan_of_several_is_a_line_each_and_a_summary_and_needs_no_consent() {
    let door = Door::open().await;
    let ids: Vec<_> = (1..=2).map(|number| door.add(view(number, SagaStatus::Running)).to_string()).collect();
    let plan = Sagactl::at(&door, &["plan", "retry", "-"]).stdin(&ids.join("\n")).run().await;
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    insta::assert_snapshot!("plan_of_two", plan.stdout);
    let listed = Sagactl::at(&door, &["plan", "retry", &ids[0], &ids[1], "-o", "ids"]).run().await;
    assert_eq!(listed.stdout.lines().collect::<Vec<_>>(), ids);
}

#[tokio::test]
async fn a_plan_ends_as_the_action_would() {
    let door = Door::open().await;
    let over = door.add(view(1, SagaStatus::Completed)).to_string();
    let refused = Sagactl::at(&door, &["plan", "abandon", &over]).run().await;
    assert_eq!((refused.code, refused.stdout.as_str()), (6, ""), "{}", refused.stderr);
    assert!(refused.stderr.contains("saga_finished"), "{}", refused.stderr);
    let running = door.add(view(2, SagaStatus::Running)).to_string();
    let missing = saga_id(3).to_string();
    let some = Sagactl::at(&door, &["plan", "abandon", &running, &missing]).run().await;
    assert_eq!(some.code, 5, "{}", some.stderr);
    assert!(some.stderr.contains(&missing), "{}", some.stderr);
}
