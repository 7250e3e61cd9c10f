//! The whole agency in one process, as `cargo xtask run` starts it: on a PostgreSQL of its own, whose data outlives the
//! process and which does not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs::Permissions,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

use chrono::Days;
use e2e::{Client, Pages, Program, free_port, order_of, run, wait};
use kit::clock::Clock;
use serde_json::{Value, json};

/// How long a start may take on a busy machine: a new cluster is made and seeded.
const OPEN_WITHIN: Duration = Duration::from_secs(120);
/// How long it may take to refuse an address that is taken: no server is started.
const REFUSED_WITHIN: Duration = Duration::from_secs(20);
/// The password of the first admin.
const PASSWORD: &str = "a long enough passphrase";
/// How long one order may take.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// How long an orderly end may take: PostgreSQL writes a checkpoint.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn an_order_outlives_the_process_however_that_ends_and_its_postgresql_does_not() {
    // PostgreSQL's user must be able to enter it, also when root runs the tests.
    let passable = Permissions::from_mode(0o755);
    let folder = tempfile::Builder::new().permissions(passable).tempdir().unwrap();
    let data = folder.path().join("data");
    let door = format!("127.0.0.1:{}", free_port().unwrap());
    // All logins of the test come from one address, and none waits for its allowance.
    let data_folder = format!("--data-dir={}", data.display());
    let arguments = vec!["--logins-per-minute=0".to_owned(), data_folder.clone(), format!("--listen={door}")];
    let gateway = format!("http://{door}");
    let mut sojourn = Program::start("sojourn", "sojourn", arguments.clone(), Vec::new(), folder.path()).unwrap();
    until_open(&gateway, &sojourn).await;

    let client = Client::login(&gateway, "client@sojourn.example", "sojourn-development").await.unwrap();
    let day = kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(30)).unwrap();
    let flight = client.flight("LHR", "MLE", day, "business", 1).await.unwrap();
    let (order_id, _) = client.place("my-first-order", &order_of(&[&flight], "tok_ok")).await.unwrap();
    let settled = client.until_settled(&order_id, SETTLED_WITHIN).await;
    assert_eq!(settled["status"], "confirmed", "{settled}\n{}", sojourn.log_tail());

    let flight = client.flight("LHR", "MLE", day, "business", 1).await.unwrap();
    let (_, stuck) = client.place("an order that is stuck", &order_of(&[&flight], "tok_capture_fails")).await.unwrap();
    operators_have_pages(&gateway, &order_id, &stuck).await;

    assert!(listens(&data));
    assert_eq!(sojourn.interrupt(ENDS_WITHIN).await.unwrap(), Some(0), "{}", sojourn.log_tail());
    assert!(!listens(&data), "Ctrl-C leaves nothing behind");

    // The first admin is made while nothing runs.
    let create = [&data_folder, "admin", "create-operator", "--email", "eve@example.com", "--name", "Eve"];
    let create = [&create[..], &["--password-stdin"]].concat();
    let made = run("sojourn", &create, &[], &format!("{PASSWORD}\n"), OPEN_WITHIN).await.unwrap();
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(!listens(&data), "an act of an admin leaves nothing behind");

    // Also the key is the same: the token of the first run is still good.
    sojourn.restart().unwrap();
    until_open(&gateway, &sojourn).await;
    assert_eq!(order(&client, &order_id).await, settled);
    let eve = Client::login(&gateway, "eve@example.com", PASSWORD).await.unwrap();
    let me = eve.get("/ops/api/whoami").await.unwrap();
    assert_eq!((me.status.as_u16(), &me.body["role"]), (200, &json!("admin")), "{me:?}");

    sojourn.kill();
    wait::until("the end of a PostgreSQL whose owner was killed", ENDS_WITHIN, || async {
        if listens(&data) { Err("it still listens".to_owned()) } else { Ok(()) }
    })
    .await;
    sojourn.restart().unwrap();
    until_open(&gateway, &sojourn).await;
    assert_eq!(order(&client, &order_id).await, settled);

    assert_eq!(sojourn.terminate(ENDS_WITHIN).await.unwrap(), Some(0), "{}", sojourn.log_tail());
    assert!(!listens(&data), "SIGTERM leaves nothing behind");
    assert_eq!(sojourn.panics(), Vec::<String>::new());

    let arguments = [arguments, vec!["--demo-traffic".to_owned()]].concat();
    let mut sojourn = Program::start("traffic", "sojourn", arguments, Vec::new(), folder.path()).unwrap();
    until_open(&gateway, &sojourn).await;
    clients_come_by_themselves(&gateway, &sojourn).await;
    assert_eq!(sojourn.interrupt(ENDS_WITHIN).await.unwrap(), Some(0), "{}", sojourn.log_tail());
    assert_eq!(sojourn.panics(), Vec::<String>::new());
}

