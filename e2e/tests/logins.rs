//! Logins of `sagactl` without a password, from the terminal over the operators' pages to the end of the login, on the whole agency
//! in one process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Stdio,
    time::Duration,
};

use e2e::{Client, Ended, Pages, Program, free_port, run};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdout, Command},
};

/// How long a start may take on a busy machine: a new cluster is made and seeded.
const OPEN_WITHIN: Duration = Duration::from_secs(120);

/// How long `sagactl` may take to say something, or to end.
const SAGACTL_WITHIN: Duration = Duration::from_secs(60);

const OPERATOR: &str = "operator@sojourn.example";
const PASSWORD: &str = "sojourn-development";

/// `sagactl login` at the door, while it waits for its person.
struct Waiting {
    sagactl: Child,
    said: tokio::io::Lines<BufReader<ChildStdout>>,
    asked: Value,
}

impl Waiting {
    async fn start(door: &str, config: &Path) -> Self {
        let mut command = Command::new(private_servers::testing::binary("sagactl"));
        command.args(["login", "--device", "-o", "jsonl"]).env_remove("SAGACTL_TOKEN").kill_on_drop(true);
        command.env("SAGACTL_URL", door).env("XDG_CONFIG_HOME", config);
        let mut sagactl = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(sagactl.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(SAGACTL_WITHIN, said.next_line()).await.expect("it shows no code");
        let asked = serde_json::from_str(&line.unwrap().expect("it has ended")).unwrap();
        Self { sagactl, said, asked }
    }

    /// The path and query of its page.
    fn page(&self, door: &str) -> String {
        self.asked["verification_uri_complete"].as_str().unwrap().strip_prefix(door).unwrap().to_owned()
    }

    fn code(&self) -> &str {
        self.asked["user_code"].as_str().unwrap()
    }

    /// Its exit code and what it says to people, once it has ended.
    async fn ended(mut self) -> (Option<i32>, String) {
        assert_eq!(self.said.next_line().await.unwrap(), None, "only codes are data");
        let ended = tokio::time::timeout(SAGACTL_WITHIN, self.sagactl.wait_with_output()).await;
        let ended = ended.expect("it does not end").unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_approved_on_a_page_used_and_ended() {
    // PostgreSQL's user must be able to enter it, also when root runs the tests.
    let passable = Permissions::from_mode(0o755);
    let folder = tempfile::Builder::new().permissions(passable).tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port().unwrap());
    let arguments = vec![
        "--logins-per-minute=0".to_owned(),
        format!("--data-dir={}", folder.path().join("data").display()),
        format!("--listen={address}"),
    ];
    let sojourn = Program::start("sojourn", "sojourn", arguments, Vec::new(), folder.path()).unwrap();
    let door = format!("http://{address}");
    Client::stranger(&door).until_ready(OPEN_WITHIN, || sojourn.log_tail()).await;
    let config = folder.path().join("config");
    let sagactl = async |arguments: &[&str]| -> Ended {
        let environment = [("SAGACTL_URL", &*door), ("XDG_CONFIG_HOME", config.to_str().unwrap())];
        run("sagactl", arguments, &environment, "", SAGACTL_WITHIN).await.unwrap()
    };

    let waiting = Waiting::start(&door, &config).await;
    let page = waiting.page(&door);
    let mut browser = Pages::new(&door).unwrap();
    approve_after_a_login(&mut browser, &page, waiting.code()).await;
    let (code, told) = waiting.ended().await;
    assert_eq!(code, Some(0), "{told}\n{}", sojourn.log_tail());
    assert!(told.contains("enter the code") && told.contains("logged in at"), "{told}");
    let shown = browser.open(&page).await.unwrap();
    assert!(shown.status == 404 && shown.text.contains("No program waits under this code"), "{shown:?}");

    let whoami = sagactl(&["whoami"]).await;
    assert!(whoami.code == Some(0) && whoami.stdout.contains(OPERATOR), "{whoami:?}");
    assert!(whoami.stdout.contains("LOGIN ENDS"), "{whoami:?}");

    // A copy of the login is of no use either once it has ended.
    let stored = config.join("sojourn/sessions.json");
    let copy = fs::read(&stored).unwrap();
    let logout = sagactl(&["logout"]).await;
    assert!(logout.code == Some(0) && logout.stderr.contains("logged out of"), "{logout:?}");
    assert_eq!(sagactl(&["whoami"]).await.code, Some(3));
    fs::write(&stored, copy).unwrap();
    let ended = sagactl(&["whoami"]).await;
    assert!(ended.code == Some(3) && ended.stderr.contains("the stored login has ended"), "{ended:?}");
    assert_eq!(browser.open("/ops").await.unwrap().status, 200, "the browser's own login goes on");

    let waiting = Waiting::start(&door, &config).await;
    let denied = browser.send("/ops/device", &[("user_code", waiting.code()), ("decision", "deny")]).await.unwrap();
    assert_eq!((denied.status, denied.location.as_deref()), (303, Some("/ops/device?done=denied")), "{denied:?}");
    let (code, told) = waiting.ended().await;
    assert!(code == Some(3) && told.contains("access_denied"), "{code:?} {told}");

    let waiting = Waiting::start(&door, &config).await;
    browser.send("/ops/device", &[("user_code", waiting.code()), ("decision", "approve")]).await.unwrap();
    assert_eq!(waiting.ended().await.0, Some(0));
    end_on_the_page(&browser).await;
    assert_eq!(sagactl(&["whoami"]).await.code, Some(3));

    let waiting = Waiting::start(&door, &config).await;
    let id = waiting.sagactl.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    assert_eq!(waiting.ended().await.0, Some(130));
    assert_eq!(sojourn.panics(), Vec::<String>::new());
}

/// A stranger who opens the page is led over the login back to it, and nothing is approved by that.
async fn approve_after_a_login(browser: &mut Pages, page: &str, code: &str) {
    let shown = browser.open(page).await.unwrap();
    let login = shown.location.unwrap();
    assert!(shown.status == 303 && login.starts_with("/ops/login?next=%2Fops%2Fdevice%3Fuser_code%3D"), "{login}");
    let form = browser.open(&login).await.unwrap();
    assert!(form.text.contains(&format!("name=\"next\" value=\"{page}\"")), "{form:?}");
    let credentials = [("email", OPERATOR), ("password", PASSWORD), ("next", page)];
    let back = browser.send("/ops/session", &credentials).await.unwrap();
    assert_eq!((back.status, back.location.as_deref()), (303, Some(page)), "{back:?}");
    assert_eq!(browser.log_in(OPERATOR, PASSWORD).await.unwrap().status, 303);

    let shown = browser.open(page).await.unwrap();
    assert_eq!(shown.status, 200, "{shown:?}");
    for words in [code, "sagactl/", "127.0.0.1", "operator@sojourn.example, operator", "refuse"] {
        assert!(shown.text.contains(words), "{words} in {shown:?}");
    }
    let empty = browser.open("/ops/device").await.unwrap();
    assert!(empty.status == 200 && empty.text.contains("Type the code"), "{empty:?}");
    for (typed, status, words) in
        [("AEIO", 422, "eight letters"), ("BBBB-BBBB", 404, "No program waits"), (&code.to_lowercase(), 200, code)]
    {
        let shown = browser.open(&format!("/ops/device?user_code={typed}")).await.unwrap();
        assert!(shown.status == status && shown.text.contains(words), "{typed}: {shown:?}");
    }
    let word = [("user_code", code), ("decision", "approve")];
    for site in [None, Some("cross-site")] {
        assert_eq!(browser.send_from(site, "/ops/device", &word).await.unwrap().status, 403);
    }
    let approved = browser.send("/ops/device", &word).await.unwrap();
    let done = approved.location.unwrap();
    assert_eq!((approved.status, &*done), (303, "/ops/device?done=approved"));
    let shown = browser.open(&done).await.unwrap();
    assert!(shown.status == 200 && shown.text.contains("You can close this window"), "{shown:?}");
    let again = browser.send("/ops/device", &word).await.unwrap();
    assert_eq!(again.status, 404, "{again:?}");
}

/// The newest login is that of `sagactl`; a person ends it among its logins, and not the one that looks.
async fn end_on_the_page(browser: &Pages) {
    let shown = browser.open("/ops/logins").await.unwrap();
    assert!(shown.status == 200 && shown.text.contains("this one"), "{shown:?}");
    let begin = shown.text.find("/ops/logins/login_").unwrap_or_else(|| panic!("{shown:?}"));
    assert!(shown.text[..begin].contains("sagactl/"), "{shown:?}");
    let end: String = shown.text[begin..].chars().take_while(|letter| *letter != '"').collect();
    let ended = browser.send(&end, &[]).await.unwrap();
    assert_eq!((ended.status, ended.location.as_deref()), (303, Some("/ops/logins")), "{ended:?}");
    let shown = browser.open("/ops/logins").await.unwrap();
    assert!(shown.status == 200 && !shown.text.contains("sagactl/"), "{shown:?}");
    let again = browser.send(&end, &[]).await.unwrap();
    assert!(again.status == 404 && again.text.contains("login_unknown"), "{again:?}");
}
