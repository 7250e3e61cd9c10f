//! The credentials of a person: changing a password, a new one by an admin's code, and the second factor.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Tokens;

/// The body of `POST /v1/auth/password`: 200 [`Tokens`] of a new login, which takes the place of all others of the person.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The present password.
    pub password: String,
    /// The password from now on: 12 to 128 characters.
    pub new_password: String,
}

/// The answer to an admin who resets a person's password: a code to hand over, which is told once.
#[derive(Clone, Serialize, Deserialize)]
pub struct ResetCode {
    /// The code, good for one new password.
    pub code: String,
    /// The time from which the code is void.
    pub expires_at: DateTime<Utc>,
}

/// The body of `POST /v1/auth/password/reset`: 204. All logins of the person end.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// The address to log in with.
    pub email: String,
    /// The code that an admin has handed over.
    pub code: String,
    /// The password from now on: 12 to 128 characters.
    pub new_password: String,
}

/// The second factor of a person, as it is seen from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// The time since which a login needs a code.
    pub since: DateTime<Utc>,
    /// The recovery codes that were not used yet.
    pub recovery_codes_left: u32,
}

/// The body of `POST /v1/auth/second-factor`: 200 [`SecondFactorOffer`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginSecondFactor {
    /// The present password.
    pub password: String,
}

/// A second factor that is in force once a code of it was shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct SecondFactorOffer {
    /// The secret in base 32, to be typed into an app.
    pub secret: String,
    /// The same as an `otpauth` address, to be scanned by an app.
    pub uri: String,
}

/// The body of `POST /v1/auth/second-factor/confirm`: 200 [`SecondFactorOn`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmSecondFactor {
    /// The code that the app shows.
    pub code: String,
}

/// The answer to a second factor that was put in force, or whose recovery codes were renewed.
#[derive(Clone, Serialize, Deserialize)]
pub struct SecondFactorOn {
    /// Codes for a person without the app, each good for one login. They are told once.
    pub recovery_codes: Vec<String>,
    /// The tokens of a new login, which takes the place of all others of the person.
    pub tokens: Tokens,
}

/// The body of `POST /v1/auth/second-factor/remove`: 200 [`Tokens`] of a new login, which takes the place of all others.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndSecondFactor {
    /// The present password.
    pub password: String,
    /// A code of the app, or one of the recovery codes.
    pub code: String,
}

/// The body of `POST /v1/auth/second-factor/recovery-codes`: 200 [`SecondFactorOn`]. The recovery codes of before are void.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRecoveryCodes {
    /// The present password.
    pub password: String,
    /// A code of the app, or one of the recovery codes.
    pub code: String,
}
