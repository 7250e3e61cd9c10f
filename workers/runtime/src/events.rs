//! Events of a domain: the outbox that they leave by, and the subscriptions that they arrive by.
//!
//! ```text
//!  handler --emit--> runtime.outbox --relay--> exchange `events` --> events.<subscriber> --> inbox + handler
//!        one transaction         after the commit                  one queue a domain       one transaction
//! ```

pub(crate) mod announcements;
pub(crate) mod handler;
pub(crate) mod inbox;
pub(crate) mod intake;
pub(crate) mod outbox;
pub(crate) mod received;
pub(crate) mod relay;
pub(crate) mod subscriber;
