//! The feed domain's messages, by which a client is told of an order.

use serde::{Deserialize, Serialize};

use crate::{
    command::{Command, Route},
    ids::{OrderId, UserId},
};

/// Puts a line into a person's feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyUser {
    /// The owner of the feed.
    pub user_id: UserId,
    /// The order that the line is about.
    pub order_id: OrderId,
    /// The text, by its name; the feed knows the words.
    pub notice: Notice,
}

/// A text that the feed has words for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// The order is firm.
    OrderConfirmed,
    /// A payment for the order was taken.
    PaymentTaken,
}

/// Answers [`NotifyUser`]: the line is in the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserNotified {}

impl Command for NotifyUser {
    const NAME: &'static str = "feed.notify_user";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Feed;
    type Reply = UserNotified;
}
