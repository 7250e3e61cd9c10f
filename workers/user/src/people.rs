//! People as they are stored, and the questions about them.

use chrono::{DateTime, Utc};
use contract::{
    EmailAddress, UserId,
    user::{Person, RightsGeneration, Role, SecondFactor},
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::session::{read_generation, read_role};

/// The most people whose rights changed within the life of an access token: more than an installation has operators.
const CHANGED_MAX: i64 = 10_000;

#[derive(sqlx::FromRow)]
struct PersonRow {
    user_id: Uuid,
    email: String,
    name: String,
    role: String,
    created_at: DateTime<Utc>,
    disabled_at: Option<DateTime<Utc>>,
    second_factor_since: Option<DateTime<Utc>>,
    recovery_codes_left: i64,
}

/// The columns of a [`PersonRow`]. The second factor is looked up beside the row, so that only the row is locked.
macro_rules! columns {
    () => {
        "user_id, email, name, role, created_at, disabled_at,
         (SELECT since FROM second_factor f WHERE f.user_id = person.user_id) AS second_factor_since,
         (SELECT count(*) FROM recovery_code c WHERE c.user_id = person.user_id) AS recovery_codes_left"
    };
}

impl PersonRow {
    fn into_person(self) -> Result<Person, DomainError> {
        let Self { user_id, email, name, role, created_at, disabled_at, second_factor_since, recovery_codes_left } =
            self;
        let role = read_role(user_id, &role)?;
        let recovery_codes_left = u32::try_from(recovery_codes_left).unwrap_or_default();
        let second_factor = second_factor_since.map(|since| SecondFactor { since, recovery_codes_left });
        Ok(Person { user_id: UserId::from_uuid(user_id), email, name, role, created_at, disabled_at, second_factor })
    }
}

/// The people that are asked for. Without a role: all who are more than clients.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) role: Option<Role>,
    pub(crate) email: Option<EmailAddress>,
}

/// The people after one, in the order of their registration.
pub(crate) async fn list(
    pool: &PgPool,
    filter: &Filter,
    after: Option<UserId>,
    rows_max: u32,
) -> Result<Vec<Person>, DomainError> {
    let statement = concat!(
        "SELECT ",
        columns!(),
        " FROM person
         WHERE (role = $1 OR ($1 IS NULL AND role <> 'client'))
           AND ($2::text IS NULL OR email_key = $2) AND ($3::uuid IS NULL OR user_id > $3)
         ORDER BY user_id LIMIT $4"
    );
    let rows: Vec<PersonRow> = sqlx::query_as(statement)
        .bind(filter.role.map(Role::as_str))
        .bind(filter.email.as_ref().map(EmailAddress::key))
        .bind(after.map(|after| after.uuid()))
        .bind(i64::from(rows_max))
        .fetch_all(pool)
        .await
        .map_err(DomainError::doing("listing people"))?;
    rows.into_iter().map(PersonRow::into_person).collect()
}

/// The person of an id, when there is one.
pub(crate) async fn find(pool: &PgPool, user_id: UserId) -> Result<Option<Person>, DomainError> {
    let statement = concat!("SELECT ", columns!(), " FROM person WHERE user_id = $1");
    let row: Option<PersonRow> = sqlx::query_as(statement)
        .bind(user_id.uuid())
        .fetch_optional(pool)
        .await
        .map_err(DomainError::doing("looking for a person"))?;
    row.map(PersonRow::into_person).transpose()
}

/// One person, whose row is locked until the transaction ends.
pub(crate) async fn find_locked(tx: &mut PgConnection, user_id: UserId) -> Result<Option<Person>, DomainError> {
    let statement = concat!("SELECT ", columns!(), " FROM person WHERE user_id = $1 FOR UPDATE");
    let row: Option<PersonRow> = sqlx::query_as(statement)
        .bind(user_id.uuid())
        .fetch_optional(tx)
        .await
        .map_err(DomainError::doing("locking a person"))?;
    row.map(PersonRow::into_person).transpose()
}

/// The people whose rights changed since a time.
pub(crate) async fn changed_since(pool: &PgPool, since: DateTime<Utc>) -> Result<Vec<RightsGeneration>, DomainError> {
    let rows: Vec<(Uuid, i32)> = sqlx::query_as(
        "SELECT user_id, generation FROM person WHERE rights_changed_at > $1
         ORDER BY rights_changed_at DESC LIMIT $2",
    )
    .bind(since)
    .bind(CHANGED_MAX)
    .fetch_all(pool)
    .await
    .map_err(DomainError::doing("looking for changed rights"))?;
    let rights = rows.into_iter().map(|(user_id, generation)| {
        let generation = read_generation(user_id, generation)?;
        Ok(RightsGeneration { user_id: UserId::from_uuid(user_id), generation })
    });
    rights.collect()
}
