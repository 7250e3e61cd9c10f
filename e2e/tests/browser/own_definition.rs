//! The acts that no definition of the agency leads to, on an installation with definitions of its own: a time that is waited for, a
//! version that takes running sagas over, and a family that is turned around.

mod acts;
mod desk;
mod installation;
mod terminal;
mod visa;

use private_servers::ChromeDriver;

use crate::{
    agency::{OPERATOR, PASSWORD},
    browser::Browser,
    coverage::{self, Part},
    tour,
};
use installation::Installation;

/// The sagas that the pages are looked at with, by their ids.
struct Visas {
    /// Looked at, and handed over by a job.
    seen: String,
    /// Waits for a time, which is set anew and comes.
    timed: String,
    /// Handed over alone.
    handed: String,
    /// Has paid a courier, of which version 2 knows nothing.
    express: String,
    /// With a policy, looked at.
    family: String,
    /// With a policy, and cancelled.
    cancelled: String,
}

impl Visas {
    async fn of(installation: &Installation) -> Self {
        let apply = async |visa: &str, wishes: &[&str]| installation.apply(1, visa, wishes).await;
        // The oldest one, which a job takes first.
        let seen = apply("vis-seen", &[]).await;
        let (timed, handed, express, family, cancelled, _) = tokio::join!(
            apply("vis-timed", &[]),
            apply("vis-handed", &[]),
            apply("vis-express", &["express"]),
            apply("vis-family", &["insured"]),
            apply("vis-cancelled", &["insured"]),
            installation.apply(2, "vis-newer", &[]),
        );
        Self { seen, timed, handed, express, family, cancelled }
    }

    /// The name of each page's picture, and its address.
    fn pages(&self) -> Vec<(&'static str, String)> {
        let of = |name, saga: &str, below: &str| (name, format!("/ops/sagas/{saga}{below}"));
        vec![
            ("own-definitions", "/ops/definitions".to_owned()),
            ("own-migration", "/ops/definitions/visa/2/migration".to_owned()),
            ("own-job-new", "/ops/jobs/new?act=migrate&version=2&q=name:visa".to_owned()),
            of("own-saga-waiting", &self.seen, "?tab=waits"),
            of("own-saga-tree", &self.family, "?tab=tree"),
            of("own-act-fire", &self.seen, "/acts/fire_timer?step=await-embassy"),
            of("own-act-migrate", &self.seen, "/acts/migrate?version=2"),
            of("own-act-migrate-refused", &self.express, "/acts/migrate?version=2"),
        ]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_let_times_come_and_hand_sagas_over_to_another_version() {
    let (installation, browsers) = tokio::join!(Installation::open(), ChromeDriver::start());
    let browsers = browsers.unwrap();
    let person = async || Browser::of(&browsers, &installation.door, OPERATOR, PASSWORD).await;
    let (visas, operator, first, second) = tokio::join!(Visas::of(&installation), person(), person(), person());

    acts::the_definitions_tell_what_runs(&installation, &operator).await;
    // The tour looks at sagas on which nobody acts meanwhile.
    let (mut wrong, ()) = tokio::join!(
        async {
            let pages = visas.pages();
            tour::visit_all([&first, &second], &pages).await
        },
        async {
            acts::a_time_is_set_anew_and_comes(&installation, &operator, &visas.timed).await;
            acts::a_version_takes_a_saga_over(&installation, &operator, &visas.handed).await;
            acts::a_saga_that_does_not_fit_says_why(&installation, &operator, &visas.express).await;
            acts::a_family_is_turned_around(&installation, &operator, &visas.cancelled).await;
        }
    );
    let job = acts::many_are_handed_over_by_a_job(&installation, &operator, &visas).await;
    wrong.extend(tour::visit(&first, "own-job", &job).await);
    for browser in [operator, first, second] {
        browser.close().await;
    }
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));

    terminal::times_and_versions(&installation, &visas).await;
    assert_eq!(coverage::never_asked_for(&installation.close().await, Part::OwnDefinition), Vec::new());
}
