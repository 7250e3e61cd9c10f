//! `sagactl login` without a password: it shows an address and a code, and waits until a person has approved there.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    args::Output,
    client::{Authorization, Client, Traded},
    failure::{Exit, Failure},
    output,
    session::Session,
};

/// The time that `slow_down` adds to the time between two questions (RFC 8628, 3.5).
const SLOWER_BY: Duration = Duration::from_secs(5);

/// The longest time between two questions: a person who has approved is looking at the terminal.
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Waits for a person's approval, as long as the server does.
pub(crate) async fn device_login(client: &Client, output: Output) -> Result<Session, Failure> {
    let asked = client.ask_device_login().await?;
    tell(&asked, output)?;
    let ends_at = Instant::now() + Duration::from_secs(asked.expires_in);
    let mut interval = Duration::from_secs(asked.interval).clamp(Duration::from_secs(1), INTERVAL_MAX);
    let mut last = None;
    loop {
        tokio::time::sleep(interval).await;
        match client.trade_device_code(&asked.device_code).await? {
            Traded::Tokens(session) => return Ok(session),
            Traded::Pending => last = None,
            Traded::SlowDown => interval = (interval + SLOWER_BY).min(INTERVAL_MAX),
            Traded::NotNow(failure) => {
                if last.is_none() {
                    output::note(&format!("{failure}; trying again"));
                }
                last = Some(failure);
                interval = (interval * 2).min(INTERVAL_MAX);
            }
        }
        if Instant::now() >= ends_at {
            let late = || Failure::new(Exit::Auth, "nobody approved in time: run `sagactl login` again");
            return Err(last.unwrap_or_else(late));
        }
    }
}

fn tell(asked: &Authorization, output: Output) -> Result<(), Failure> {
    match output {
        Output::Json | Output::Yaml => output::print_document(asked, output)?,
        Output::Jsonl => output::print_json_line(asked)?,
        Output::Table | Output::Ids => {}
    }
    let (page, code) = (output::printable(&asked.verification_uri), output::printable(&asked.user_code));
    output::note(&format!("Open {page}\nand enter the code {code}"));
    if let Some(complete) = &asked.verification_uri_complete {
        output::note(&format!("or open {}\nand compare the code", output::printable(complete)));
    }
    let minutes = asked.expires_in.div_ceil(60);
    output::note(&format!("Waiting for {minutes} min until you approve there; Ctrl-C ends it"));
    Ok(())
}
