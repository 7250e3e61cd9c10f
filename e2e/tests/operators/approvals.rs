//! Acts that need a second operator, asked for and decided with `sagactl`, where four eyes are on.

use e2e::{Client, Findings, System};
use serde_json::Value;

use crate::{SETTLED_WITHIN, bench::Bench, past_pivot::stuck, until_status};

/// The id of the request in the words of a refusal: ``... `sagactl approvals approve apr_...` ...``.
fn request_in(text: &str) -> String {
    let id = text.split_once("approvals approve ").and_then(|(_, rest)| rest.split_once('`'));
    id.unwrap_or_else(|| panic!("no request in: {text}")).0.to_owned()
}

/// Two operators and their system.
struct Two {
    bench: Bench,
    colleague: Client,
}

impl Two {
    /// Runs `sagactl` as the person with this token, and notes when it does not end so, or does not say so.
    async fn ends(&mut self, token: &str, arguments: &[&str], code: i32, words: &[&str]) -> e2e::Ended {
        let ended = self.bench.system.sagactl(token, arguments).await.unwrap();
        self.bench.judge(arguments, &ended, code, words);
        ended
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_back_is_done_when_a_second_operator_approves_it() {
    let system = System::start_with_orchestrators(&["--four-eyes=true"]).await.unwrap();
    let client = system.client("ada").await.unwrap();
    let (operator, colleague) = (system.operator().await.unwrap(), system.admin().await.unwrap());
    let bench = Bench { system, client, operator, findings: Findings::default() };
    let mut two = Two { bench, colleague };
    approved(&mut two).await;
    rejected(&mut two).await;
    let Bench { system, findings, .. } = two.bench;
    let mut findings = findings;
    findings.that("panics", system.panics().is_empty(), system.panics());
    findings.end(|| system.logs());
}

async fn approved(two: &mut Two) {
    let (order, saga) = stuck(&two.bench, "approved").await;
    let id = saga.as_str();
    let (asks, decides) = (two.bench.operator.token.clone(), two.colleague.token.clone());
    let settled = "settled by hand, ticket 4711";
    let abandon = ["abandon", id, "--reason", settled];
    let asked = two.ends(&asks, &abandon, 6, &["a second operator must approve it", "nothing is done yet"]).await;
    let request = request_in(&asked.stderr);
    let again = two.ends(&asks, &abandon, 6, &[&request]).await;
    two.bench.findings.that("asked twice it is one request", request_in(&again.stderr) == request, &again);
    let listed = ["ID", "GROUND", &request, "pending", "abandon", id, "pivot_passed", settled];
    two.ends(&decides, &["approvals", "list"], 0, &listed).await;
    let ids = two.ends(&decides, &["approvals", "list", "-o", "ids"], 0, &[]).await;
    two.bench.findings.that("its id alone", ids.stdout.trim() == request, &ids);
    let shown = ["Asked for", "\"action\": \"abandon\"", id, "pivot_passed", settled, "expires at:"];
    two.ends(&decides, &["approvals", "show", &request], 0, &shown).await;
    let json = two.ends(&decides, &["approvals", "show", &request, "-o", "json"], 0, &[]).await;
    let json: Value = serde_json::from_str(&json.stdout).unwrap_or_default();
    two.bench.findings.that("the request as the server tells it", json["request"]["saga_id"] == id, &json);

    let approve = ["approvals", "approve", &request, "--reason", "checked with the bank"];
    two.ends(&asks, &approve, 6, &["approval_own"]).await;
    let client = two.bench.client.token.clone();
    two.ends(&client, &approve, 3, &["role_missing"]).await;
    until_status(&two.bench.operator, id, "needs_attention").await;
    two.ends(&decides, &approve, 0, &[&request, "approved", "done"]).await;
    until_status(&two.bench.operator, id, "abandoned").await;
    two.bench.client.until_settled(&order, SETTLED_WITHIN).await;
    let journal = [settled, "(approved by usr_"];
    two.ends(&asks, &["journal", id], 0, &journal).await;
    two.ends(&decides, &approve, 6, &["approval_over"]).await;
    two.ends(&decides, &["approvals", "list"], 0, &["no approvals"]).await;
    let decided = ["decided:", "checked with the bank", "outcome:", "done"];
    two.ends(&asks, &["approvals", "show", &request], 0, &decided).await;
}

async fn rejected(two: &mut Two) {
    let (_, saga) = stuck(&two.bench, "rejected").await;
    let id = saga.as_str();
    let (asks, decides) = (two.bench.operator.token.clone(), two.colleague.token.clone());
    let asked = two.ends(&asks, &["abandon", id, "--reason", "nobody answers"], 6, &["a second operator"]).await;
    let request = request_in(&asked.stderr);
    let reject = ["approvals", "reject", &request, "--reason", "the bank is asked first"];
    two.ends(&asks, &reject, 6, &["approval_own"]).await;
    two.ends(&decides, &reject, 0, &[&request, "rejected"]).await;
    let late = ["approvals", "approve", &request, "--reason", "changed my mind"];
    two.ends(&decides, &late, 6, &["approval_over"]).await;
    until_status(&two.bench.operator, id, "needs_attention").await;
    two.ends(&decides, &["approvals", "list", "--all"], 0, &[&request, "rejected", "approved"]).await;
    let strange = "apr_00000000000000000000000000000007";
    two.ends(&decides, &["approvals", "show", strange], 4, &["approval_unknown"]).await;
    two.ends(&decides, &["approvals", "approve", strange, "--reason", "whatever"], 4, &["approval_unknown"]).await;
    two.ends(&decides, &["approvals", "approve", "apr_1", "--reason", "whatever"], 2, &["apr_1"]).await;
}
