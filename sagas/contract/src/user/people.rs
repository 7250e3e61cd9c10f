//! People as those who manage them see them, and the acts on their rights.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Role, SecondFactor};
use crate::ids::UserId;

/// A person, without what it logs in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The person's id, which is its name in the audit log.
    pub user_id: UserId,
    /// The address to log in with.
    pub email: String,
    /// The name to address the person by.
    pub name: String,
    /// The person's rights.
    pub role: Role,
    /// The time of the registration.
    pub created_at: DateTime<Utc>,
    /// Since when the person cannot log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<DateTime<Utc>>,
    /// The person's second factor, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<SecondFactor>,
}

/// The body of `POST /ops/api/people`: 201 [`Person`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatePerson {
    /// The address to log in with, read as [`crate::EmailAddress`].
    pub email: String,
    /// The name to address the person by, read as [`crate::PersonName`].
    pub name: String,
    /// The first password: 12 to 128 characters.
    pub password: String,
    /// The person's rights.
    pub role: Role,
    /// The reason, which is kept in the audit log.
    pub reason: String,
}

/// The body of `POST /ops/api/people/{id}/role`: 200 [`Person`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    /// The person's rights from now on.
    pub role: Role,
    /// The reason, which is kept in the audit log.
    pub reason: String,
}

/// The body of `POST /ops/api/people/{id}/disable`, `enable` and `clear-second-factor`: 200 [`Person`]; of `reset`: 200
/// [`super::ResetCode`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRights {
    /// The reason, which is kept in the audit log.
    pub reason: String,
}

/// The generation of the rights of a person whose rights have changed: access tokens of earlier ones are void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RightsGeneration {
    /// The person whose rights have changed.
    pub user_id: UserId,
    /// The generation in force, as [`super::Claims`] has it.
    pub generation: u32,
}
