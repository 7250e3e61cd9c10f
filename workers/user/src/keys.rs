//! The key that signs access tokens: EdDSA only, published as a JWK set under its thumbprint (RFC 7638).

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Duration, Utc};
use contract::{
    LoginId, UserId,
    user::{Claims, Role, TOKEN_AUDIENCE, TOKEN_ISSUER, TOKEN_TYPE},
};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};

/// A line of a PEM file (RFC 7468).
const PEM_LINE_CHARS: usize = 64;

/// Signs access tokens. Cheap to clone.
#[derive(Clone)]
pub struct SigningKey {
    inner: Arc<Inner>,
    second_factor_required: bool,
}

struct Inner {
    key: EncodingKey,
    header: Header,
    published: JwkSet,
}

/// The person that a token is for, and its rights.
#[derive(Debug, Clone, Copy)]
pub struct Rights {
    /// The person whose token it is.
    pub user_id: UserId,
    /// The person's role.
    pub role: Role,
    /// The generation of the rights.
    pub generation: u32,
    /// True for a person whose logins need a code.
    pub second_factor: bool,
}

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is not there.
    #[error("the signing key {0} is missing; make one with `openssl genpkey -algorithm ed25519 -out {0}`")]
    Missing(PathBuf),
    /// The file cannot be read or made.
    #[error("the signing key {path} cannot be read or made")]
    File {
        /// The file of the key.
        path: PathBuf,
        /// The error that was met.
        #[source]
        source: io::Error,
    },
    /// The file is something else.
    #[error("{path} is not an Ed25519 private key in PKCS#8 PEM")]
    NotAKey {
        /// The file of the key.
        path: PathBuf,
        /// The error that was met.
        #[source]
        source: jsonwebtoken::errors::Error,
    },
    /// The system has no randomness to give.
    #[error("no signing key could be generated")]
    NoRandomness,
}

impl SigningKey {
    /// Reads the key; makes one first where it is missing and may be made. The file is for its owner only.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn load(path: &Path, may_make: bool) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let pem = match fs::read(path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound && may_make => {
                make(path)?;
                // Read back: another worker may have made it at the same moment, and then its key counts.
                fs::read(path).map_err(failed)?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(KeyError::Missing(path.to_owned())),
            Err(error) => return Err(failed(error)),
        };
        Self::from_pem(&pem).map_err(|source| KeyError::NotAKey { path: path.to_owned(), source })
    }

    fn from_pem(pem: &[u8]) -> Result<Self, jsonwebtoken::errors::Error> {
        let key = EncodingKey::from_ed_pem(pem)?;
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(kid);
        let inner = Inner { key, header, published: JwkSet { keys: vec![jwk] } };
        Ok(Self { inner: Arc::new(inner), second_factor_required: false })
    }

    /// Whether tokens of operators and admins without a second factor say that one is missing.
    pub const fn require_second_factor(&mut self, required: bool) {
        self.second_factor_required = required;
    }

    /// The public half, for `/.well-known/jwks.json`.
    #[must_use]
    pub fn published(&self) -> &JwkSet {
        &self.inner.published
    }

    /// An access token of a login. It says so when its person may not act before there is a second factor.
    ///
    /// # Errors
    /// When it cannot be signed, which no input can bring about.
    pub fn sign(
        &self,
        Rights { user_id, role, generation, second_factor }: Rights,
        login: LoginId,
        now: DateTime<Utc>,
        good_for: Duration,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            iss: TOKEN_ISSUER.to_owned(),
            aud: TOKEN_AUDIENCE.to_owned(),
            sub: user_id,
            role,
            iat: now.timestamp(),
            exp: (now + good_for).timestamp(),
            jti: kit::ids::uuid_random().to_string(),
            generation,
            sid: Some(login),
            second_factor_missing: self.second_factor_required && role >= Role::Operator && !second_factor,
        };
        jsonwebtoken::encode(&self.inner.header, &claims, &self.inner.key)
    }
}

fn make(path: &Path) -> Result<(), KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::NoRandomness)?;
    let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeyError::NoRandomness)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    // Written beside and linked into place, so that nobody ever reads half a key or overwrites another one.
    let beside = path.with_extension(format!("{}.new", kit::ids::uuid_random().simple()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    file.write_all(pem(pkcs8.as_ref()).as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside).map_err(failed)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(PEM_LINE_CHARS) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_made_key_is_kept_private_and_its_tokens_verify_against_what_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/jwt.pem");
        let first = SigningKey::load(&path, true).unwrap();
        let again = SigningKey::load(&path, false).unwrap();
        assert_eq!(first.published(), again.published());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let user = UserId::from_uuid(uuid::Uuid::from_u128(7));
        let now = DateTime::from_timestamp(4_000_000_000, 0).unwrap();
        let rights = Rights { user_id: user, role: Role::Client, generation: 3, second_factor: false };
        let login = LoginId::from_uuid(uuid::Uuid::from_u128(8));
        let token = first.sign(rights, login, now, Duration::minutes(15)).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        let jwk = again.published().find(header.kid.as_deref().unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[TOKEN_AUDIENCE]);
        validation.set_issuer(&[TOKEN_ISSUER]);
        let claims = decode::<Claims>(&token, &DecodingKey::from_jwk(jwk).unwrap(), &validation).unwrap().claims;
        assert_eq!((claims.sub, claims.exp - claims.iat, claims.generation, claims.sid), (user, 900, 3, Some(login)));
        assert_eq!(header.typ.as_deref(), Some(TOKEN_TYPE));
        let published = serde_json::to_string(first.published()).unwrap();
        assert!(!published.contains("\"d\""), "the private half is published");
    }

    #[test]
    fn a_missing_key_is_not_made_in_production_and_a_wrong_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwt.pem");
        assert!(matches!(SigningKey::load(&path, false), Err(KeyError::Missing(_))));
        fs::write(&path, "not a key").unwrap();
        assert!(matches!(SigningKey::load(&path, true), Err(KeyError::NotAKey { .. })));
    }
}
