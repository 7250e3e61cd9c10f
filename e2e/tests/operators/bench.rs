//! The common ground of the scenarios: the system, a client, an operator with `sagactl`, and what was found.

use e2e::{Client, DEMO_PASSWORD, Ended, Findings, System};

/// An operator's workplace.
pub(crate) struct Bench {
    pub(crate) system: System,
    pub(crate) client: Client,
    pub(crate) operator: Client,
    pub(crate) findings: Findings,
}

impl Bench {
    /// Runs `sagactl` with the stored login.
    pub(crate) async fn sagactl(&self, arguments: &[&str]) -> Ended {
        self.system.sagactl("", arguments).await.unwrap()
    }

    /// Runs `sagactl` and notes when it does not end so, or does not say so.
    pub(crate) async fn ends(&mut self, arguments: &[&str], code: i32, words: &[&str]) -> Ended {
        let ended = self.sagactl(arguments).await;
        self.judge(arguments, &ended, code, words);
        ended
    }

    pub(crate) fn judge(&mut self, arguments: &[&str], ended: &Ended, code: i32, words: &[&str]) {
        let text = format!("{}{}", ended.stdout, ended.stderr);
        let said = words.iter().all(|word| text.contains(word));
        let quiet = code == 0 || ended.stdout.is_empty() || code == 5;
        self.findings.that(
            &format!("sagactl {arguments:?}"),
            ended.code == Some(code) && said && quiet,
            (ended, words),
        );
    }
}

/// A wrong password, a client's account, and the operator's own: only the last one is of use.
pub(crate) async fn login(bench: &mut Bench) {
    let command = ["login", "--email", "operator@sojourn.example", "--password-stdin"];
    let wrong = bench.system.sagactl_with("", &command, "not the password at all\n").await.unwrap();
    bench.judge(&command, &wrong, 3, &["login_wrong"]);
    bench.ends(&["list"], 3, &["sagactl login"]).await;
    let token = bench.client.token.clone();
    let refused = bench.system.sagactl(&token, &["list"]).await.unwrap();
    bench.judge(&["list", "as a client"], &refused, 3, &["role_missing"]);
    let right = bench.system.sagactl_with("", &command, &format!("{DEMO_PASSWORD}\n")).await.unwrap();
    bench.judge(&command, &right, 0, &["logged in"]);
    bench.ends(&["list", "--limit", "1"], 0, &["order"]).await;
}
