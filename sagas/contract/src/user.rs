//! What the user domain answers over its internal HTTP: registration, login, keys.

use serde::{Deserialize, Serialize};

use crate::{command::Route, event::Event, ids::UserId};

/// `POST /internal/users`: 201 [`Registered`], 409 taken, 422 weak or malformed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The login; compared without regard to case.
    pub email: String,
    /// 12 to 128 characters.
    pub password: String,
    /// How to address the person.
    pub name: String,
}

/// A new person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registered {
    /// Who.
    pub user_id: UserId,
}

/// Announces that a person has registered. Nothing personal is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCreated {
    /// The new person's id.
    pub user_id: UserId,
    /// What the person may do.
    pub role: Role,
}

impl Event for UserCreated {
    const NAME: &'static str = "user.created";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::User;

    fn subject(&self) -> String {
        self.user_id.to_string()
    }
}

/// `POST /internal/sessions`: 200 [`Tokens`], 401.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// As registered.
    pub email: String,
    /// As registered.
    pub password: String,
}

/// `POST /internal/sessions/refresh`: 200 [`Tokens`], 401. The old refresh token is void at once; using it again
/// revokes its whole family (RFC 9700).
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// From the login or the refresh before.
    pub refresh_token: String,
}

/// What a login gives.
#[derive(Clone, Serialize, Deserialize)]
pub struct Tokens {
    /// A JWT signed with EdDSA.
    pub access_token: String,
    /// Opaque.
    pub refresh_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Of the access token, in seconds.
    pub expires_in: u64,
}

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Books trips.
    Client,
    /// Inspects and repairs sagas.
    Operator,
}

impl Role {
    /// The word in columns and claims.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Operator => "operator",
        }
    }
}

/// The claims of an access token (RFC 9068 names, where it has them).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// [`TOKEN_ISSUER`].
    pub iss: String,
    /// [`TOKEN_AUDIENCE`].
    pub aud: String,
    /// The person.
    pub sub: UserId,
    /// What they may do.
    pub role: Role,
    /// Unix seconds.
    pub iat: i64,
    /// Unix seconds.
    pub exp: i64,
    /// Unique, for deny-lists.
    pub jti: String,
}

/// The `iss` of every access token.
pub const TOKEN_ISSUER: &str = "sojourn-user";
/// The `aud` of every access token.
pub const TOKEN_AUDIENCE: &str = "sojourn";
/// The `typ` header of every access token (RFC 9068).
pub const TOKEN_TYPE: &str = "at+jwt";
