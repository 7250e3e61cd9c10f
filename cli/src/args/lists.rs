//! The flags of `sagactl list`, and the conditions that jobs share with it.

use chrono::{DateTime, Utc};
use clap::Args;
use contract::saga::SagaStatus;

use super::{LIST_LIMIT_DEFAULT, parse_status};

/// The flags of a listing.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) filter: Filters,
    /// All conditions in the words of the dashboard's query bar, such as 'status:needs_attention age>1h'
    #[arg(short, long, conflicts_with_all = ["Filters", "by_hold"])]
    pub(crate) query: Option<String>,
    /// List what lapses first, in place of the newest; only sagas that hold something
    #[arg(long)]
    pub(crate) by_hold: bool,
    /// The most sagas to list; 0 for all of them
    #[arg(long, default_value_t = LIST_LIMIT_DEFAULT)]
    pub(crate) limit: u32,
}

/// The conditions on sagas.
#[derive(Debug, Args)]
pub(crate) struct Filters {
    /// Only this status; may be repeated
    #[arg(long, value_parser = parse_status, value_delimiter = ',')]
    pub(crate) status: Vec<SagaStatus>,
    /// Only this definition, such as `order`
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Only this business key, such as an order's id
    #[arg(long)]
    pub(crate) business_key: Option<String>,
    /// Only this owner, such as a user's id
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// Only this search attribute, as NAME:VALUE; may be repeated, all of them must hold
    #[arg(long, value_name = "NAME:VALUE")]
    pub(crate) attribute: Vec<String>,
    /// Only sagas that failed this way, as the ERROR column shows it
    #[arg(long)]
    pub(crate) error: Option<String>,
    /// Only sagas that are paused
    #[arg(long)]
    pub(crate) paused: bool,
    /// Started at or after: a time (RFC 3339) or an age such as 30m, 2h, 7d
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Started before: a time (RFC 3339) or an age such as 30m, 2h, 7d
    #[arg(long)]
    pub(crate) until: Option<String>,
    /// Holding something that lapses before that time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) holds_before: Option<DateTime<Utc>>,
}
