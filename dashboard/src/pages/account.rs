//! The credentials of a person: the password, and the second factor from its secret to its end. Each change shows the present
//! password or a code, ends all other logins of the person, and the session goes on with the tokens of a new one.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use contract::user::{
    BeginSecondFactor, ChangePassword, ConfirmSecondFactor, EndSecondFactor, Person, RenewRecoveryCodes,
    SecondFactorOffer, SecondFactorOn, Tokens,
};
use serde::Deserialize;

use super::{login::words, page};
use crate::{
    app::App,
    door::DoorError,
    failure::Failure,
    frame::Frame,
    session::ACCOUNT,
    view::{
        qr_code::{self, Picture},
        times::{self, Moment},
    },
    visitor::Visitor,
};

/// How the addresses begin that apps read; no other text is drawn.
const APP_ADDRESS: &str = "otpauth://";

/// A second factor that waits for its first code.
struct Offer {
    secret: String,
    uri: String,
    picture: Option<Picture>,
}

impl Offer {
    fn new(secret: String, uri: String) -> Self {
        let picture = Some(&uri).filter(|uri| uri.starts_with(APP_ADDRESS));
        let picture = picture.and_then(|uri| qr_code::picture(uri, "The secret as a QR code, to be scanned by an app"));
        Self { secret, uri, picture }
    }

    /// The secret in groups of four, as it is typed.
    fn spaced(&self) -> String {
        let letters: Vec<char> = self.secret.chars().collect();
        letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
    }
}

/// The second factor in force.
struct Factor {
    since: Moment,
    recovery_codes_left: u32,
}

/// The recovery codes that are told now, and never again.
struct RecoveryCodes {
    /// The change that they came of.
    heading: &'static str,
    codes: Vec<String>,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    name: String,
    email: String,
    factor: Option<Factor>,
    /// True where the person may not act before it has a second factor.
    missing: bool,
    offer: Option<Offer>,
    told: Option<RecoveryCodes>,
    /// The change that was just done.
    done: Option<&'static str>,
    refused: Option<String>,
}

impl AccountPage {
    async fn of(app: &App, visitor: &Visitor) -> Result<Self, Failure> {
        let me: Person = app.door.get(&visitor.session, "/whoami", &[]).await?;
        let factor = me.second_factor.map(|factor| Factor {
            since: times::moment(factor.since, visitor.now),
            recovery_codes_left: factor.recovery_codes_left,
        });
        Ok(Self {
            frame: visitor.frame("Account"),
            name: me.name,
            email: me.email,
            missing: visitor.session.person().second_factor_missing,
            factor,
            offer: None,
            told: None,
            done: None,
            refused: None,
        })
    }
}

pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    page(&AccountPage::of(&app, &visitor).await?)
}

/// The form of a new password.
#[derive(Deserialize)]
pub(crate) struct NewPassword {
    password: String,
    new_password: String,
    again: String,
}

pub(crate) async fn change_password(
    State(app): State<App>,
    visitor: Visitor,
    Form(asked): Form<NewPassword>,
) -> Result<Response, Failure> {
    if asked.new_password != asked.again {
        return refused(&app, &visitor, "The two new passwords are not the same. Nothing was changed.".to_owned())
            .await;
    }
    let change = ChangePassword { password: asked.password, new_password: asked.new_password };
    match app.door.change::<Tokens>(&visitor.session, "password", &change).await {
        Ok(tokens) => {
            visitor.session.go_on_with(tokens.into()).await;
            done(&app, &visitor, "Your password was changed. All your other logins have ended.").await
        }
        Err(error) => told(&app, &visitor, error).await,
    }
}

/// The form that begins a second factor.
#[derive(Deserialize)]
pub(crate) struct Begin {
    password: String,
}

pub(crate) async fn begin_second_factor(
    State(app): State<App>,
    visitor: Visitor,
    Form(asked): Form<Begin>,
) -> Result<Response, Failure> {
    let begun = BeginSecondFactor { password: asked.password };
    match app.door.change::<SecondFactorOffer>(&visitor.session, "second-factor", &begun).await {
        Ok(SecondFactorOffer { secret, uri }) => {
            let offer = Some(Offer::new(secret, uri));
            page(&AccountPage { offer, ..AccountPage::of(&app, &visitor).await? })
        }
        Err(error) => told(&app, &visitor, error).await,
    }
}

