//! The same at the terminal, with the real `sagactl`: times that are listed, set anew and let come, and sagas that are handed over, first
//! as a dry run, then one and many.

use super::{Visas, installation::Installation};

/// Why version 2 cannot take over a saga that has paid a courier.
const COURIER: &str = "step `pay-courier` was begun, and that version has no such step";

pub(super) async fn times_and_versions(installation: &Installation, visas: &Visas) {
    let Visas { seen, handed, express, .. } = visas;
    let says = async |arguments: &[&str], code: i32, words: &[&str]| {
        let ended = installation.sagactl(arguments).await;
        let text = format!("{}{}", ended.stdout, ended.stderr);
        let said = words.iter().all(|word| text.contains(word));
        assert!(ended.code == Some(code) && said, "{arguments:?} without {words:?}: {ended:?}");
        ended.stdout
    };
    says(&["definitions", "--name", "visa"], 0, &["visa v1", "visa v2", "retries_outlast_deadline"]).await;

    let timer = ["--step", "await-embassy", "--reason", "they called"];
    says(&["timers", seen], 0, &["timer", "await-embassy", "deadline"]).await;
    let time = (kit::clock::system().now() + chrono::TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let reschedule = [&["timer", "reschedule", seen, "--at", &time][..], &timer].concat();
    says(&[&reschedule[..], &["--dry-run"]].concat(), 0, &[seen, "running -> completed"]).await;
    says(&reschedule, 0, &[seen, "running"]).await;
    says(&["timers", seen], 0, &[&time]).await;
    let fire = [&["timer", "fire", seen][..], &timer].concat();
    says(&[&fire[..], &["--dry-run"]].concat(), 0, &["order.collect_passport", "!"]).await;
    says(&[&fire[..], &["--wait"]].concat(), 0, &[seen, "completed"]).await;
    says(&fire, 6, &["saga_finished"]).await;

    // Version 2 is taken back: one saga, then all that are left of it.
    says(&["migrations", "visa", "2"], 0, &[express, COURIER, "0 of 1 could be taken over"]).await;
    says(&["migrate", express, "--to", "2", "--reason", "again"], 6, &["migration_impossible", COURIER]).await;
    let back = ["--to", "1", "--reason", "version 2 is withdrawn"];
    let one = [&["migrate", handed][..], &back].concat();
    says(&[&one[..], &["--dry-run"]].concat(), 0, &[handed, "visa v2", "running -> completed"]).await;
    says(&one, 0, &[handed, "visa v1"]).await;
    let many = [&["migrate", "--query", "name:visa version:2 status:running"][..], &back].concat();
    says(&[&many[..], &["--dry-run"]].concat(), 0, &["vis-newer", "vis-family", "visa v2"]).await;
    says(&many, 2, &["pass --yes"]).await;
    says(&[&many[..], &["--yes", "--canary", "1"]].concat(), 0, &["vis-newer", "vis-family", "visa v1"]).await;
    let left = says(&["list", "--query", "name:visa version:2 status:running", "-o", "ids"], 0, &[]).await;
    assert_eq!(left, "");

    let job = ["jobs", "create", "migrate", "--query", "name:visa version:1", "--to", "2", "--reason", "for good"];
    says(&[&job[..], &["--dry-run"]].concat(), 0, &["visa v1", "4 sagas; nothing was done"]).await;
    let made = says(&[&job[..], &["--canary", "1", "--go-on", "-o", "ids"]].concat(), 2, &["pass --yes"]).await;
    assert_eq!(made, "");
    let made = says(&[&job[..], &["--yes", "-o", "ids"]].concat(), 0, &[]).await;
    says(&["jobs", "watch", made.trim()], 5, &["3 of 4 done, 1 refused"]).await;
    says(&["jobs", "items", made.trim(), "--outcome", "refused"], 0, &["migration_impossible", COURIER]).await;
}
