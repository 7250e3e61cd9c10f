//! A login without a password (RFC 8628): asking for the codes, and for the tokens once a person has approved. The server's
//! refusals are forms of OAuth here, and problems everywhere else.

use reqwest::{RequestBuilder, Response, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::{ANSWER_TIMEOUT, Client, refused};
use crate::{
    failure::{Exit, Failure},
    output,
    session::Session,
};

/// The name under which people see this program.
const CLIENT_ID: &str = concat!("sagactl/", env!("CARGO_PKG_VERSION"));

/// The grant that is asked for (RFC 8628, 3.4).
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// How often the server is asked when it does not say, in seconds (RFC 8628, 3.2).
const INTERVAL_SECONDS_DEFAULT: u64 = 5;

/// The codes of a login that waits for its person. Printed without the secret one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Authorization {
    #[serde(skip_serializing)]
    pub(crate) device_code: String,
    pub(crate) user_code: String,
    pub(crate) verification_uri: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) verification_uri_complete: Option<String>,
    pub(crate) expires_in: u64,
    #[serde(default = "interval_default")]
    pub(crate) interval: u64,
}

const fn interval_default() -> u64 {
    INTERVAL_SECONDS_DEFAULT
}

/// The answer to one question for the tokens.
pub(crate) enum Traded {
    Tokens(Session),
    /// The person has not decided yet.
    Pending,
    /// Asked too often: wait five seconds longer from now on.
    SlowDown,
    /// The server cannot be reached, or is busy.
    NotNow(Failure),
}

/// A refusal of OAuth (RFC 6749, 5.2).
#[derive(Deserialize)]
struct OauthError {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Client {
    /// Asks for a login that a person approves elsewhere.
    pub(crate) async fn ask_device_login(&self) -> Result<Authorization, Failure> {
        let request = self.form("/v1/auth/device", &[("client_id", CLIENT_ID)]);
        let asked = async {
            let response = request.send().await.map_err(|error| self.unreachable(&error))?;
            self.read(self.granted(response).await?).await
        };
        asked.await.map_err(Failure::of_question)
    }

    /// Asks once for the tokens of a login.
    pub(crate) async fn trade_device_code(&self, device_code: &str) -> Result<Traded, Failure> {
        let form = [("grant_type", GRANT_TYPE), ("device_code", device_code), ("client_id", CLIENT_ID)];
        let response = match self.form("/v1/auth/device/token", &form).send().await {
            Ok(response) => response,
            Err(error) => return Ok(Traded::NotNow(self.unreachable(&error).of_question())),
        };
        let status = response.status();
        if status.is_success() {
            return self.session(response).await.map(Traded::Tokens).map_err(Failure::of_question);
        }
        let body = self.body(response).await.unwrap_or_default();
        match serde_json::from_slice::<OauthError>(&body) {
            Ok(told) if told.error == "authorization_pending" => Ok(Traded::Pending),
            Ok(told) if told.error == "slow_down" => Ok(Traded::SlowDown),
            Ok(told) => Err(denied(&told)),
            Err(_) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Ok(Traded::NotNow(refused(status, &body).of_question()))
            }
            Err(_) => Err(refused(status, &body)),
        }
    }

    fn form(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(format!("{}{path}", self.base)).timeout(ANSWER_TIMEOUT);
        request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
    }

    /// Passes a success on and turns everything else into a failure.
    async fn granted(&self, response: Response) -> Result<Response, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(response).await.unwrap_or_default();
        Err(serde_json::from_slice(&body).map_or_else(|_| refused(status, &body), |told| denied(&told)))
    }
}

fn denied(told: &OauthError) -> Failure {
    let exit = match told.error.as_str() {
        "access_denied" | "expired_token" | "invalid_grant" => Exit::Auth,
        _ => Exit::Error,
    };
    Failure::new(exit, output::printable(&format!("{} ({})", told.error_description, told.error)))
}
