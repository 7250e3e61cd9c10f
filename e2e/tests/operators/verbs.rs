//! The verbs that read, on a platform that runs: what each prints is a snapshot, without ids, times and numbers.

use e2e::order_of;

use crate::{SETTLED_WITHIN, bench::Bench, in_days, until_status};

/// The verbs whose answer about one completed saga does not depend on how fast the machine is. `SAGA` and `ORDER` stand for
/// its ids.
const CALM: [&str; 29] = [
    "show SAGA",
    "tree SAGA",
    "explain SAGA",
    "timers SAGA",
    "signals SAGA",
    "list --business-key ORDER",
    "list --query status:completed\u{a0}key:ORDER",
    "list --query colour:red",
    "errors --name cruise",
    "definitions --name booking",
    "plan cancel SAGA",
    "cancel SAGA --reason too-late",
    "cancel SAGA --reason too-late --dry-run",
    "retry SAGA --reason too-late --timeout 60",
    "signal SAGA approval --payload {}",
    "migrations booking 1",
    "dead-letters list --saga SAGA",
    "dead-letters redrive 4711 --reason too-late",
    "quarantine list",
    "quarantine show SAGA",
    "quarantine release SAGA --reason it-is-well",
    "pauses list",
    "jobs create cancel --query key:ORDER --reason too-late --dry-run",
    "exports",
    "approvals list",
    "approvals show apr_00000000000000000000000000000007",
    "whoami",
    "second-factor show",
    "people list",
];

/// The verbs whose answer does depend on it, with words that are always in it.
const LIVELY: [(&str, &[&str]); 10] = [
    ("watch SAGA --exit-status", &["saga: completed"]),
    ("wait SAGA", &[]),
    ("journal SAGA", &["SEQ", "saga_started", "command_done"]),
    ("export SAGA", &["saga_started"]),
    ("reveal SAGA --reason as-a-test", &["FIELD", "travellers", "Ada"]),
    ("timeline SAGA", &["TIME SPENT", "attempt 1", "done", "# under way"]),
    ("throughput", &["ENDED", "completed", "95 of 100"]),
    ("top", &["Needs attention", "Sagas", "Domains", "payment"]),
    ("audit list --target SAGA", &["OUTCOME", "saga_finished", "too-late"]),
    ("audit verify", &["rows follow each other"]),
];

pub(crate) async fn every_verb_that_reads(bench: &mut Bench) {
    let flight = bench.client.flight("LHR", "MLE", in_days(45), "business", 1).await.unwrap();
    let (order, saga) = bench.client.place("verbs", &order_of(&[&flight], "tok_ok")).await.unwrap();
    until_status(&bench.operator, &saga, "completed").await;
    bench.client.until_settled(&order, SETTLED_WITHIN).await;
    let named = |verb: &str| -> Vec<String> {
        // A space within an argument is written as another one in the tables above.
        let named = |word: &str| word.replace("SAGA", &saga).replace("ORDER", &order).replace('\u{a0}', " ");
        verb.split(' ').map(named).collect()
    };
    let mut told = String::new();
    for verb in CALM {
        let arguments = named(verb);
        let ended = bench.sagactl(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let text = format!("{}{}", ended.stdout, ended.stderr);
        let verb = verb.replace('\u{a0}', " ");
        told.push_str(&format!("$ sagactl {verb}\n{}ends with {}\n\n", calm(&text), ended.code.unwrap_or(-1)));
    }
    insta::assert_snapshot!("verbs", told);
    for (verb, words) in LIVELY {
        let arguments = named(verb);
        bench.ends(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), 0, words).await;
    }
}

/// A text without what differs from run to run. Columns are kept apart by two spaces, however wide they were.
fn calm(text: &str) -> String {
    let line = |line: &str| {
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        let cells = cells.map(|cell| cell.split(' ').map(word).collect::<Vec<_>>().join(" "));
        format!("{}\n", cells.collect::<Vec<_>>().join("  "))
    };
    // A busy machine may have asked twice.
    text.replace(", attempt 2", "").lines().map(line).collect()
}

fn word(word: &str) -> String {
    let bare = word.trim_end_matches([',', '.', ';', ':', ')']);
    let rest = &word[bare.len()..];
    let hex = |text: &str| text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let day = |text: &str| text.parse::<chrono::NaiveDate>().is_ok();
    if let Some((name, _)) = bare.split_once(':').filter(|(_, value)| day(value)) {
        return format!("{name}:DAY{rest}");
    }
    let calm = match bare.rsplit_once('_') {
        Some((prefix, id)) if hex(id) => format!("{prefix}_ID"),
        _ if hex(bare) => "HASH".to_owned(),
        _ if chrono::DateTime::parse_from_rfc3339(bare).is_ok() => "TIME".to_owned(),
        _ if !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit()) => "N".to_owned(),
        _ => bare.to_owned(),
    };
    format!("{calm}{rest}")
}
