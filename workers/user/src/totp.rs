//! Codes of an app (TOTP, RFC 6238), with the parameters that every app knows: SHA-1, six digits, half a minute.

use aws_lc_rs::rand;
use chrono::{DateTime, Utc};
use totp_rs::{Builder, Secret, Totp, TotpError};

use crate::one_time_code::NoRandomness;

/// The bytes of a secret: the length of the hash, as RFC 4226 advises.
const SECRET_BYTES: usize = 20;

/// The steps before and after the present one whose codes are taken: a clock that is half a minute off, a slow thumb.
const DRIFT_STEPS: u16 = 1;

/// The name under which an app lists its codes.
const ISSUER: &str = "Sojourn";

/// The longest code that is looked at, in bytes: six digits with a space in their middle.
const TYPED_BYTES_MAX: usize = 16;

/// A secret that nobody knows.
pub(crate) fn new_secret() -> Result<Vec<u8>, NoRandomness> {
    let mut secret = vec![0; SECRET_BYTES];
    rand::fill(&mut secret).map_err(|_| NoRandomness)?;
    Ok(secret)
}

/// The codes of one secret.
pub(crate) struct Codes(Totp);

impl Codes {
    /// Of this secret, listed by an app under the account's name.
    pub(crate) fn new(secret: &[u8], account: &str) -> Result<Self, TotpError> {
        let codes = Builder::new().with_secret(Secret::from(secret)).with_skew(DRIFT_STEPS).with_issuer(Some(ISSUER));
        // The format of these addresses knows no colon in a name.
        codes.with_account_name(account.replace(':', " ")).build().map(Self)
    }

    /// The secret in base 32, to be typed.
    pub(crate) fn secret(&self) -> String {
        self.0.secret().to_base32()
    }

    /// The address that an app reads from a picture.
    pub(crate) fn uri(&self) -> Result<String, TotpError> {
        self.0.to_url()
    }

    /// The step of a code that is good at `now`. The caller that takes the code keeps the step, and takes none up to it again.
    pub(crate) fn step_of(&self, typed: &str, now: DateTime<Utc>) -> Option<i64> {
        if typed.len() > TYPED_BYTES_MAX {
            return None;
        }
        let digits: String = typed.chars().filter(|character| *character != ' ').collect();
        let step = self.0.check(&digits, u64::try_from(now.timestamp()).ok()?)?;
        i64::try_from(step).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B.
    const SECRET: &[u8] = b"12345678901234567890";

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_secs(second).unwrap()
    }

    #[test]
    fn the_codes_of_the_rfc_are_taken_in_their_step_and_beside_it() {
        let codes = Codes::new(SECRET, "ann@example.com").unwrap();
        for (second, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924")] {
            let step = second / 30;
            for drift in [-30, 0, 30] {
                assert_eq!(codes.step_of(code, at(second + drift)), Some(step), "{code} {drift}");
            }
            assert_eq!(codes.step_of(code, at(second + 60)), None, "{code}");
        }
        assert_eq!(codes.step_of("081804", at(1_111_111_109 - 60)), None);
        assert_eq!(codes.step_of("287 082", at(59)), Some(1));
        for wrong in ["287083", "28708", "2870820", "+87082", "", "\u{0968}87082", "287082                "] {
            assert_eq!(codes.step_of(wrong, at(59)), None, "{wrong}");
        }
    }

    #[test]
    fn an_app_reads_the_secret_from_a_text_and_from_an_address() {
        let codes = Codes::new(SECRET, "ann@example.com").unwrap();
        assert_eq!(codes.secret(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let uri = codes.uri().unwrap();
        assert!(uri.starts_with("otpauth://totp/Sojourn:ann"), "{uri}");
        assert!(uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ") && uri.contains("issuer=Sojourn"), "{uri}");
        assert_ne!(new_secret().unwrap(), new_secret().unwrap());
    }
}
