//! The user domain's internal HTTP (registration, login, refresh), its events, and the claims of access tokens.

mod credentials;
mod devices;
mod logins;
mod people;

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::{
    credentials::{
        BeginSecondFactor, ChangePassword, ConfirmSecondFactor, EndSecondFactor, RenewRecoveryCodes, ResetCode,
        ResetPassword, SecondFactor, SecondFactorOffer, SecondFactorOn,
    },
    devices::{
        AskDeviceLogin, DecideDeviceLogin, DeviceClient, DeviceClientError, DeviceCode, DeviceDecision, DeviceLogin,
        DeviceLoginAsked, USER_CODE_LETTERS, USER_CODE_LETTERS_COUNT, UserCode, UserCodeError,
    },
    logins::{Logout, PersonLogin},
    people::{ChangeRights, CreatePerson, Person, RightsGeneration, SetRole},
};
use crate::{
    command::Route,
    event::Event,
    ids::{LoginId, UserId},
};

/// The body of `POST /internal/users`, as a person typed it: 201 [`Registered`], 409 when the address is taken, 422 with
/// every mistake pointed at.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The address to log in with, read as [`crate::EmailAddress`].
    pub email: String,
    /// The password: 12 to 128 characters.
    pub password: String,
    /// The name to address the person by, read as [`crate::PersonName`].
    pub name: String,
}

/// The answer to [`Register`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registered {
    /// The new person's id.
    pub user_id: UserId,
}

/// Announces that a person has registered. Nothing personal is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCreated {
    /// The new person's id.
    pub user_id: UserId,
    /// The new person's rights.
    pub role: Role,
}

impl Event for UserCreated {
    const NAME: &'static str = "user.created";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::User;
    const SUBSCRIBERS: &'static [Route] = &[Route::Feed];

    fn subject(&self) -> String {
        self.user_id.to_string()
    }
}

/// The body of `POST /internal/sessions`: 200 [`Tokens`], 401.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The address, in any spelling of the registered one.
    pub email: String,
    /// The password as it was typed.
    pub password: String,
    /// The code of the second factor, of people who have one: of the app, or one of the recovery codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// The body of `POST /internal/sessions/refresh`: 200 [`Tokens`], 401. The old refresh token is void at once; using it again
/// revokes its whole family (RFC 9700).
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The refresh token from the login or the refresh before.
    pub refresh_token: String,
}

/// Answers a login and a refresh.
#[derive(Clone, Serialize, Deserialize)]
pub struct Tokens {
    /// A JWT signed with EdDSA.
    pub access_token: String,
    /// An opaque text that is good for one refresh.
    pub refresh_token: String,
    /// The word `Bearer` (RFC 6750).
    pub token_type: String,
    /// The lifetime of the access token, in seconds.
    pub expires_in: u64,
    /// The end of the login, however often it is refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_ends_at: Option<DateTime<Utc>>,
}

/// The rights of a person. Each role may do what the one before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A person who books trips.
    Client,
    /// A person who looks at sagas, with personal fields and payment tokens masked.
    Viewer,
    /// A person who inspects and repairs sagas.
    Operator,
    /// A person who manages the others.
    Admin,
}

impl Role {
    /// All roles, from the least rights to the most.
    pub const ALL: [Self; 4] = [Self::Client, Self::Viewer, Self::Operator, Self::Admin];

    /// The word in columns and claims.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(word: &str) -> Result<Self, RoleError> {
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or(RoleError)
    }
}

/// Why a word is not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the roles are client, viewer, operator and admin")]
pub struct RoleError;

/// The claims of an access token (RFC 9068 names, where it has them).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// [`TOKEN_ISSUER`].
    pub iss: String,
    /// [`TOKEN_AUDIENCE`].
    pub aud: String,
    /// The person's id.
    pub sub: UserId,
    /// The person's rights.
    pub role: Role,
    /// The time of issue, in Unix seconds.
    pub iat: i64,
    /// The time of expiry, in Unix seconds.
    pub exp: i64,
    /// The token's own id, by which it can be denied.
    pub jti: String,
    /// The generation of the person's rights. A token of an earlier one than the person's is void.
    #[serde(default)]
    pub generation: u32,
    /// The login that the token is of. When it ends, the token is void.
    #[serde(default)]
    pub sid: Option<LoginId>,
    /// True for a person who must set up a second factor before it may act.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub second_factor_missing: bool,
}

/// The `iss` of every access token.
pub const TOKEN_ISSUER: &str = "sojourn-user";
/// The `aud` of every access token.
pub const TOKEN_AUDIENCE: &str = "sojourn";
/// The `typ` header of every access token (RFC 9068).
pub const TOKEN_TYPE: &str = "at+jwt";
