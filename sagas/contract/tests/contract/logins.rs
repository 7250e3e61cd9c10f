//! Logins by the device flow, a person's logins, and the codes that people type.

use contract::{
    LoginId,
    user::{
        AskDeviceLogin, DecideDeviceLogin, DeviceClient, DeviceCode, DeviceDecision, DeviceLogin, DeviceLoginAsked,
        Logout, PersonLogin, UserCode,
    },
};
use uuid::Uuid;

use crate::{
    golden::{Golden, golden},
    samples::{at, user},
};

pub(crate) fn login_id() -> LoginId {
    LoginId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_000a))
}

fn code() -> UserCode {
    "WDJB-MJHT".parse().unwrap()
}

fn client() -> DeviceClient {
    "sagactl".parse().unwrap()
}

pub(crate) fn all() -> Vec<Golden> {
    let (device_code, address) = (|| "dc_opaque".to_owned(), || "203.0.113.9".to_owned());
    let login = |client| PersonLogin {
        login_id: login_id(),
        client,
        created_at: at(1),
        used_at: at(5),
        ends_at: at(9),
        current: true,
    };
    let waiting =
        DeviceLogin { user_code: code(), client: client(), address: address(), created_at: at(1), expires_at: at(9) };
    let asked = DeviceLoginAsked { device_code: device_code(), user_code: code(), expires_in: 600, interval: 5 };
    let decide = |decision| DecideDeviceLogin { user_code: code(), user_id: user(), decision };
    vec![
        golden("user.logout", Logout { refresh_token: "opaque".into() }),
        golden("user.login_of_person", login(Some(client()))),
        golden("user.login_of_person.least", login(None)),
        golden("user.ask_device_login", AskDeviceLogin { client: client(), address: address() }),
        golden("user.device_login_asked", asked),
        golden("user.device_code", DeviceCode { device_code: device_code(), client: client() }),
        golden("user.device_login", waiting),
        golden("user.decide_device_login", [DeviceDecision::Approve, DeviceDecision::Deny].map(decide).to_vec()),
    ]
}

#[test]
fn a_code_is_read_however_a_person_types_it_and_shown_in_one_way() {
    for typed in ["WDJB-MJHT", "wdjbmjht", " wdjb mjht ", "W-D-J-B-M-J-H-T", "wdjb_mjht"] {
        assert_eq!(typed.parse::<UserCode>().unwrap().to_string(), "WDJB-MJHT", "{typed}");
    }
    for wrong in ["", "WDJB", "WDJB-MJHTX", "AEIO-UAEI", "WDJ8-MJHT", "\u{17d}DJB-MJHT", &"-".repeat(100)] {
        assert!(wrong.parse::<UserCode>().is_err(), "{wrong}");
    }
}

#[test]
fn the_name_of_a_program_is_short_and_plain() {
    for name in ["sagactl", "sagactl/0.1.0", "my_tool-2", &"x".repeat(64)] {
        assert_eq!(name.parse::<DeviceClient>().unwrap().as_str(), name);
    }
    for wrong in ["", "two words", "<b>", "caf\u{e9}", "a\nb", &"x".repeat(65)] {
        assert!(wrong.parse::<DeviceClient>().is_err(), "{wrong}");
    }
}
