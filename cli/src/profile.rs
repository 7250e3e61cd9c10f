//! The settings of one call: flags over environment over the profile over defaults. Profiles are tables of
//! `sagactl.toml`, beside the stored logins:
//!
//! ```toml
//! [production]
//! url = "https://ops.example.com"
//! output = "json"
//! ```

use std::{collections::BTreeMap, fs, io::ErrorKind};

use serde::Deserialize;

use crate::{
    args::{Global, Output},
    failure::Failure,
    session::folder,
};

/// Where the gateway listens unless told otherwise.
const URL_DEFAULT: &str = "http://127.0.0.1:8080";

const FILE_NAME: &str = "sagactl.toml";

/// The settings in force.
pub(crate) struct Settings {
    pub(crate) url: String,
    pub(crate) token: Option<String>,
    pub(crate) output: Output,
    pub(crate) timeout: Option<u32>,
}

/// One profile. A token is no part of it: logins are kept by address.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    url: Option<String>,
    output: Option<Output>,
}

/// Reads the profile, when one is named, and fills up what nothing else says.
pub(crate) fn settle(Global { url, token, output, profile, timeout }: Global) -> Result<Settings, Failure> {
    // A variable that is set to nothing says nothing.
    let said = |text: &String| !text.is_empty();
    let profile = profile.filter(said).map(|name| read(&name)).transpose()?.unwrap_or_default();
    Ok(Settings {
        url: url.filter(said).or(profile.url).unwrap_or_else(|| URL_DEFAULT.to_owned()),
        token: token.filter(said),
        output: output.or(profile.output).unwrap_or(Output::Table),
        timeout,
    })
}

fn read(name: &str) -> Result<Profile, Failure> {
    let folder =
        folder().ok_or_else(|| Failure::usage("no place for profiles: neither XDG_CONFIG_HOME nor HOME is set"))?;
    let path = folder.join(FILE_NAME);
    let wrong = |why: String| Failure::usage(format!("{}: {why}", path.display()));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(wrong(format!("there is no profile `{name}`: the file is missing")));
        }
        Err(error) => return Err(wrong(error.to_string())),
    };
    // The text of an error may repeat a line of the file; no secret belongs there.
    let mut profiles: BTreeMap<String, Profile> =
        toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
    let known: Vec<String> = profiles.keys().cloned().collect();
    profiles.remove(name).ok_or_else(|| wrong(format!("there is no profile `{name}`; there are: {}", known.join(", "))))
}
