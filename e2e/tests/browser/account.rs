//! The account of a person: a password that an admin gives a code for, a second factor, and its loss.

use kit::clock::Clock as _;

use crate::{agency::PASSWORD, browser::Browser, places::form_of};

/// The person whom [`crate::places::a_person_is_made_and_managed`] has made.
const EMAIL: &str = "grace@agency.example";
const NEW_PASSWORD: &str = "a second long passphrase";

/// A password is set with a code of an admin. A person sets up a second factor, renews its recovery codes, switches it off with one
/// of the new ones, changes the password, and sets it up again; an admin takes away the one that is lost.
pub(crate) async fn a_person_looks_after_a_login(admin: &Browser, person: &Browser) {
    let code = code_for_a_password(admin).await;
    person.open("/ops/reset").await;
    for (field, text) in [("email", EMAIL), ("code", &code), ("new_password", NEW_PASSWORD), ("again", PASSWORD)] {
        person.fill(&format!("main [name={field}]"), text).await;
    }
    person.click("main button.primary").await;
    person.until_says("[role=alert]", "not the same").await;
    for field in ["new_password", "again"] {
        person.fill(&format!("main [name={field}]"), NEW_PASSWORD).await;
    }
    person.click("main button.primary").await;
    person.until_says("main", "For operators.").await;
    person.log_in(EMAIL, NEW_PASSWORD).await;
    person.until_at("/ops").await;

    let recovery = second_factor(person, NEW_PASSWORD).await;
    show_both(person, "recovery-codes", &recovery).await;
    person.until_says("main h2", "Your new recovery codes").await;
    let renewed = first_recovery_code(person).await;
    show_both(person, "remove", &recovery).await;
    person.until_says("main [role=alert]", "code").await;
    show_both(person, "remove", &renewed).await;
    person.until_says("main [role=status]", "Your second factor is off").await;

    for (field, text) in [("password", NEW_PASSWORD), ("new_password", PASSWORD), ("again", PASSWORD)] {
        person.fill(&format!("form[action$='/account/password'] [name={field}]"), text).await;
    }
    person.click("form[action$='/account/password'] button").await;
    person.until_says("main [role=status]", "Your password was changed").await;
    second_factor(person, PASSWORD).await;

    admin.open("/ops/people").await;
    let lost = form_of(admin, EMAIL, "clear-second-factor").await;
    admin.fill(&format!("{lost} [name=reason]"), "the phone is lost").await;
    admin.click(&format!("{lost} button")).await;
    admin.until("no second factor", &format!("document.querySelector(\"{lost}\") === null")).await;
    // The answer of a form, loaded anew, leads to the page of the account, or to the login.
    for address in
        ["password", "second-factor", "second-factor/confirm", "second-factor/recovery-codes", "second-factor/remove"]
    {
        person.open(&format!("/ops/account/{address}")).await;
    }
}

/// The code with which a person sets a password, as an admin is shown it.
async fn code_for_a_password(admin: &Browser) -> String {
    admin.open("/ops/people").await;
    let reset = form_of(admin, EMAIL, "reset").await;
    admin.fill(&format!("{reset} [name=reason]"), "the password is forgotten").await;
    admin.click(&format!("{reset} button")).await;
    admin.until_says("main", "Hand it over to the person").await;
    admin.attribute("main .secret code", "data-copy").await
}

/// Sets up a second factor, after a wrong code; one of its recovery codes.
async fn second_factor(person: &Browser, password: &str) -> String {
    person.open("/ops/account").await;
    person.fill("form[action$='/second-factor'] [name=password]", password).await;
    person.click("form[action$='/second-factor'] button").await;
    person.until_says("main", "Set up the second factor").await;
    let secret = person.attribute("main [name=secret]", "value").await;
    person.fill("main [name=code]", "12").await;
    person.click("form[action$='/confirm'] button").await;
    person.until_says("main [role=alert]", "code").await;
    person.fill("main [name=code]", &code_of(&secret)).await;
    person.click("form[action$='/confirm'] button").await;
    person.until_says("main", "Keep these recovery codes").await;
    first_recovery_code(person).await
}

/// Shows password and code on the page of the account, to the form with this end of its address.
async fn show_both(person: &Browser, form: &str, code: &str) {
    person.open("/ops/account").await;
    for (field, text) in [("password", NEW_PASSWORD), ("code", code)] {
        person.fill(&format!("form[action$='/{form}'] [name={field}]"), text).await;
    }
    person.click(&format!("form[action$='/{form}'] button")).await;
}

/// The first of the recovery codes that are shown.
async fn first_recovery_code(person: &Browser) -> String {
    let recovery = person.ask("document.querySelector('.codes code').innerText").await.unwrap();
    recovery.as_str().unwrap().to_owned()
}

/// The code that an app shows now.
fn code_of(secret: &str) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let codes = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    codes.generate(kit::clock::SystemClock.now().timestamp().try_into().unwrap()).to_string()
}
