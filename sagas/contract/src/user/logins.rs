//! A person's logins, as the person sees and ends them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::DeviceClient;
use crate::ids::LoginId;

/// The body of `POST /internal/user/sessions/end`: 204, also when there is no such login any more (RFC 7009).
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logout {
    /// A refresh token of the login that is to end.
    pub refresh_token: String,
}

/// One login of a person that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonLogin {
    /// The login's id, by which it is ended.
    pub login_id: LoginId,
    /// The program that it was approved for, when it was no login by password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<DeviceClient>,
    /// The time of the login.
    pub created_at: DateTime<Utc>,
    /// The time of its latest refresh.
    pub used_at: DateTime<Utc>,
    /// The time at which it ends by itself.
    pub ends_at: DateTime<Utc>,
    /// True for the login that asks.
    #[serde(default)]
    pub current: bool,
}
