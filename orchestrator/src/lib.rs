//! The orchestrator: it advances sagas, and nothing else does.
//!
//! ```text
//!  HTTP starts --> admission --> lane of a shard <-- replies.<shard> <-- replies, operators, dead letters, watchers
//!                                  | take every input that has arrived
//!                                  | decide each                         (machine: pure)
//!                                  | append all entries                  (journal: one transaction)
//!                                  | publish, acknowledge, answer        (overlaps the next batch's commit)
//! ```
//!
//! A lane is one task that owns one shard; `ownership` decides which shards this process owns. Reads over HTTP go
//! straight to the journal and are answered by any orchestrator; everything that changes a saga reaches its lane
//! through the shard's queue, whichever orchestrator received it. Only starts go another way: to a lane of this
//! process, because the saga's id, and so its shard, is chosen here.

mod program;
mod run;
pub mod settings;
mod shared;

mod admission;
mod lane;
mod lanes;
mod ownership;

mod dead_letters;
mod errands;
mod hub;
mod notes;
mod saga;
mod start;
mod upkeep;
mod wait;

mod http;
mod names;
mod view;

pub use program::{ProgramError, program};
pub use run::{Orchestrator, RunError, run, start};
pub use settings::{Cli, Limits, Settings};
pub use start::{StartAnswer, StartRefused};
