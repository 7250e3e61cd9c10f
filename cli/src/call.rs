//! One call of this program: what its commands have at hand beside their own flags.

use chrono::{DateTime, Utc};
use contract::RequestId;
use uuid::Uuid;

use crate::{args::Output, client::Client, stops::Stops};

/// One call of the program.
pub(crate) struct Call {
    pub(crate) client: Client,
    pub(crate) output: Output,
    pub(crate) stops: Stops,
    pub(crate) now: DateTime<Utc>,
    /// New with each call.
    pub(crate) request: RequestId,
}

impl Call {
    /// The name of the request for the item at a place.
    pub(crate) fn request_at(&self, place: usize) -> RequestId {
        RequestId::from_uuid(Uuid::from_u128(self.request.uuid().as_u128() ^ place as u128))
    }
}
