//! The floor: the same domain transactions called directly, one after the other, without any orchestration. Nothing
//! that keeps a promise over several databases can be faster; how far one stays above it is what the benchmark tells.

use std::time::Instant;

use anyhow::Result;
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use crate::workload::BenchInput;

/// The three databases.
#[derive(Debug, Clone)]
pub(crate) struct Databases {
    pub(crate) order: PgPool,
    pub(crate) accommodation: PgPool,
    pub(crate) payment: PgPool,
}

const INSERT_ROW: &str = "INSERT INTO bench_row (saga_id, status, payload) VALUES ($1, $2, $3)";
const UPDATE_ROW: &str = "UPDATE bench_row SET status = $2 WHERE saga_id = $1";
const REMEMBER: &str = "INSERT INTO bench_inbox (saga_id, step, op, generation, outcome) VALUES ($1, $2, $3, 1, $4)";

/// One business transaction across the three databases; returns how long it took.
pub(crate) async fn run_one(databases: &Databases, input: &BenchInput) -> Result<std::time::Duration> {
    let begun = Instant::now();
    let id = input.row;
    insert(&databases.order, id, "create-order", "pending", &input.filler).await?;
    insert(&databases.accommodation, id, "hold-room", "held", &input.filler).await?;
    if input.decline {
        refuse(&databases.payment, id).await?;
        update(&databases.accommodation, id, "hold-room", 1, "released").await?;
        update(&databases.order, id, "create-order", 1, "rejected").await?;
    } else {
        insert(&databases.payment, id, "authorize-payment", "authorized", &input.filler).await?;
        update(&databases.order, id, "confirm-order", 0, "confirmed").await?;
    }
    Ok(begun.elapsed())
}

async fn insert(pool: &PgPool, id: Uuid, step: &str, status: &str, filler: &str) -> Result<()> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    remember(&mut tx, id, step, 0).await?;
    sqlx::query(INSERT_ROW).bind(id).bind(status).bind(filler).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

async fn update(pool: &PgPool, id: Uuid, step: &str, op: i16, status: &str) -> Result<()> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    remember(&mut tx, id, step, op).await?;
    sqlx::query(UPDATE_ROW).bind(id).bind(status).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

async fn refuse(pool: &PgPool, id: Uuid) -> Result<()> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    remember(&mut tx, id, "authorize-payment", 0).await?;
    Ok(tx.commit().await?)
}

async fn remember(tx: &mut PgConnection, id: Uuid, step: &str, op: i16) -> Result<()> {
    let outcome = r#"{"outcome":"done","reply":{}}"#;
    sqlx::query(REMEMBER).bind(id).bind(step).bind(op).bind(outcome).execute(tx).await?;
    Ok(())
}
