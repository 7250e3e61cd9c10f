//! The credentials of the person who is logged in: the password and the second factor. Each change voids the tokens of before, and
//! is answered with those of a new login, which are kept in their place where there is a stored one.

use contract::user::{
    BeginSecondFactor, ChangePassword, ConfirmSecondFactor, EndSecondFactor, RenewRecoveryCodes, ResetPassword,
    SecondFactorOffer, SecondFactorOn, Tokens,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{ANSWER_TIMEOUT, Client, Credentials};
use crate::{failure::Failure, output};

impl Client {
    /// Changes the password of the person whose token is sent.
    pub(crate) async fn change_password(&self, change: &ChangePassword) -> Result<(), Failure> {
        self.go_on_with(self.change_own::<Tokens>("password", change).await?).await
    }

    /// Sets a password for a code of an admin.
    pub(crate) async fn reset_password(&self, reset: &ResetPassword) -> Result<(), Failure> {
        self.public("/v1/auth/password/reset", reset).await.map_err(Failure::of_change).map(drop)
    }

    /// Makes the secret of a second factor, which is not on before a code of it was shown.
    pub(crate) async fn begin_second_factor(&self, begun: &BeginSecondFactor) -> Result<SecondFactorOffer, Failure> {
        self.change_own("second-factor", begun).await
    }

    /// Switches a second factor on by its first code, and answers the recovery codes.
    pub(crate) async fn confirm_second_factor(&self, confirmed: &ConfirmSecondFactor) -> Result<Vec<String>, Failure> {
        self.recovery_codes("second-factor/confirm", confirmed).await
    }

    /// Answers new recovery codes, in the place of those of before.
    pub(crate) async fn renew_recovery_codes(&self, renewed: &RenewRecoveryCodes) -> Result<Vec<String>, Failure> {
        self.recovery_codes("second-factor/recovery-codes", renewed).await
    }

    /// Switches the second factor off.
    pub(crate) async fn end_second_factor(&self, ended: &EndSecondFactor) -> Result<(), Failure> {
        self.go_on_with(self.change_own::<Tokens>("second-factor/remove", ended).await?).await
    }

    /// The codes come first: they are told once, whatever becomes of the tokens here.
    async fn recovery_codes(&self, what: &str, body: &impl Serialize) -> Result<Vec<String>, Failure> {
        let SecondFactorOn { recovery_codes, tokens } = self.change_own(what, body).await?;
        if let Err(failure) = self.go_on_with(tokens).await {
            output::note(&format!("the new login could not be kept: {failure}"));
        }
        Ok(recovery_codes)
    }

    async fn change_own<T: DeserializeOwned>(&self, what: &str, body: &impl Serialize) -> Result<T, Failure> {
        let url = format!("{}/v1/auth/{what}", self.base);
        self.exchange(|http| http.post(&url).timeout(ANSWER_TIMEOUT).json(body)).await.map_err(Failure::of_change)
    }

    async fn go_on_with(&self, tokens: Tokens) -> Result<(), Failure> {
        match &self.credentials {
            Credentials::Stored(store, session) => {
                *session.lock().await = tokens.clone().into();
                store.lock()?.save(&self.base, tokens.into())
            }
            Credentials::Given(_) | Credentials::Missing => {
                output::note("the token that was given is void now: log in anew");
                Ok(())
            }
        }
    }
}
