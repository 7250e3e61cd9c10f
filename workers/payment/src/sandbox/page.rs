//! The sandbox's page of 3-D Secure, where a client approves a payment, turns it down, or leaves. Plain HTML: it works
//! without scripts and on the narrowest phone.

use axum::{
    Router,
    extract::State,
    response::{Html, IntoResponse as _, Response},
    routing::{get, post},
};
use contract::payment::REFUSED_AUTHENTICATION;
use kit::http::{ApiError, Path};
use serde::Deserialize;
use worker_runtime::DomainError;

use super::{
    Sandbox,
    charges::{self, AUTHORIZED, FAILED, Row},
    webhooks,
};

/// The style of the page.
const STYLE: &str = "
:root { color-scheme: light dark; --ink: #16212b; --quiet: #5d6b78; --paper: #fff; --ground: #eef1f4; --line: #d8dee4;
        --yes: #0b6b50; --no: #a3302b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e9eef3; --quiet: #9aa8b5; --paper: #1b242d; --ground: #10161c; --line: #34414d; --yes: #2f9e7c; --no: #d9655f; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 16px; background: var(--ground);
       color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 400px; background: var(--paper); border: 1px solid var(--line); border-radius: 14px;
       padding: 24px; box-shadow: 0 8px 28px rgb(0 0 0 / 8%); }
.mark { display: flex; justify-content: space-between; color: var(--quiet); font-size: 13px; }
h1 { font-size: 20px; margin: 20px 0 4px; }
.amount { font-size: 32px; font-weight: 650; font-variant-numeric: tabular-nums; margin: 4px 0 16px; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 4px 16px; margin: 0 0 20px; font-size: 14px; }
dt { color: var(--quiet); } dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
form { display: grid; gap: 10px; }
button { font: inherit; font-weight: 600; padding: 13px; border-radius: 10px; border: 1px solid var(--line);
         background: transparent; color: var(--ink); cursor: pointer; }
button:focus-visible { outline: 3px solid color-mix(in srgb, var(--yes) 50%, transparent); outline-offset: 2px; }
.yes { background: var(--yes); border-color: var(--yes); color: #fff; }
.no { color: var(--no); }
p { margin: 0 0 12px; }
.foot { color: var(--quiet); font-size: 13px; margin: 20px 0 0; }
";

/// An act of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Act {
    Approve,
    Decline,
    Close,
}

impl Sandbox {
    /// The page's routes, to be served under `/internal/payment`.
    pub(crate) fn page(&self) -> Router {
        Router::new()
            .route("/sandbox/3ds/{reference}", get(show))
            .route("/sandbox/3ds/{reference}/{act}", post(act))
            .with_state(self.clone())
    }
}

async fn show(State(sandbox): State<Sandbox>, Path(reference): Path<String>) -> Result<Response, ApiError> {
    let mut connection = sandbox.provider.pool.acquire().await.map_err(DomainError::doing("opening the page"))?;
    let charge = charges::ours(&mut connection, &reference).await.map_err(DomainError::doing("reading a charge"))?;
    let charge = charge.ok_or_else(|| unknown(&reference))?;
    if charge.waits_until(sandbox.provider.clock.now()).is_some() {
        return question(&charge);
    }
    Ok(over(&charge))
}

async fn act(
    State(sandbox): State<Sandbox>,
    Path((reference, act)): Path<(String, Act)>,
) -> Result<Response, ApiError> {
    let failed = DomainError::doing;
    let now = sandbox.provider.clock.now();
    let mut tx = sandbox.provider.pool.begin().await.map_err(failed("taking an act of a client"))?;
    let charge = charges::ours(&mut tx, &reference).await.map_err(failed("reading a charge"))?;
    let charge = charge.ok_or_else(|| unknown(&reference))?;
    if charge.waits_until(now).is_none() {
        return Ok(over(&charge));
    }
    let approved = match act {
        Act::Approve => true,
        Act::Decline => false,
        Act::Close => {
            return Ok(told("Not decided yet", "You left without a decision. You may come back to this page."));
        }
    };
    let (status, code) = if approved { (AUTHORIZED, None) } else { (FAILED, Some(REFUSED_AUTHENTICATION)) };
    charges::move_to(&mut tx, &charge, status, code, now).await.map_err(failed("keeping an act of a client"))?;
    let told_of = webhooks::tell(&mut tx, &charge, approved, sandbox.late, now).await;
    told_of.map_err(failed("telling of an act of a client"))?;
    tx.commit().await.map_err(failed("keeping an act of a client"))?;
    sandbox.provider.news.notify_one();
    Ok(if approved { approved_page() } else { declined_page() })
}

fn unknown(reference: &str) -> ApiError {
    ApiError::not_found("payment_unknown", format!("the sandbox has no payment {reference}"))
}

/// The page with the question.
fn question(charge: &Row) -> Result<Response, ApiError> {
    let amount = charge.money().map_err(DomainError::doing("reading a charge"))?;
    let (reference, payment) = (&charge.reference, charge.payment_id());
    let button = |act: &str, class: &str, text: &str| {
        format!("<button class=\"{class}\" formaction=\"/sandbox/3ds/{reference}/{act}\">{text}</button>")
    };
    let body = format!(
        "<h1>Is this payment yours?</h1><div class=\"amount\">{amount}</div>\
         <dl><dt>Merchant</dt><dd>Sojourn</dd><dt>Payment</dt><dd>{payment}</dd></dl>\
         <form method=\"post\">{}{}{}</form>",
        button("approve", "yes", "Approve"),
        button("decline", "no", "Decline"),
        button("close", "", "Close without a decision"),
    );
    Ok(page("Confirm your payment", &body))
}

/// The page of a payment that waits for nothing.
fn over(charge: &Row) -> Response {
    match charge.status.as_str() {
        FAILED => declined_page(),
        charges::CAPTURED | AUTHORIZED => approved_page(),
        _ => told("This payment is over", "It was called off, or waited for you too long. Nothing is reserved."),
    }
}

fn approved_page() -> Response {
    told("Approved", "Thank you. You may close this page; your booking goes on by itself.")
}

fn declined_page() -> Response {
    told("Declined", "Nothing was reserved. You may close this page and pay in another way.")
}

fn told(title: &str, text: &str) -> Response {
    page(title, &format!("<h1>{title}</h1><p>{text}</p>"))
}

fn page(title: &str, body: &str) -> Response {
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main>\
         <div class=\"mark\"><strong>Sandbox Bank</strong><span>3-D Secure</span></div>{body}\
         <p class=\"foot\">A page of the sandbox. No money moves.</p></main></body></html>"
    ))
    .into_response()
}