/// The traffic of the demonstration shows sagas of several kinds: some end well, some are undone, some are children.
async fn clients_come_by_themselves(gateway: &str, sojourn: &Program) {
    let operator = Client::login(gateway, "operator@sojourn.example", "sojourn-development").await.unwrap();
    for kind in ["name=booking&status=completed", "name=order&status=compensated", "name=payment&status=completed"] {
        wait::until(kind, SETTLED_WITHIN, || async {
            let found = operator.get(&format!("/ops/api/sagas?{kind}")).await.map_err(|error| format!("{error:#}"))?;
            let any = found.body["items"].as_array().is_some_and(|items| !items.is_empty());
            if any { Ok(()) } else { Err(format!("{found:?}\n{}", sojourn.log_tail())) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_address_is_told_at_once_with_what_to_do_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let door = taken.local_addr().unwrap().to_string();
    let arguments = [format!("--data-dir={}", data.display()), format!("--listen={door}")];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = run("sojourn", &arguments, &[], "", REFUSED_WITHIN).await.unwrap();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&format!("another program listens on {door}")), "{ended:?}");
    assert!(ended.stderr.contains("--listen"), "{ended:?}");
    assert!(!data.exists());
}

async fn until_open(gateway: &str, sojourn: &Program) {
    Client::stranger(gateway).until_ready(OPEN_WITHIN, || sojourn.log_tail()).await;
}

async fn order(client: &Client, order_id: &str) -> Value {
    let answer = client.get(&format!("/v1/orders/{order_id}")).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// Whether somebody listens on the port of the private PostgreSQL.
fn listens(data: &Path) -> bool {
    let port = std::fs::read_to_string(data.join("postgresql/port")).unwrap();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port.trim().parse().unwrap())).is_ok()
}

/// Every page of the operators opens for an operator and for nobody else, and what changes something comes from them.
async fn operators_have_pages(gateway: &str, order_id: &str, stuck: &str) {
    const OPERATOR: &str = "operator@sojourn.example";
    const PASSWORD: &str = "sojourn-development";
    let mut browser = Pages::new(gateway).unwrap();
    let shown = browser.open("/ops/sagas?q=status:running").await.unwrap();
    assert_eq!(shown.status, 303, "{shown:?}");
    assert_eq!(shown.location.as_deref(), Some("/ops/login?next=%2Fops%2Fsagas%3Fq%3Dstatus%3Arunning"));
    for site in [None, Some("cross-site"), Some("same-site")] {
        let form = [("email", OPERATOR), ("password", PASSWORD)];
        let shown = browser.send_from(site, "/ops/session", &form).await.unwrap();
        assert_eq!((shown.status, &shown.set_cookie), (403, &None), "{shown:?}");
    }
    let shown = browser.log_in(OPERATOR, "wrong").await.unwrap();
    assert_eq!((shown.status, &shown.set_cookie), (422, &None), "{shown:?}");
    let shown = browser.log_in("client@sojourn.example", PASSWORD).await.unwrap();
    assert!(shown.status == 422 && shown.text.contains("not an operator"), "{shown:?}");
    let shown = browser.log_in(OPERATOR, PASSWORD).await.unwrap();
    let cookie = shown.set_cookie.clone().unwrap_or_default();
    assert_eq!((shown.status, shown.location.as_deref()), (303, Some("/ops")), "{shown:?}");
    assert!(cookie.ends_with("; Path=/ops; HttpOnly; SameSite=Strict"), "{cookie}");

    let list = browser.open(&format!("/ops/sagas?q={order_id}")).await.unwrap();
    let begin = list.text.find("/ops/sagas/saga_").unwrap_or_else(|| panic!("{list:?}"));
    let saga: String = list.text[begin..].chars().take_while(|letter| *letter != '"').collect();
    let below =
        ["", "?tab=journal", "?tab=payloads", "?tab=waits", "?tab=tree", "?tab=audit", "?tab=raw", "/acts/skip"];
    let of_saga = below.map(|below| format!("{saga}{below}"));
    let lists = [
        "",
        "/sagas",
        "/errors",
        "/jobs",
        "/definitions",
        "/domains",
        "/processes",
        "/dead-letters",
        "/quarantine",
        "/approvals",
    ];
    let lists = lists.map(|page| format!("/ops{page}"));
    let others = ["/ops/audit?verify=yes", "/ops/jobs/new?act=retry&q=status:running"].map(str::to_owned);
    for page in of_saga.iter().chain(&lists).chain(&others) {
        let shown = browser.open(page).await.unwrap();
        assert_eq!(shown.status, 200, "{page}: {shown:?}");
        assert!(shown.policy.is_some_and(|policy| policy.contains("script-src 'self';")), "{page}");
        for inline in [" style=", "<style", "<script>", " onclick="] {
            assert!(!shown.text.contains(inline), "{page} has {inline}");
        }
    }
    let shown = browser.open(&format!("{saga}/acts/cancel")).await.unwrap();
    assert!(shown.text.contains("It would be refused"), "past its pivot: {shown:?}");
    let live = browser.open(&format!("{saga}/live?tab=steps")).await.unwrap();
    assert!(live.text.contains("completed") && live.text.contains("event: end"), "{live:?}");
    an_act_is_sent(&browser, &saga).await;
    lists_are_asked_for(&browser, saga.trim_start_matches("/ops/sagas/")).await;
    an_act_is_accepted(&browser, &format!("/ops/sagas/{stuck}")).await;
    what_is_personal_is_revealed_for_a_reason(&browser, &saga).await;

    let pause = [("scope", "order@2:hold-rooms"), ("reason", "the page of pauses")];
    let shown = browser.send("/ops/domains", &pause).await.unwrap();
    assert_eq!((shown.status, shown.location.as_deref()), (303, Some("/ops/domains")), "{shown:?}");
    assert!(browser.open("/ops/domains").await.unwrap().text.contains("the page of pauses"));
    let end = "/ops/domains/order@2:hold-rooms/end";
    assert_eq!(browser.send(end, &[("reason", "seen")]).await.unwrap().status, 303);
    let shown = browser.send(end, &[("reason", "seen")]).await.unwrap();
    assert!(shown.status == 404 && shown.text.contains("pause_unknown"), "{shown:?}");

    let shown = browser.open("/ops/people").await.unwrap();
    assert!(shown.status == 403 && shown.text.contains("role_missing"), "{shown:?}");
    assert!(!list.text.contains("/ops/people"), "only admins see the entry");
    admins_manage_people(gateway, PASSWORD, &saga).await;
    people_keep_their_accounts(gateway, PASSWORD).await;

    assert_eq!(browser.send("/ops/logout", &[]).await.unwrap().status, 303);
    assert_eq!(browser.open("/ops").await.unwrap().status, 303, "the session is over, whatever the browser keeps");
}

/// The list says what is wrong with a query and keeps it, shows the columns that are chosen, and leads to a job.
async fn lists_are_asked_for(browser: &Pages, saga: &str) {
    let page = async |path: &str| {
        let shown = browser.open(path).await.unwrap();
        assert_eq!(shown.status, 200, "{path}: {shown:?}");
        shown.text
    };
    let wrong = page("/ops/sagas?q=colour%3Ared").await;
    assert!(wrong.contains("is no term") && wrong.contains("value=\"colour:red\""), "{wrong}");
    let chosen = page("/ops/sagas?q=sort%3Aoldest&columns=client&columns=started").await;
    assert!(chosen.contains("<th>Client</th>") && !chosen.contains("<th>Business key</th>"), "{chosen}");
    assert!(chosen.contains("aria-sort=\"ascending\""), "{chosen}");
    assert!(page("/ops/sagas/newer?q=name%3Aorder").await.ends_with(" new"));
    assert_eq!(page(&format!("/ops/sagas/newer?q={saga}&after={saga}")).await, "");
    let job = page(&format!("/ops/jobs/new?act=retry&id={saga}")).await;
    assert!(job.contains("Selected sagas: 1") && job.contains("No open saga matches"), "{job}");
    let acts = page(&format!("/ops/sagas/{saga}?tab=journal&entry=timer_fired")).await;
    assert!(acts.contains("No entry of this kind"), "{acts}");
    let view = [("name", "Red ones"), ("query", "q=colour%3Ared")];
    let kept = browser.send("/ops/views", &view).await.unwrap();
    assert_eq!((kept.status, kept.location.as_deref()), (303, Some("/ops/sagas?q=colour%3Ared")), "{kept:?}");
    assert!(kept.set_cookie.as_deref().is_some_and(|cookie| cookie.starts_with("sojourn_views=Red+ones=")), "{kept:?}");
}

/// An act goes out with the plan's record and comes back with the saga's own reason; the audit log has both.
async fn an_act_is_sent(browser: &Pages, saga: &str) {
    let planned = browser.open(&format!("{saga}/acts/cancel")).await.unwrap().text;
    let (head, request_id) = (value_of(&planned, "if_head"), value_of(&planned, "request_id"));
    let form = [("go", "do"), ("reason", "the page of acts"), ("if_head", &head), ("request_id", &request_id)];
    let shown = browser.send(&format!("{saga}/acts/cancel"), &form).await.unwrap();
    assert!(shown.status == 409 && shown.text.contains("saga_finished"), "{shown:?}");
    let audit = browser.open(&format!("{saga}?tab=audit")).await.unwrap();
    assert!(audit.text.contains("the page of acts") && audit.text.contains("saga_finished"), "{audit:?}");
}

/// The value of a field of a page.
fn value_of(page: &str, name: &str) -> String {
    let field = format!("name=\"{name}\" value=\"");
    let begin = page.find(&field).unwrap_or_else(|| panic!("{name} in {page}")) + field.len();
    page[begin..].chars().take_while(|letter| *letter != '"').collect()
}

/// A saga that needs a person is paused, edited by the fields of its command, and shows both.
async fn an_act_is_accepted(browser: &Pages, saga: &str) {
    wait::until("a saga that needs attention", SETTLED_WITHIN, || async {
        let shown = browser.open(saga).await.map_err(|error| format!("{error:#}"))?;
        if shown.text.contains("needs attention") { Ok(()) } else { Err(shown.text) }
    })
    .await;
    let planned = browser.open(&format!("{saga}/acts/pause")).await.unwrap().text;
    let (head, request_id) = (value_of(&planned, "if_head"), value_of(&planned, "request_id"));
    let form = [("go", "do"), ("reason", "time to look"), ("if_head", &head), ("request_id", &request_id)];
    let shown = browser.send(&format!("{saga}/acts/pause"), &form).await.unwrap();
    assert_eq!((shown.status, shown.location.as_deref()), (303, Some(&*format!("{saga}?tab=audit"))), "{shown:?}");
    let audit = browser.open(&format!("{saga}?tab=audit")).await.unwrap();
    assert!(audit.text.contains("time to look") && audit.text.contains("paused</span>"), "{audit:?}");

    let command = browser.open(&format!("{saga}/acts/edit?step=capture-payment")).await.unwrap().text;
    let payment_id = value_of(&command, "f.payment_id");
    assert!(payment_id.starts_with("pay_"), "the command as it would be sent: {command}");
    let unchanged = [("go", "plan"), ("step", "capture-payment"), ("f.payment_id", &payment_id)];
    let shown = browser.send(&format!("{saga}/acts/edit"), &unchanged).await.unwrap();
    assert!(shown.text.contains("command_mismatch"), "nothing was changed: {shown:?}");
    let skip = browser.open(&format!("{saga}/acts/skip?step=capture-payment")).await.unwrap().text;
    assert!(skip.contains("name=\"f."), "a field for each of the reply: {skip}");
}

/// Documents are masked on the page, and shown once to an operator who gives a reason.
async fn what_is_personal_is_revealed_for_a_reason(browser: &Pages, saga: &str) {
    let masked = browser.open(&format!("{saga}?tab=payloads")).await.unwrap();
    assert!(masked.text.contains("(masked)") && !masked.text.contains("ada@example.com"), "{masked:?}");
    let reason = [("reason", "the client is on the phone")];
    let shown = browser.send(&format!("{saga}/reveal"), &reason).await.unwrap();
    assert!(shown.status == 200 && shown.text.contains("ada@example.com"), "{shown:?}");
    let audit = browser.open(&format!("{saga}?tab=audit")).await.unwrap();
    assert!(audit.text.contains("the client is on the phone"), "{audit:?}");
}

/// An admin makes a viewer, who sees pages without forms, and ends the viewer's logins.
async fn admins_manage_people(gateway: &str, password: &str, saga: &str) {
    const VIEWER: &str = "vera@example.com";
    let mut admin = Pages::new(gateway).unwrap();
    assert_eq!(admin.log_in("admin@sojourn.example", password).await.unwrap().status, 303);
    let person = [
        ("email", VIEWER),
        ("name", "Vera"),
        ("password", PASSWORD),
        ("role", "viewer"),
        ("reason", "a new colleague"),
    ];
    let made = admin.send("/ops/people", &person).await.unwrap();
    assert_eq!((made.status, made.location.as_deref()), (303, Some("/ops/people")), "{made:?}");

    let mut viewer = Pages::new(gateway).unwrap();
    assert_eq!(viewer.log_in(VIEWER, PASSWORD).await.unwrap().status, 303);
    let shown = viewer.open("/ops?window=24h").await.unwrap();
    assert!(shown.status == 200 && shown.text.contains("1 orchestrator"), "a viewer sees the counts: {shown:?}");
    let shown = viewer.open("/ops/domains").await.unwrap();
    assert!(shown.status == 200 && !shown.text.contains("New pause"), "{shown:?}");
    let shown = viewer.open(&format!("{saga}/acts/cancel")).await.unwrap();
    assert!(shown.status == 403 && shown.text.contains("role_missing"), "no form for a viewer: {shown:?}");
    for act in ["acts/cancel", "reveal"] {
        let shown = viewer.send(&format!("{saga}/{act}"), &[("go", "do"), ("reason", "curious")]).await.unwrap();
        assert_eq!(shown.status, 403, "{act}: {shown:?}");
    }

    let people = admin.open("/ops/people").await.unwrap().text;
    let row = people.split("<tr>").find(|row| row.contains(VIEWER)).unwrap_or_else(|| panic!("{people}"));
    let begin = row.find("/ops/people/").unwrap_or_else(|| panic!("{row}"));
    let role: String = row[begin..].chars().take_while(|letter| *letter != '"').collect();
    let may_act = [("role", "operator"), ("reason", "has learned it")];
    assert_eq!(admin.send(&role, &may_act).await.unwrap().status, 303);
    wait::until("the new role on the pages", OPEN_WITHIN, || async {
        let shown = viewer.open("/ops/domains").await.map_err(|error| format!("{error:#}"))?;
        if shown.text.contains("New pause") { Ok(()) } else { Err(format!("{shown:?}")) }
    })
    .await;
    let disable = role.replace("/role", "/disable");
    assert_eq!(admin.send(&disable, &[("reason", "gone")]).await.unwrap().status, 303);
    assert!(admin.open("/ops/people").await.unwrap().text.contains("Let in again"));
    assert_eq!(viewer.log_in(VIEWER, PASSWORD).await.unwrap().status, 422, "a person whose logins were ended");
}

/// An operator sets up a second factor, logs in with it and changes the password; an admin helps when both are lost.
async fn people_keep_their_accounts(gateway: &str, admins_password: &str) {
    const REX: &str = "rex@example.com";
    const NEW: &str = "another long passphrase";
    const ACCOUNT: &str = "/ops/account";
    let mut admin = Pages::new(gateway).unwrap();
    assert_eq!(admin.log_in("admin@sojourn.example", admins_password).await.unwrap().status, 303);
    let person = [("email", REX), ("name", "Rex"), ("password", PASSWORD), ("role", "operator"), ("reason", "joins")];
    assert_eq!(admin.send("/ops/people", &person).await.unwrap().status, 303);

    let mut rex = Pages::new(gateway).unwrap();
    assert_eq!(rex.log_in(REX, PASSWORD).await.unwrap().status, 303);
    let shown = rex.open(ACCOUNT).await.unwrap();
    assert!(shown.status == 200 && !shown.text.contains(" style=") && shown.text.contains("Set it up"), "{shown:?}");
    let shown = rex.send("/ops/account/second-factor", &[("password", "not this one")]).await.unwrap();
    assert!(shown.status == 422 && shown.text.contains("present password is wrong"), "{shown:?}");
    let offered = rex.send("/ops/account/second-factor", &[("password", PASSWORD)]).await.unwrap();
    assert!(offered.status == 200 && offered.text.contains("<svg class=\"qr\""), "{offered:?}");
    let (secret, uri) = (value_of(&offered.text, "secret"), value_of(&offered.text, "uri"));
    let confirm = async |code: &str| {
        let form = [("code", code), ("secret", &*secret), ("uri", &*uri)];
        rex.send("/ops/account/second-factor/confirm", &form).await.unwrap()
    };
    let shown = confirm("not one").await;
    assert!(shown.status == 422 && shown.text.contains("<svg class=\"qr\""), "the secret is shown again: {shown:?}");
    let shown = confirm(&code_of(&secret)).await;
    let first = recovery_codes(&shown.text);
    assert_eq!(first.len(), 10, "{shown:?}");
    let renewal = [("password", PASSWORD), ("code", &*first[0])];
    let shown = rex.send("/ops/account/second-factor/recovery-codes", &renewal).await.unwrap();
    let recovery = recovery_codes(&shown.text);
    assert!(recovery.len() == 10 && recovery.iter().all(|code| !first.contains(code)), "{shown:?}");
    let shown = rex.open("/ops/account").await.unwrap();
    assert!(shown.text.contains("Recovery codes left: 10"), "the session goes on: {shown:?}");

    // A login has two steps now, and neither page has the password in it.
    let step = async |browser: &mut Pages, password: &str| {
        let shown = browser.log_in(REX, password).await.unwrap();
        assert!(shown.set_cookie.is_none() && !shown.text.contains(password), "{shown:?}");
        value_of(&shown.text, "step")
    };
    let first = step(&mut rex, PASSWORD).await;
    let shown = rex.show_code(&first, "000 000").await.unwrap();
    assert!(shown.status == 422 && value_of(&shown.text, "step") == first, "{shown:?}");
    let shown = rex.show_code(&first, &recovery[0]).await.unwrap();
    assert_eq!((shown.status, shown.location.as_deref()), (303, Some("/ops")), "{shown:?}");
    assert!(rex.show_code("another", &recovery[1]).await.unwrap().text.contains("came too late"));

    let mut elsewhere = Pages::new(gateway).unwrap();
    let second = step(&mut elsewhere, PASSWORD).await;
    assert_eq!(elsewhere.show_code(&second, &recovery[1]).await.unwrap().status, 303);
    let change = |again: &'static str| [("password", PASSWORD), ("new_password", NEW), ("again", again)];
    let shown = rex.send("/ops/account/password", &change("a typing error")).await.unwrap();
    assert!(shown.status == 422 && shown.text.contains("not the same"), "{shown:?}");
    let shown = rex.send("/ops/account/password", &change(NEW)).await.unwrap();
    assert!(shown.status == 200 && shown.text.contains("password was changed"), "{shown:?}");
    assert_eq!(rex.open("/ops/sagas").await.unwrap().status, 200);
    let shown = elsewhere.open("/ops/sagas").await.unwrap();
    assert_eq!((shown.status, shown.location.as_deref()), (303, Some("/ops/login?ended=yes")), "{shown:?}");

    // Everything is lost: an admin gives a code for a password, and takes the second factor away.
    let people = admin.open("/ops/people").await.unwrap().text;
    let row = people.split("<tr>").find(|row| row.contains(REX)).unwrap_or_else(|| panic!("{people}"));
    let begin = row.find("/ops/people/").unwrap_or_else(|| panic!("{row}"));
    let role: String = row[begin..].chars().take_while(|letter| *letter != '"').collect();
    let given = admin.send(&role.replace("/role", "/reset"), &[("reason", "known by voice")]).await.unwrap();
    let code = given.text.split("data-copy=\"").nth(1).map(|rest| &rest[..19]).unwrap_or_else(|| panic!("{given:?}"));
    let stranger = Pages::new(gateway).unwrap();
    let mut form = [("email", REX), ("code", "0000-0000-0000-0000"), ("new_password", PASSWORD), ("again", PASSWORD)];
    assert_eq!(stranger.send("/ops/reset", &form).await.unwrap().status, 422);
    form[1].1 = code;
    let shown = stranger.send("/ops/reset", &form).await.unwrap();
    assert_eq!((shown.status, shown.location.as_deref()), (303, Some("/ops/login?reset=yes")), "{shown:?}");
    step(&mut rex, PASSWORD).await;
    let clear = role.replace("/role", "/clear-second-factor");
    assert_eq!(admin.send(&clear, &[("reason", "the phone is lost")]).await.unwrap().status, 303);
    let shown = rex.log_in(REX, PASSWORD).await.unwrap();
    assert_eq!((shown.status, shown.location.as_deref()), (303, Some("/ops")), "{shown:?}");
    let audit = admin.open("/ops/audit").await.unwrap().text;
    assert!(audit.contains("clear second factor") && audit.contains("reset password"), "{audit}");
    assert!(!audit.contains(code), "the audit log keeps no code");
}

/// The recovery codes on a page.
fn recovery_codes(text: &str) -> Vec<String> {
    text.split("<li><code>").skip(1).map(|rest| rest[..19].to_owned()).collect()
}

/// The code that an app shows now.
fn code_of(secret: &str) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let codes = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    codes.generate(kit::clock::SystemClock.now().timestamp().try_into().unwrap()).to_string()
}
