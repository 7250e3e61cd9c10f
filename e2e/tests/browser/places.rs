//! The pages beside the sagas: dead letters, domains, people, the list's views and columns, the audit log, the theme.

use crate::{
    agency::OPERATOR,
    browser::{Browser, quoted},
};

/// A dead letter is sent again once, and dies again as a new one.
pub(crate) async fn a_dead_letter_is_sent_again(operator: &Browser) {
    operator.open("/ops/dead-letters").await;
    operator.until_says("tbody", "commands.order").await;
    operator.until_says("tbody", "sojourn.riddle").await;
    operator.click("tbody td:last-child summary").await;
    a_blank_reason_is_told(operator, "tbody form", "button").await;
    operator.fill("tbody [name=reason]", "the worker knows it now").await;
    operator.click("tbody form button").await;
    operator.until_at("/ops/dead-letters").await;
    let sent = "document.querySelector('tbody td:last-child > time') !== null";
    operator.until("the time when it was sent again", sent).await;
    operator
        .open_until("/ops/dead-letters", "a new letter", "document.querySelectorAll('tbody tr').length === 2")
        .await;
}

/// A domain is paused, the page says what that holds back, and its pause is ended.
pub(crate) async fn a_domain_is_paused(operator: &Browser) {
    operator.open("/ops/domains").await;
    operator.fill("[name=scope]", "feed@").await;
    operator.fill("form[action='/ops/domains'] [name=reason]", "their system is down").await;
    operator.click("form[action='/ops/domains'] button").await;
    operator.until_says("#wrong", "names nothing that can be paused").await;
    let kept = "document.querySelector('[name=scope][aria-invalid=true]')?.value
        + document.querySelector(\"form[action='/ops/domains'] [name=reason]\").value";
    operator.until("the form as it was filled in", &format!("{kept} === 'feed@their system is down'")).await;
    operator.fill("[name=scope]", "feed").await;
    operator.click("form[action='/ops/domains'] button").await;
    operator.until_says(".top", "their system is down").await;
    operator.until_says("tbody", "paused").await;
    a_blank_reason_is_told(operator, "form[action$='/end']", "button").await;
    operator.fill("form[action$='/end'] [name=reason]", "it is up again").await;
    operator.click("form[action$='/end'] button").await;
    operator.until_says("main", "Nothing is paused.").await;
}

/// An admin makes a person, gives a role, ends the logins and lets in again.
pub(crate) async fn a_person_is_made_and_managed(admin: &Browser) {
    admin.open("/ops/people").await;
    let new = "form[action='/ops/people']";
    for (field, text) in [
        ("name", "Grace"),
        ("email", "grace@agency.example"),
        ("password", "a long enough passphrase"),
        ("reason", "she begins today"),
    ] {
        admin.fill(&format!("{new} [name={field}]"), text).await;
    }
    admin.choose(&format!("{new} [name=role]"), "viewer: looks").await;
    admin.fill(&format!("{new} [name=email]"), OPERATOR).await;
    admin.click(&format!("{new} button")).await;
    admin.until_says("#wrong", "Email is reserved").await;
    let kept = format!("document.querySelector(\"{new} [name=name]\").value");
    admin.until("the form as it was filled in", &format!("{kept} === 'Grace'")).await;
    admin.fill(&format!("{new} [name=email]"), "grace@agency.example").await;
    admin.fill(&format!("{new} [name=password]"), "a long enough passphrase").await;
    admin.click(&format!("{new} button")).await;
    let row =
        "[...document.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('grace@agency.example'))";
    admin.until("the new person", &format!("{row}?.innerText.includes('viewer')")).await;
    let forms = format!("{row}.querySelector('form').getAttribute('action').replace(/role$/, '')");
    let forms = admin.ask(&forms).await.unwrap();
    let form = |act: &str| format!("form[action='{}{act}']", forms.as_str().unwrap());

    for (act, shown) in [("role", "operator"), ("disable", "ended"), ("enable", "let in")] {
        admin.ask(&format!("{row}.querySelector('details').open = true")).await.unwrap();
        if act == "role" {
            a_blank_reason_is_told(admin, &form(act), "button").await;
            admin.choose(&format!("{} [name=role]", form(act)), "operator: acts on sagas").await;
        }
        admin.fill(&format!("{} [name=reason]", form(act)), "as agreed").await;
        admin.click(&format!("{} button", form(act))).await;
        admin
            .until(
                shown,
                &format!("{row}?.querySelector('details:not([open])') && {row}.innerText.includes('{shown}')"),
            )
            .await;
    }
}

/// The list with other columns, kept as a view and forgotten again; the theme; the audit log of one act.
pub(crate) async fn the_desk_is_arranged(operator: &Browser) {
    operator.open("/ops/sagas?q=name:order").await;
    operator.click(".tools details:first-of-type summary").await;
    operator.click("[name=columns][value=client]").await;
    operator.click(".tools details:first-of-type button").await;
    operator.until_says("thead", "Client").await;
    operator.click(".tools details:last-of-type summary").await;
    operator.fill(".tools [name=name]", "   ").await;
    operator.click(".tools details:last-of-type button").await;
    operator.until_says(".tools details #wrong", "A view has a name").await;
    operator.fill(".tools [name=name]", "Orders").await;
    operator.click(".tools details:last-of-type button").await;
    operator.until_says("[aria-label='Saved views'] [aria-current=page]", "Orders").await;
    operator.click("[aria-label='Saved views'] button").await;
    operator.until("no view", "document.querySelector(\"[aria-label='Saved views']\") === null").await;

    // The list of the sagas that need a person is a place of its own.
    operator.open("/ops/attention").await;
    operator.until_says("#live-state", "live").await;
    let here = "[...document.querySelectorAll('.rail [aria-current]')].map((one) => one.getAttribute('href')).join()";
    operator.until("its place in the rail", &format!("{here} === '/ops/attention'")).await;

    operator.open("/ops").await;
    operator.until_says("#live-state", "live").await;
    for theme in ["light", "dark", "system"] {
        operator.click(&format!("[name=theme][value={theme}]")).await;
        operator.until(theme, &format!("document.documentElement.dataset.theme === '{theme}'")).await;
    }
    operator.click("[aria-label='Length of the charts'] a[href='/ops?window=24h']").await;
    operator.until_at("/ops?window=24h").await;
    operator.until_says("#live-state", "live").await;

    operator.open("/ops/audit").await;
    operator.fill("main [name=act]", "retry").await;
    operator.click("main button:not([name])").await;
    operator
        .until(
            "rows of that act",
            "[...document.querySelectorAll('tbody tr')].every((row) => row.cells[2].innerText === 'retry')",
        )
        .await;
    operator.click("main button[name=verify]").await;
    operator.until_says("[role=status].notice", "rows are as they were written").await;
    operator.open("/ops/errors").await;
    operator.click("tbody a.above").await;
    operator.until_says("h2", "Retry").await;
}

/// The payment of a saga leads to the sagas that share it, and their attributes stand in a column.
pub(crate) async fn a_saga_is_found_by_an_attribute(operator: &Browser, saga: &str) {
    operator.open(&format!("/ops/sagas/{saga}")).await;
    operator.click(".facts .attribute[href*='payment_id']").await;
    operator.until_says(".terms", "attr.payment_id:").await;
    let alone = format!("[...document.querySelectorAll('tbody tr')].map((row) => row.id).join() === '{saga}'");
    operator.until("the one saga of the payment", &alone).await;
    operator.click(".tools details:first-of-type summary").await;
    operator.click("[name=columns][value=attributes]").await;
    operator.click(".tools details:first-of-type button").await;
    operator.until_says("tbody .attributes", "departs on").await;
}

/// A reason of spaces alone is refused, and told at its field; the form stands where it stood. The address of the answer, loaded anew,
/// leads back to the page.
pub(crate) async fn a_blank_reason_is_told(person: &Browser, form: &str, button: &str) {
    let page = person.ask("location.pathname").await.unwrap();
    person.fill(&format!("{form} [name=reason]"), "    ").await;
    person.click(&format!("{form} {button}")).await;
    person.until_says("#wrong", "The reason has").await;
    let field = quoted(&format!("{form} [name=reason][aria-invalid=true]"));
    person.until("the field", &format!("document.querySelector({field})?.checkVisibility() === true")).await;
    let back = format!("fetch(location.href).then((answer) => new URL(answer.url).pathname === {page})");
    assert_eq!(person.ask(&back).await.unwrap(), true, "{page}");
}

/// The login of a program stands among the person's own, and is ended there.
pub(crate) async fn a_login_is_ended(operator: &Browser) {
    operator.open("/ops/logins").await;
    operator.until_says("tbody tr:has(code)", "approved with a code").await;
    operator.click("tbody tr:has(code) form button").await;
    let ended =
        "document.querySelector('tbody tr:not(:has(code))') !== null && document.querySelector('tbody code') === null";
    operator.until("no program any more", ended).await;
}

/// The form of an act on a person, opened on the page of the people.
pub(crate) async fn form_of(admin: &Browser, email: &str, act: &str) -> String {
    let row = format!("[...document.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('{email}'))");
    let form = format!("{row}?.querySelector(\"form[action$='/{act}']\")");
    admin.until(&format!("the form of {act}"), &format!("{form} != null")).await;
    admin.ask(&format!("{row}.querySelector('details').open = true")).await.unwrap();
    let action = admin.ask(&format!("{form}.getAttribute('action')")).await.unwrap();
    format!("form[action='{}']", action.as_str().unwrap())
}

/// The way out.
pub(crate) async fn the_day_ends(operator: &Browser) {
    operator.open("/ops").await;
    operator.click("details.person summary").await;
    operator.click("form[action='/ops/logout'] button").await;
    operator.until_says("main", "For operators.").await;
    operator.open("/ops/sagas").await;
    operator.until_says("main", "For operators.").await;
}
