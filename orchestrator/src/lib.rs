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

mod orchestrator;
mod program;
pub mod settings;
mod shared;

mod clock_watch;
mod jobs;
mod lane;
mod maintenance;
mod ownership;
mod peers;
mod saga_instance;
mod watchdog;

mod messages;
mod starts;
mod watching;

mod explain;
mod four_eyes;
mod http;
mod names;
mod plan;
mod roll_call;
mod timeline;
mod view;

pub use orchestrator::{Orchestrator, RunError, run, start};
pub use program::{ProgramError, program};
pub use settings::{Cli, Limits, Retirement, Settings};
