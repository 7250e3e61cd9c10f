//! Two versions of one command: old sagas go on with the old one while new ones send the new one.

use contract::{
    Outcome,
    command::{Command, Route},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{
    Context, Handled, Handler,
    testkit::{Delivered, Harness, action_of_a_new_saga},
};

use crate::toy::{SeatTaken, TakeSeat, local_domain, take};

/// Version 2 of `toy.take_seat`: seats of several holders.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct TakeSeats {
    pool: String,
    holders: Vec<Uuid>,
}

impl Command for TakeSeats {
    const NAME: &'static str = TakeSeat::NAME;
    const VERSION: u16 = 2;
    const ROUTE: Route = Route::Flights;
    type Reply = SeatTaken;
}

struct ManySeats;

impl Handler<TakeSeats> for ManySeats {
    async fn handle(&self, tx: &mut PgConnection, command: TakeSeats, _context: &mut Context) -> Handled<SeatTaken> {
        let many = i32::try_from(command.holders.len()).unwrap();
        let number = sqlx::query_scalar(
            "UPDATE seat_pool SET free = free - $2, taken = taken + $2 WHERE pool = $1 RETURNING taken",
        )
        .bind(&command.pool)
        .bind(many)
        .fetch_one(tx)
        .await?;
        Ok(Outcome::done(SeatTaken { number }))
    }
}

#[tokio::test]
async fn a_worker_serves_two_versions_of_a_command_and_keeps_one_that_it_does_not_know() {
    let database = private_servers::testing::database("versions").await;
    let domain = local_domain().action::<TakeSeats>(ManySeats);
    let harness = Harness::open(domain, &database, kit::clock::system()).await;
    let (old, new) = (action_of_a_new_saga("hold"), action_of_a_new_saga("hold"));
    let many = TakeSeats { pool: "wide".to_owned(), holders: vec![kit::ids::uuid_v7(), kit::ids::uuid_v7()] };

    // In one transaction, each by its own handler.
    let batch = [harness.envelope(&old, &take("wide")), harness.envelope(&new, &many)];
    let answers = harness.deliver_all(&batch).await;
    assert_eq!(answers, [r#"{"outcome":"done","reply":{"number":1}}"#, r#"{"outcome":"done","reply":{"number":3}}"#]);
    assert_eq!(harness.deliver_all(&batch).await, answers, "other answers the second time");

    // The dead letters keep it, and its saga is told, until a worker that knows it has been started.
    let mut newer = harness.envelope(&action_of_a_new_saga("hold"), &many);
    newer.version = 3;
    let Delivered::DeadLettered(why) = harness.deliver_raw(&newer).await else { panic!("it was carried out") };
    assert_eq!(why, "`toy.take_seat` version 3 is not known here, only version 1 and 2");
    let taken: i32 =
        sqlx::query_scalar("SELECT taken FROM seat_pool WHERE pool = 'wide'").fetch_one(harness.pool()).await.unwrap();
    assert_eq!(taken, 3);
    newer.version = 2;
    assert!(matches!(harness.deliver_raw(&newer).await, Delivered::Answered(text) if text.contains(r#""done""#)));
}
