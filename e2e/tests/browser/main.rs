//! The operators' pages in a real browser, on a running agency with sagas in every status.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod agency;
mod browser;
mod device;
mod keyboard;
mod live;
mod rights;
mod tour;
mod work;

use agency::{ADMIN, Agency, OPERATOR, PASSWORD, VIEWER};
use browser::Browser;
use private_servers::{ChromeDriver, testing::Proxy};

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_and_repair_sagas_in_a_browser() {
    let (agency, browsers) = tokio::join!(Agency::open(), ChromeDriver::start());
    let browsers = browsers.unwrap();
    let sagas = agency.sagas().await;
    let person = async |email: &str| Browser::of(&browsers, &agency.door, email, PASSWORD).await;

    let operator = Browser::start(&browsers, &agency.door).await;
    work::from_the_login_to_an_act(&operator, &sagas.stuck[0]).await;
    keyboard::walks(&operator).await;
    device::a_login_is_approved(&agency, &operator).await;

    let (admin, second) = tokio::join!(person(ADMIN), person(ADMIN));
    let wrong = tour::visit_all([&admin, &second], &tour::pages(&sagas)).await;
    second.close().await;
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));

    work::two_operators_on_one_saga(&operator, &admin, &sagas.stuck[1]).await;
    operator.close().await;
    let viewer = person(VIEWER).await;
    rights::a_viewer_sees_no_person_and_no_form(&admin, &viewer, &sagas.completed).await;
    rights::a_session_ends_with_the_rights(&admin, &viewer).await;
    viewer.close().await;
    admin.close().await;

    let door = format!("{}/", agency.door);
    let way = Proxy::to_server_of(&door).await;
    let operator = Browser::of(&browsers, way.through(&door).trim_end_matches('/'), OPERATOR, PASSWORD).await;
    live::a_lost_stream_is_told_and_caught_up(&agency, &operator, &way, &sagas.waiting).await;
    operator.close().await;

    assert_eq!(agency.panics(), Vec::<String>::new());
}
