//! Acts of people: each changes the domain's rows in one transaction and answers at once.

pub(crate) mod ask_device_login;
pub(crate) mod change_password;
pub(crate) mod change_rights;
pub(crate) mod decide_device_login;
pub(crate) mod log_in;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod reset_password;
pub(crate) mod set_second_factor;
pub(crate) mod trade_device_code;
