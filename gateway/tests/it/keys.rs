//! Signing keys and tokens, good ones and every kind of bad one.

use aws_lc_rs::signature::Ed25519KeyPair;
use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    UserId,
    user::{Role, TOKEN_AUDIENCE, TOKEN_ISSUER, TOKEN_TYPE},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

/// A key of the user service.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) private: EncodingKey,
    pub(crate) public: Jwk,
}

impl Key {
    pub(crate) fn new(id: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let private = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
        let mut public = Jwk::from_encoding_key(&private, Algorithm::EdDSA).unwrap();
        public.common.key_id = Some(id.to_owned());
        Self { id: id.to_owned(), private, public }
    }

    pub(crate) fn header(&self) -> Header {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(self.id.clone());
        header
    }

    pub(crate) fn sign(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.private).unwrap()
    }

    /// A token that this key signed and that is good now.
    pub(crate) fn token(&self, user: UserId, role: Role, now: DateTime<Utc>) -> String {
        self.sign(&self.header(), &claims(user, role, now))
    }
}

/// The claims of a token that is good for a quarter of an hour.
pub(crate) fn claims(user: UserId, role: Role, now: DateTime<Utc>) -> Value {
    json!({
        "iss": TOKEN_ISSUER,
        "aud": TOKEN_AUDIENCE,
        "sub": user,
        "role": role,
        "iat": now.timestamp(),
        "exp": (now + TimeDelta::minutes(15)).timestamp(),
        "jti": "one",
    })
}

pub(crate) fn user(number: u128) -> UserId {
    UserId::from_uuid(uuid::Uuid::from_u128(number))
}
