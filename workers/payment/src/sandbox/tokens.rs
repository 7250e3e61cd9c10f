//! The sandbox's tokens, of which each chooses how its payments go.
//!
//! | token | outcome |
//! |---|---|
//! | `tok_ok` | everything works |
//! | `tok_declined` | the authorization is refused: `card_declined` |
//! | `tok_insufficient` | the authorization is refused: `insufficient_funds` |
//! | `tok_timeout_after_commit` | each operation takes effect, and its first answer is lost |
//! | `tok_timeout_before_commit` | each operation's first try is lost without effect |
//! | `tok_capture_fails` | the authorization works, the capture is refused |
//! | `tok_auth_expires_fast` | the authorization works, and lasts a minute instead of a week; it is given again |
//! | `tok_3ds` | the client has to approve on the sandbox's page; a webhook tells of it |
//! | `tok_3ds_late` | as `tok_3ds`, but the webhook comes when nobody waits any more |
//! | `tok_3ds_twice` | as `tok_3ds`, but the webhook comes twice |
//! | `tok_3ds_never` | as `tok_3ds`, but no webhook comes |
//! | `tok_3ds_forged` | as `tok_3ds`, but a webhook with a wrong signature comes first |
//! | any other | refused: `payment_token_unknown` |

/// How a token's payments go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    Declined,
    Insufficient,
    LostAnswer,
    LostRequest,
    CaptureFails,
    ExpiresFast,
    Secure(News),
}

/// How the news of a client's act gets about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Once,
    Late,
    Twice,
    Never,
    Forged,
}

impl Mood {
    /// The mood of a token; none of one that the sandbox does not know.
    pub(super) fn of(token: &str) -> Option<Self> {
        Some(match token {
            "tok_ok" => Self::Well,
            "tok_declined" => Self::Declined,
            "tok_insufficient" => Self::Insufficient,
            "tok_timeout_after_commit" => Self::LostAnswer,
            "tok_timeout_before_commit" => Self::LostRequest,
            "tok_capture_fails" => Self::CaptureFails,
            "tok_auth_expires_fast" => Self::ExpiresFast,
            "tok_3ds" => Self::Secure(News::Once),
            "tok_3ds_late" => Self::Secure(News::Late),
            "tok_3ds_twice" => Self::Secure(News::Twice),
            "tok_3ds_never" => Self::Secure(News::Never),
            "tok_3ds_forged" => Self::Secure(News::Forged),
            _ => return None,
        })
    }
}
