//! Events of a domain: the outbox that they leave by, and the subscriptions that they arrive by.
//!
//! ```text
//!  handler --emit--> runtime.outbox --relay--> exchange `events` --> events.<subscriber> --> inbox + handler
//!        one transaction         after the commit                  one queue a domain       one transaction
//! ```

pub(crate) mod announcements;
pub(crate) mod outbox;
pub(crate) mod relay;