/// The form of the first code. The secret comes along, so that it can be shown again after a wrong one.
#[derive(Deserialize)]
pub(crate) struct Confirm {
    code: String,
    secret: String,
    uri: String,
}

pub(crate) async fn confirm_second_factor(
    State(app): State<App>,
    visitor: Visitor,
    Form(asked): Form<Confirm>,
) -> Result<Response, Failure> {
    let confirmed = ConfirmSecondFactor { code: asked.code.trim().to_owned() };
    match app.door.change::<SecondFactorOn>(&visitor.session, "second-factor/confirm", &confirmed).await {
        Ok(SecondFactorOn { recovery_codes, tokens }) => {
            visitor.session.go_on_with(tokens.into()).await;
            tell_codes(&app, &visitor, "Your second factor is on", recovery_codes).await
        }
        Err(error) if error.has_code("second_factor_wrong") => {
            let (offer, refused) = (Some(Offer::new(asked.secret, asked.uri)), Some(words(&error)));
            let shown = page(&AccountPage { offer, refused, ..AccountPage::of(&app, &visitor).await? })?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
        }
        Err(error) => told(&app, &visitor, error).await,
    }
}

/// The form of what needs password and code: new recovery codes, and the end of the second factor.
#[derive(Deserialize)]
pub(crate) struct Both {
    password: String,
    code: String,
}

pub(crate) async fn renew_recovery_codes(
    State(app): State<App>,
    visitor: Visitor,
    Form(asked): Form<Both>,
) -> Result<Response, Failure> {
    let renewed = RenewRecoveryCodes { password: asked.password, code: asked.code.trim().to_owned() };
    match app.door.change::<SecondFactorOn>(&visitor.session, "second-factor/recovery-codes", &renewed).await {
        Ok(SecondFactorOn { recovery_codes, tokens }) => {
            visitor.session.go_on_with(tokens.into()).await;
            tell_codes(&app, &visitor, "Your new recovery codes; those of before are void", recovery_codes).await
        }
        Err(error) => told(&app, &visitor, error).await,
    }
}

pub(crate) async fn remove_second_factor(
    State(app): State<App>,
    visitor: Visitor,
    Form(asked): Form<Both>,
) -> Result<Response, Failure> {
    let ended = EndSecondFactor { password: asked.password, code: asked.code.trim().to_owned() };
    match app.door.change::<Tokens>(&visitor.session, "second-factor/remove", &ended).await {
        Ok(tokens) => {
            visitor.session.go_on_with(tokens.into()).await;
            done(&app, &visitor, "Your second factor is off. All your other logins have ended.").await
        }
        Err(error) => told(&app, &visitor, error).await,
    }
}

async fn tell_codes(
    app: &App,
    visitor: &Visitor,
    heading: &'static str,
    codes: Vec<String>,
) -> Result<Response, Failure> {
    let told = Some(RecoveryCodes { heading, codes });
    page(&AccountPage { told, ..AccountPage::of(app, visitor).await? })
}

async fn done(app: &App, visitor: &Visitor, words: &'static str) -> Result<Response, Failure> {
    page(&AccountPage { done: Some(words), ..AccountPage::of(app, visitor).await? })
}

/// The page with the door's reason why nothing was changed; a login that has ended leads to the login page.
async fn told(app: &App, visitor: &Visitor, error: DoorError) -> Result<Response, Failure> {
    match error {
        DoorError::Refused(_) => refused(app, visitor, words(&error)).await,
        other => Err(other.into()),
    }
}

async fn refused(app: &App, visitor: &Visitor, words: String) -> Result<Response, Failure> {
    let shown = page(&AccountPage { refused: Some(words), ..AccountPage::of(app, visitor).await? })?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
}

/// The address of a page below is no page of its own: a reload leads back.
pub(crate) async fn back() -> Redirect {
    Redirect::to(ACCOUNT)
}
