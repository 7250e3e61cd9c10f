//! A login of `sagactl` without a password, approved in the browser.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::{
    agency::{Agency, OPERATOR},
    browser::Browser,
};

/// How long `sagactl` may take to say something, or to end: it asks every five seconds.
const SAGACTL_WITHIN: Duration = Duration::from_secs(90);

/// A person types the code, sees who asks, approves, and `sagactl` is logged in.
pub(crate) async fn a_login_is_approved(agency: &Agency, operator: &Browser) {
    let config = tempfile::tempdir().unwrap();
    let mut command = Command::new(private_servers::testing::binary("sagactl"));
    command.args(["login", "--device", "-o", "jsonl"]).env_remove("SAGACTL_TOKEN").kill_on_drop(true);
    command.env("SAGACTL_URL", &agency.door).env("XDG_CONFIG_HOME", config.path());
    let mut sagactl = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(sagactl.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(SAGACTL_WITHIN, said.next_line()).await.expect("it shows no code");
    let asked: Value = serde_json::from_str(&line.unwrap().expect("it has ended")).unwrap();
    let code = asked["user_code"].as_str().unwrap();

    operator.open("/ops/device").await;
    operator.fill("main [name=user_code]", &code.to_lowercase()).await;
    operator.click("main button.primary").await;
    operator.until_says("main .code", code).await;
    operator.until_says("main", "sagactl/").await;
    operator.until_says("main", OPERATOR).await;
    operator.click("main button[value=approve]").await;
    operator.until_says("main [role=status]", "You can close this window").await;
    let ended = tokio::time::timeout(SAGACTL_WITHIN, sagactl.wait()).await.expect("it does not end").unwrap();
    assert!(ended.success(), "{ended}");
}
