//! `audit list` and `audit verify`.

use crate::{door::Door, run::Sagactl};

#[tokio::test]
async fn the_audit_log_is_listed_with_its_filters() {
    let door = Door::open().await;
    let listed = Sagactl::at(&door, &["audit", "list", "--actor", "usr_1", "--act", "cancel"]).run().await;
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    insta::assert_snapshot!("audit_table", listed.stdout);
    assert!(door.seen()[0].0.contains(r#""act": "cancel", "actor": "usr_1""#), "{:?}", door.seen());
}

#[tokio::test]
async fn the_chain_is_followed_to_its_end_and_its_head_is_shown() {
    let door = Door::open().await;
    let whole = Sagactl::at(&door, &["audit", "verify", "--head", "4:bb"]).run().await;
    assert_eq!((whole.code, whole.stdout.as_str()), (0, "4 rows follow each other; head 4:bb\n"), "{}", whole.stderr);
    let anew = Sagactl::at(&door, &["audit", "verify", "--head", "4:cc"]).run().await;
    assert_eq!((anew.code, anew.stdout.as_str()), (1, ""));
    assert!(anew.stderr.contains("written anew"), "{}", anew.stderr);
    let wrong = Sagactl::at(&door, &["audit", "verify", "--head", "four"]).run().await;
    assert_eq!(wrong.code, 2);
}

#[tokio::test]
async fn a_broken_chain_is_an_error_that_names_the_row() {
    let door = Door::open().await;
    door.inner().broken_at = Some(3);
    let broken = Sagactl::at(&door, &["audit", "verify"]).run().await;
    assert_eq!((broken.code, broken.stdout.as_str()), (1, ""));
    assert!(broken.stderr.contains("row 3"), "{}", broken.stderr);
}
