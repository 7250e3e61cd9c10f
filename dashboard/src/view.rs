//! The components of the pages, from plain values: each is tested without a server, and none asks for the time.

pub(crate) mod acted;
pub(crate) mod acts;
pub(crate) mod approvals;
pub(crate) mod attributes;
pub(crate) mod changes;
pub(crate) mod charts;
pub(crate) mod columns;
pub(crate) mod form;
pub(crate) mod graph;
pub(crate) mod groups;
pub(crate) mod journal;
pub(crate) mod ledger;
pub(crate) mod marks;
pub(crate) mod names;
pub(crate) mod numbers;
pub(crate) mod payloads;
pub(crate) mod plan;
pub(crate) mod prose;
pub(crate) mod qr_code;
pub(crate) mod rows;
pub(crate) mod saga_addresses;
pub(crate) mod timeline;
pub(crate) mod times;
pub(crate) mod views;
pub(crate) mod waits;
pub(crate) mod ways;
