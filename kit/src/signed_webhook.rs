//! The signature of a webhook, as Stripe makes it: the time and an HMAC over the time and the body, so that neither can be
//! forged, and an old one cannot be sent again. One place for those who send and those who check.

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The secret of development. Production refuses it.
pub const DEVELOPMENT_WEBHOOK_SECRET: &str = "whsec_development";

/// The shortest secret that production takes, in bytes: Stripe's have 38.
const SECRET_BYTES_MIN: usize = 24;

/// How far the time of a signature may be from the receiver's: senders and receivers have clocks of their own, and Stripe's
/// libraries allow as much.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// The most signatures in one header: two while a secret is changed, and room for other schemes.
const SIGNATURES_MAX: usize = 8;

/// The secrets of the payment provider's webhooks, for every program that makes or checks them.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct WebhookSecrets {
    /// The secrets of the payment provider's webhooks, separated by commas: any of them will do, the sandbox signs with the first.
    #[arg(long, env = "SOJOURN_PAYMENT_WEBHOOK_SECRETS", value_delimiter = ',', default_value = DEVELOPMENT_WEBHOOK_SECRET, hide_default_value = true, hide_env_values = true)]
    pub payment_webhook_secrets: Vec<SecretString>,
}

impl WebhookSecrets {
    /// The secret that everybody knows, for a development machine.
    #[must_use]
    pub fn development() -> Self {
        Self { payment_webhook_secrets: vec![SecretString::from(DEVELOPMENT_WEBHOOK_SECRET)] }
    }

    /// Whether everybody knows one of them, or it is so short that it can be guessed.
    #[must_use]
    pub fn are_weak(&self) -> bool {
        let weak = |secret: &SecretString| {
            let secret = secret.expose_secret();
            secret == DEVELOPMENT_WEBHOOK_SECRET || secret.len() < SECRET_BYTES_MIN
        };
        self.payment_webhook_secrets.iter().any(weak)
    }
}

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header has no time, no signature, or too many of them.
    #[error("the signature is not of the form `t=<seconds>,v1=<hex>`")]
    Malformed,
    /// The time is too far from now.
    #[error("the signature's time is more than five minutes away")]
    OutOfTime,
    /// No signature is by a secret of ours.
    #[error("the signature is not by the secret of this installation")]
    Wrong,
}

/// The header for a body that is sent `at` this time.
#[must_use]
pub fn sign(secret: &SecretString, at: DateTime<Utc>, body: &[u8]) -> String {
    let seconds = at.timestamp();
    let hex: String = mac(secret, &seconds.to_string(), body)
        .map(|mac| mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
        .unwrap_or_default();
    format!("t={seconds},v1={hex}")
}

/// Checks the header of a body that arrived `now`. Any of the `secrets` will do, so that one can be replaced while another
/// is in use.
///
/// # Errors
/// [`SignatureError`], which says no more than a forger knows.
pub fn verify(secrets: &[SecretString], now: DateTime<Utc>, header: &str, body: &[u8]) -> Result<(), SignatureError> {
    let (mut time, mut signatures) = (None, Vec::new());
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", text)) => time = Some(text),
            Some(("v1", hex)) if signatures.len() < SIGNATURES_MAX => signatures.push(hex),
            Some(("v1", _)) | None => return Err(SignatureError::Malformed),
            // Other schemes are for others.
            Some(_) => {}
        }
    }
    let time = time.ok_or(SignatureError::Malformed)?;
    let signed_at = time.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let signed_at = signed_at.ok_or(SignatureError::Malformed)?;
    let signatures: Option<Vec<Vec<u8>>> = signatures.into_iter().map(unhex).collect();
    let signatures = signatures.filter(|all| !all.is_empty()).ok_or(SignatureError::Malformed)?;
    let ours = |secret: &SecretString| {
        signatures
            .iter()
            .any(|signature| mac(secret, time, body).is_some_and(|mac| mac.verify_slice(signature).is_ok()))
    };
    if !secrets.iter().any(ours) {
        return Err(SignatureError::Wrong);
    }
    if (now - signed_at).abs() > TOLERANCE {
        return Err(SignatureError::OutOfTime);
    }
    Ok(())
}

/// None for no key: HMAC takes keys of any length.
fn mac(secret: &SecretString, time: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    Some(mac)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.len() != 64 {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        text.to_owned().into()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_signature_is_good_for_its_body_its_secret_and_five_minutes() {
        let header = sign(&secret("one"), at(0), b"{}");
        let check = |secrets: &[&str], now, header: &str, body: &[u8]| {
            let secrets: Vec<_> = secrets.iter().map(|text| secret(text)).collect();
            verify(&secrets, at(now), header, body)
        };
        assert_eq!(check(&["one"], 0, &header, b"{}"), Ok(()));
        assert_eq!(check(&["other", "one"], 300, &header, b"{}"), Ok(()));
        assert_eq!(check(&["one"], -300, &header, b"{}"), Ok(()));
        assert_eq!(check(&["one"], 301, &header, b"{}"), Err(SignatureError::OutOfTime));
        assert_eq!(check(&["one"], -301, &header, b"{}"), Err(SignatureError::OutOfTime));
        assert_eq!(check(&["other"], 0, &header, b"{}"), Err(SignatureError::Wrong));
        assert_eq!(check(&[], 0, &header, b"{}"), Err(SignatureError::Wrong));
        assert_eq!(check(&["one"], 0, &header, b"{ }"), Err(SignatureError::Wrong));
        let later = header.replacen("t=1800000000", "t=1800000001", 1);
        assert_eq!(check(&["one"], 0, &later, b"{}"), Err(SignatureError::Wrong));
    }

    #[test]
    fn a_header_of_another_form_is_no_signature() {
        let good = sign(&secret("one"), at(0), b"{}");
        let hex = good.split_once("v1=").unwrap().1;
        for bad in [
            String::new(),
            "t=1800000000".to_owned(),
            format!("v1={hex}"),
            format!("t=soon,v1={hex}"),
            "t=1800000000,v1=".to_owned(),
            "t=1800000000,v1=zz".to_owned(),
            format!("t=1800000000,v1={}", "é".repeat(32)),
            format!("t=1800000000{}", format!(",v1={hex}").repeat(9)),
        ] {
            assert_eq!(verify(&[secret("one")], at(0), &bad, b"{}"), Err(SignatureError::Malformed), "{bad}");
        }
        let more = format!("{good},v0=older,v1={}", "0".repeat(64));
        assert_eq!(verify(&[secret("one")], at(0), &more, b"{}"), Ok(()));
    }

    #[test]
    fn a_secret_that_everybody_knows_is_weak() {
        let weak = |all: &[&str]| {
            WebhookSecrets { payment_webhook_secrets: all.iter().map(|text| secret(text)).collect() }.are_weak()
        };
        assert!(weak(&[DEVELOPMENT_WEBHOOK_SECRET]));
        assert!(weak(&["whsec_0123456789abcdef0123456789abcdef", ""]));
        assert!(!weak(&["whsec_0123456789abcdef0123456789abcdef"]));
    }

    #[test]
    fn a_signature_is_the_one_that_the_provider_makes() {
        // By `printf '1800000000.{}' | openssl dgst -sha256 -hmac whsec_development`.
        let header = sign(&secret(DEVELOPMENT_WEBHOOK_SECRET), at(0), b"{}");
        assert_eq!(header, "t=1800000000,v1=f5f4891fcf99e56894539e39fd0f99661c33a28cff171a03c8f09c4d29834492");
    }
}
