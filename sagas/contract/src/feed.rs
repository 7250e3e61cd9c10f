//! The feed domain's messages: what a client is told.

use serde::{Deserialize, Serialize};

use crate::{
    command::{Command, Route},
    ids::{OrderId, UserId},
};

/// Puts a line into a person's feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyUser {
    /// Whose feed.
    pub user_id: UserId,
    /// What it is about.
    pub order_id: OrderId,
    /// Which text; the feed knows the words.
    pub notice: Notice,
}

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// The order is firm.
    OrderConfirmed,
}

/// The line is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserNotified {}

impl Command for NotifyUser {
    const NAME: &'static str = "feed.notify_user";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Feed;
    type Reply = UserNotified;
}
