//! A person's logins, which the door lists and ends for whoever they are of.

use contract::{LoginId, Page, user::PersonLogin};

use super::{ANSWER_TIMEOUT, Door, DoorError, read};
use crate::session::Session;

/// Where the door has them.
const LOGINS: &str = "/v1/auth/logins";

impl Door {
    /// The logins of the session's person.
    pub(crate) async fn logins(&self, session: &Session) -> Result<Vec<PersonLogin>, DoorError> {
        let url = format!("{}{LOGINS}", self.base);
        let answer = self.authorized(session, |http| http.get(&url).timeout(ANSWER_TIMEOUT)).await?;
        read::<Page<PersonLogin>>(answer).await.map(|page| page.items)
    }

    /// Ends one of them.
    pub(crate) async fn end_login(&self, session: &Session, login: LoginId) -> Result<(), DoorError> {
        let url = format!("{}{LOGINS}/{login}", self.base);
        self.authorized(session, |http| http.delete(&url).timeout(ANSWER_TIMEOUT)).await.map(drop)
    }
}
