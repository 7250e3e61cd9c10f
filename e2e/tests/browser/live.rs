//! Pages that bring themselves up to date, and say so when they cannot.

use private_servers::testing::{Proxy, Way};

use crate::{agency::Agency, browser::Browser};

/// The way between a browser and the door is cut while the page of a saga is open. The page says that it is lost, and
/// shows what has happened meanwhile as soon as there is a way again.
pub(crate) async fn a_lost_stream_is_told_and_caught_up(agency: &Agency, operator: &Browser, way: &Proxy, saga: &str) {
    operator.open(&format!("/ops/sagas/{saga}")).await;
    operator.until_says("#live-state", "live").await;
    way.set(Way::Cut);
    operator.until_says("#live-state.lost", "not in step").await;
    agency.act(saga, "pause").await;
    way.set(Way::Open);
    operator.until_says(".top .head", "paused").await;
    operator.until_says("#live-state:not(.lost)", "live").await;
}
