//! `sagactl second-factor`: the second factor of the person who is logged in, from its secret to its end. The secret and the recovery
//! codes go to stdout, once, and nowhere else.

use std::io::{self, IsTerminal as _};

use contract::user::{BeginSecondFactor, ConfirmSecondFactor, EndSecondFactor, RenewRecoveryCodes, SecondFactorOffer};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    args::{Output, Proof, SecondFactor},
    client::Client,
    failure::Failure,
    output, qr_code, secrets,
};

/// The codes that a person may mistype before it has to begin anew. From stdin there is one.
const CODES_MAX: usize = 3;

/// How the addresses begin that apps read; no other text is drawn.
const APP_ADDRESS: &str = "otpauth://";

/// The door's word for a code that is not right.
const WRONG: &str = "second_factor_wrong";

/// Runs the command.
pub(crate) async fn run(client: &Client, factor: SecondFactor, output: Output) -> Result<(), Failure> {
    match factor {
        SecondFactor::Show => show(client, output).await,
        SecondFactor::On(proof) => switch_on(client, proof, output).await,
        SecondFactor::Off(proof) => {
            let (password, code) = both(proof)?;
            client.end_second_factor(&EndSecondFactor { password, code }).await?;
            output::note("the second factor is off, and all other logins have ended");
            Ok(())
        }
        SecondFactor::RenewCodes(proof) => {
            let (password, code) = both(proof)?;
            let codes = client.renew_recovery_codes(&RenewRecoveryCodes { password, code }).await?;
            print_codes(codes, output)?;
            output::note("the recovery codes of before are void, and all other logins have ended");
            Ok(())
        }
    }
}

async fn show(client: &Client, output: Output) -> Result<(), Failure> {
    let person = client.get::<Value>("/whoami", &[]).await?;
    let factor = &person["second_factor"];
    match output {
        Output::Json | Output::Yaml => output::print_document(factor, output),
        Output::Jsonl => output::print_json_line(factor),
        Output::Table | Output::Ids if factor.is_null() => {
            output::note("there is no second factor: set one up with `sagactl second-factor on`");
            Ok(())
        }
        Output::Table | Output::Ids => {
            let left = factor["recovery_codes_left"].to_string();
            let row = vec![output::field(factor, "since"), output::printable(&left)];
            output::print_line(&output::table(&["ON SINCE", "RECOVERY CODES LEFT"], [row]))
        }
    }
}

async fn switch_on(client: &Client, proof: Proof, output: Output) -> Result<(), Failure> {
    let password = secrets::secret(proof.password_stdin, "Password: ")?;
    let offer = client.begin_second_factor(&BeginSecondFactor { password }).await?;
    print_offer(&offer, output)?;
    let codes = first_code(client, proof).await?;
    print_codes(codes, output)?;
    output::note("the second factor is on, and all other logins have ended");
    Ok(())
}

/// Shows the door the first code, and the next one after a wrong one. Answers the recovery codes.
async fn first_code(client: &Client, proof: Proof) -> Result<Vec<String>, Failure> {
    let mut left = if proof.password_stdin { 1 } else { CODES_MAX };
    loop {
        let code = secrets::secret(proof.password_stdin, "Code that the app shows: ")?.trim().to_owned();
        if code.is_empty() {
            return Err(Failure::usage("no code was given: the second factor is not on"));
        }
        left -= 1;
        match client.confirm_second_factor(&ConfirmSecondFactor { code }).await {
            Err(failure) if failure.code == WRONG && left > 0 => output::note(&failure.message),
            ended => return ended,
        }
    }
}

/// The present password and a code, of the app or a recovery code.
fn both(proof: Proof) -> Result<(String, String), Failure> {
    let password = secrets::secret(proof.password_stdin, "Password: ")?;
    let code = secrets::secret(proof.password_stdin, "Code of the second factor: ")?;
    Ok((password, code.trim().to_owned()))
}

/// Prints the secret for an app: as a picture where a person looks at it, in groups to be typed, and as an address.
fn print_offer(offer: &SecondFactorOffer, output: Output) -> Result<(), Failure> {
    let SecondFactorOffer { secret, uri } = offer;
    print_secret(&json!({ "secret": secret, "uri": uri }), output, || {
        let picture = Some(uri).filter(|uri| uri.starts_with(APP_ADDRESS) && io::stdout().is_terminal());
        let picture = picture.and_then(|uri| qr_code::drawn(uri)).map(|picture| format!("{picture}\n"));
        let (secret, uri) = (output::printable(&spaced(secret)), output::printable(uri));
        format!("{}Secret   {secret}\nAddress  {uri}", picture.unwrap_or_default())
    })?;
    if !matches!(output, Output::Json | Output::Jsonl | Output::Yaml) {
        output::note("scan the picture with an authenticator app, or type the secret into it");
    }
    Ok(())
}

fn print_codes(codes: Vec<String>, output: Output) -> Result<(), Failure> {
    let lines = || codes.iter().map(|code| output::printable(code)).collect::<Vec<_>>().join("\n");
    print_secret(&json!({ "recovery_codes": codes }), output, lines)?;
    output::note("keep these recovery codes: each is good once in place of a code, and they are not shown again");
    Ok(())
}

/// Prints what is told once. For a person it is one text; a program reads one document after the other.
fn print_secret(document: &impl Serialize, output: Output, for_people: impl FnOnce() -> String) -> Result<(), Failure> {
    match output {
        Output::Json | Output::Yaml => output::print_document(document, output),
        Output::Jsonl => output::print_json_line(document),
        Output::Table | Output::Ids => output::print_line(&for_people()),
    }
}

/// A secret in groups of four, as it is typed.
fn spaced(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_in_groups_that_are_typed() {
        assert_eq!(spaced("GEZDGNBVGY3TQOJQ"), "GEZD GNBV GY3T QOJQ");
        assert_eq!(spaced("GEZDGN"), "GEZD GN");
    }
}
