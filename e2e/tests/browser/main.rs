//! The operators' pages in a real browser, on a running agency with sagas in every status.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod account;
mod acts;
mod agency;
mod browser;
mod bulk;
mod changes;
mod coverage;
mod device;
mod four_eyes;
mod keyboard;
mod live;
mod own_definition;
mod places;
mod rights;
mod sagas;
mod tour;
mod work;
mod zone;

use agency::{ADMIN, Agency, OPERATOR, PASSWORD, VIEWER};
use browser::Browser;
use coverage::Part;
use private_servers::{ChromeDriver, testing::Proxy};
use sagas::Sagas;

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_and_repair_sagas_in_a_browser() {
    let (agency, browsers) = tokio::join!(Agency::open(), ChromeDriver::start());
    let browsers = browsers.unwrap();
    let sagas = agency.sagas().await;
    let person = async |email: &str| Browser::of(&browsers, &agency.door, email, PASSWORD).await;

    let operator = Browser::start(&browsers, &agency.door).await;
    work::from_the_login_to_an_act(&operator, &sagas.stuck.retried).await;
    keyboard::walks(&operator).await;

    // The tour looks at sagas on which nobody acts meanwhile.
    let ((wrong, admin), ()) = tokio::join!(
        async {
            let (admin, second) = tokio::join!(person(ADMIN), person(ADMIN));
            let wrong = tour::visit_all([&admin, &second], &tour::pages(&sagas)).await;
            second.close().await;
            (wrong, admin)
        },
        many_and_one(&agency, &operator, &sagas),
    );
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));

    two_people(&operator, &admin, &sagas).await;
    changes::nothing_moves_under_the_pointer(&agency, &operator).await;
    changes::the_list_tells_of_newer_sagas(&agency, &operator).await;
    zone::times_are_the_readers(&agency, &operator, &sagas.waiting.seen).await;
    places::a_domain_is_paused(&operator).await;
    places::the_day_ends(&operator).await;
    operator.close().await;

    places::a_person_is_made_and_managed(&admin).await;
    let newcomer = Browser::start(&browsers, &agency.door).await;
    account::a_person_looks_after_a_login(&admin, &newcomer).await;
    newcomer.close().await;
    let viewer = person(VIEWER).await;
    rights::a_viewer_sees_no_person_and_no_form(&admin, &viewer, &sagas.completed).await;
    rights::a_session_ends_with_the_rights(&admin, &viewer).await;
    viewer.close().await;
    admin.close().await;

    let door = format!("{}/", agency.door);
    let way = Proxy::to_server_of(&door).await;
    let operator = Browser::of(&browsers, way.through(&door).trim_end_matches('/'), OPERATOR, PASSWORD).await;
    live::a_lost_stream_is_told_and_caught_up(&agency, &operator, &way, &sagas.waiting.followed).await;
    operator.close().await;

    assert_eq!(agency.panics(), Vec::<String>::new());
    assert_eq!(coverage::never_asked_for(&agency.log(), Part::Agency), Vec::new());
}

/// Acts that one operator does alone.
async fn many_and_one(agency: &Agency, operator: &Browser, sagas: &Sagas) {
    bulk::two_selected_sagas_are_paused(operator, &sagas.holder).await;
    bulk::all_that_match_are_tried_and_stopped(operator, &sagas.holder).await;
    acts::an_act_that_is_not_possible_says_why(operator, sagas).await;
    acts::a_step_is_skipped_with_a_reply(operator, &sagas.stuck.skipped).await;
    acts::a_time_is_set_anew(operator, &sagas.at_the_bank, "the signal payment-action").await;
    acts::a_signal_is_sent(operator, &sagas.waiting.signalled).await;
    acts::a_saga_is_cancelled(operator, &sagas.waiting.cancelled).await;
    acts::a_saga_is_released(agency, operator, &sagas.mended).await;
    changes::what_is_typed_stays(agency, operator, &sagas.waiting.followed).await;
    places::the_desk_is_arranged(operator).await;
    places::a_saga_is_found_by_an_attribute(operator, &sagas.completed).await;
    device::a_login_is_approved(agency, operator).await;
    places::a_login_is_ended(operator).await;
}

/// Acts for which there must be two.
async fn two_people(operator: &Browser, admin: &Browser, sagas: &Sagas) {
    work::two_operators_on_one_saga(operator, admin, &sagas.stuck.contended).await;
    four_eyes::a_saga_is_given_up_by_two(operator, admin, &sagas.stuck.given_up).await;
    acts::a_command_is_edited(operator, admin, &sagas.stuck.edited).await;
    acts::a_compensation_is_resolved_by_hand(operator, admin, &sagas.undoing).await;
    places::a_dead_letter_is_sent_again(operator).await;
}
