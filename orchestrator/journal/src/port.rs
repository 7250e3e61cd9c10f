//! The storage port. Two adapters fulfil it, PostgreSQL and memory, proven by one conformance suite.
//!
//! ```text
//!  Journal ---- lane(shard) waits for ownership ----> LaneJournal ---- append(batch): ONE transaction, ONE round trip
//!     |                                                    |
//!     | reads for the HTTP interface                       | load, open sagas: rebuilding a lane after a takeover
//! ```
//!
//! Ownership is for speed; the key `(saga_id, seq)` is what makes it safe: an append with a taken `seq` does nothing
//! and says so, and the writer throws its memory of that saga away and loads it again (invariant S15).

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::{
    Attributes, SagaId, StepName, Traceparent,
    orchestrator_api::{AuditFact, AuditHead, AuditRecord, DeadLetterView, Pause, StartKey},
    saga::SagaStatus,
};
use machine::Entry;

use crate::{
    approvals::Approvals, audit::AuditFilter, figures::Figures, jobs::Jobs, pauses::Pauses, retention::Retention,
};
pub use crate::{
    error::JournalError,
    filter::{Filter, Order},
    membership::{Membership, Ownership},
};

/// One committed decision: the entries that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// From 1, without gaps.
    pub seq: u64,
    /// The time of the decision. Kept to the microsecond, like every time outside the entries.
    pub at: DateTime<Utc>,
    /// At least one.
    pub entries: Vec<Entry>,
}

/// The row of a saga: the columns that lists show and filters use.
#[derive(Debug, Clone, PartialEq)]
pub struct SagaRow {
    /// The saga's id, and the row's key.
    pub id: SagaId,
    /// The definition's name.
    pub name: String,
    /// The definition's version.
    pub version: u32,
    /// The fingerprint of the definition's shape.
    pub fingerprint: String,
    /// The shard that the id belongs to.
    pub shard: u16,
    /// The status after the last record.
    pub status: SagaStatus,
    /// The name that the business gives it, such as an order's id.
    pub business_key: String,
    /// The user on whose behalf it runs.
    pub owner: Option<String>,
    /// The search attributes that its definition read from its input when it started.
    pub attributes: Attributes,
    /// W3C trace context of the start.
    pub traceparent: Option<Traceparent>,
    /// The saga that started it.
    pub parent: Option<SagaId>,
    /// The parent's step that started it.
    pub parent_step: Option<StepName>,
    /// Groups sagas that failed the same way.
    pub error: Option<String>,
    /// True while it is paused.
    pub paused: bool,
    /// The time of the start.
    pub created_at: DateTime<Utc>,
    /// The time of the last change of status.
    pub updated_at: DateTime<Utc>,
    /// The time of the end.
    pub finished_at: Option<DateTime<Utc>>,
}

/// One saga's part of a batch. A batch holds at most one of each saga; a second one is answered with
/// [`Appended::SeqTaken`].
#[derive(Debug, Clone)]
pub struct Append {
    /// The saga that is written.
    pub saga_id: SagaId,
    /// The record; its `seq` must be the next one.
    pub record: Record,
    /// The earliest time at which something lapses that the saga holds after the record, while its pivot is not issued.
    pub holds_until: Option<DateTime<Utc>>,
    /// The change of the saga's row that comes with the record.
    pub change: Change,
    /// The change of the saga's sleep that comes with the record.
    pub sleep: Sleep,
    /// The changes of its parent and its children that come with the record.
    pub family: Family,
}

/// The changes to other sagas of the shard that an append makes, all of them or, with the record, none.
#[derive(Debug, Clone, Default)]
pub struct Family {
    /// The sagas that begin: its children, and theirs.
    pub begun: Vec<Begun>,
    /// Its parent, which is awake from now on.
    pub woken: Option<SagaId>,
}

/// A child saga that begins.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The row to be made.
    pub row: SagaRow,
    /// The first record.
    pub record: Record,
    /// The change of the child's sleep.
    pub sleep: Sleep,
}

/// The change that an append makes to the saga's sleep. A saga that sleeps has nothing under way, and a takeover does not
/// load it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleep {
    /// It sleeps, or is awake, as before.
    Unchanged,
    /// It sleeps from now on, or on.
    Asleep {
        /// The saga's status while it sleeps.
        status: SagaStatus,
        /// The time at which it wakes by itself.
        wake_at: Option<DateTime<Utc>>,
    },
    /// It is awake from now on.
    Awake,
}

/// A saga that sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sleeper {
    /// The id of the saga.
    pub saga_id: SagaId,
    /// The saga's status.
    pub status: SagaStatus,
    /// The time at which it wakes by itself.
    pub wake_at: Option<DateTime<Utc>>,
}

/// A saga that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSaga {
    /// The id of the saga.
    pub saga_id: SagaId,
    /// True when it sleeps.
    pub asleep: bool,
    /// The time at which it wakes by itself, while it sleeps.
    pub wake_at: Option<DateTime<Utc>>,
}

/// The change that an append makes to the saga's row.
#[derive(Debug, Clone)]
pub enum Change {
    /// The first record: the row is made, and the start key is taken. When the key is taken already nothing of this
    /// append happens.
    Started {
        /// The row to be made.
        row: Box<SagaRow>,
        /// The key that makes the start idempotent.
        key: Option<StartKey>,
    },
    /// Something changed that the row shows.
    Row {
        /// The status from now on.
        status: SagaStatus,
        /// Groups sagas that failed the same way.
        error: Option<String>,
        /// True while it is paused.
        paused: bool,
        /// The version of the definition that took it over.
        taken_over_by: Option<TakenOver>,
    },
    /// The row stays as it is: most steps.
    None,
}

/// The version of a definition that took a saga over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOver {
    /// The definition's version from now on.
    pub version: u32,
    /// The fingerprint of that version's shape.
    pub fingerprint: String,
}

/// The outcome of one append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is durable.
    Committed,
    /// Another writer has that `seq`, or it is not the next one. Nothing of this append happened.
    SeqTaken,
    /// The start key belongs to an earlier start. Nothing of this append happened. (When that start's saga is the very
    /// one of this append, it was committed before: an attempt whose answer was lost.)
    KeyTaken(ExistingStart),
    /// The storage fails on this saga alone, again and again, though it takes other writes: a damaged page. Nothing of
    /// this append happened; the others of the batch are not affected.
    Damaged {
        /// The storage's own words.
        detail: String,
    },
    /// The storage refuses this content and would refuse it again: a text with U+0000, a key too long for an index, a
    /// time out of range. Nothing of this append happened; the others of the batch are not affected.
    Unstorable {
        /// The storage's own words.
        detail: String,
    },
}

/// An earlier start under the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingStart {
    /// The saga that it started.
    pub saga_id: SagaId,
    /// The business key of that saga.
    pub business_key: String,
    /// The fingerprint of the request that it answered.
    pub fingerprint: String,
}

/// A saga as the journal holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The saga's row.
    pub row: SagaRow,
    /// The saga's journal, in order.
    pub records: Vec<Record>,
}

/// A part of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The sagas, in the order that was asked for. One that cannot be read is left out, and named in the log.
    pub sagas: Vec<Listed>,
    /// The last saga that was looked at, when there are more behind it: the next part is `before`, `after` or `behind` it.
    pub next: Option<Place>,
}

/// A line of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The saga's row.
    pub row: SagaRow,
    /// The earliest time at which something lapses that it holds, as its last record says.
    pub holds_until: Option<DateTime<Utc>>,
}

/// The place of a saga in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The id of the saga.
    pub id: SagaId,
    /// The earliest time at which something lapses that it holds.
    pub holds_until: Option<DateTime<Utc>>,
    /// The time of its end.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Sagas of one definition that failed the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorGroup {
    /// The key of the group.
    pub key: ErrorGroupKey,
    /// The time at which the first of them failed.
    pub first_at: DateTime<Utc>,
    /// The time at which the last of them failed.
    pub last_at: DateTime<Utc>,
    /// Those of the counted ones that wait for a person.
    pub needing_attention: u64,
    /// How many failed in each hour, by the number of hours since 1970, in ascending order; hours without any are left out.
    pub hours: Vec<(i64, u64)>,
}

/// The definition and the error that a group has in common. Groups are listed in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErrorGroupKey {
    /// The definition's name.
    pub name: String,
    /// The error, as the rows of sagas have it.
    pub error: String,
}

/// The part of the error groups that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorGroupsAsked {
    /// Only those of this definition.
    pub name: Option<String>,
    /// Only those behind this one.
    pub after: Option<ErrorGroupKey>,
    /// Failures are counted from this time on; at most [`FAILURES_COUNTED_MAX`] of a group, the newest.
    pub since: DateTime<Utc>,
    /// The most groups.
    pub limit: u32,
}

/// Failures of one group that are counted: more than fail in weeks of trouble, and read from the index in some tens of
/// milliseconds.
pub const FAILURES_COUNTED_MAX: u64 = 100_000;

/// The callers whom a read is for. Each kind has connections of its own, so that many of one never keep out the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// People and pages who look.
    Reads,
    /// Operators who act, and the program itself.
    Acts,
}

/// A saga that is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The id of the saga.
    pub saga_id: SagaId,
    /// The word for the reason.
    pub code: String,
    /// The reason, in words for people.
    pub detail: String,
    /// The time from which it is left alone.
    pub since: DateTime<Utc>,
}

/// A saga that was given up unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenUp {
    /// The saga that started it.
    pub parent: Option<SagaId>,
}

/// A message that could not be handled, to be kept.
#[derive(Debug, Clone)]
pub struct NewDeadLetter {
    /// The broker's id of the message; the same letter is kept once.
    pub message_id: String,
    /// The saga, when the message still tells.
    pub saga_id: Option<SagaId>,
    /// The command, when the message still tells.
    pub command_id: Option<contract::CommandId>,
    /// The queue in which it died.
    pub queue: String,
    /// The exchange to send it to again.
    pub exchange: Option<String>,
    /// The routing key to send it again with.
    pub routing_key: String,
    /// The reason why it was given up.
    pub reason: String,
    /// The message's kind.
    pub kind: String,
    /// The message's body, as it came.
    pub body: Vec<u8>,
    /// The time of its arrival in the dead letters.
    pub received_at: DateTime<Utc>,
}

/// A kept dead letter with all that is needed to send it again.
#[derive(Debug, Clone)]
pub struct KeptDeadLetter {
    /// The letter as operators see it.
    pub view: DeadLetterView,
    /// The letter as it is sent again.
    pub letter: NewDeadLetter,
}

/// The room that the journal has for the weeks ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// All of it is made.
    Enough,
    /// There is room for the present week, and something stood in the way of the rest.
    Short,
}

/// The journal as one process sees it: lanes to write with, and reads.
#[async_trait]
pub trait Journal: Approvals + Figures + Jobs + Pauses + Retention {
    /// The number of shards of this installation. Fixed when the journal was first made.
    fn shards(&self) -> u16;

    /// Waits until this process owns the shard, without polling, and returns the session that owns it. Dropping the
    /// future gives up the wait.
    async fn lane(&self, shard: u16) -> Result<Box<dyn LaneJournal>, JournalError>;

    /// This process among those that take part; changes when one joins or leaves, or begins or ceases to wait for a
    /// shard. Used only to give shards away.
    fn membership(&self) -> tokio::sync::watch::Receiver<Membership>;

    /// The last ownership of a shard, if it ever had one.
    async fn ownership(&self, shard: u16) -> Result<Option<Ownership>, JournalError>;

    /// Ends an ownership from outside, as the loss of its session does: its process hangs, or is cut off from the
    /// broker. True when it was still in force.
    async fn evict(&self, ownership: Ownership) -> Result<bool, JournalError>;

    /// One saga with its whole journal, or none.
    async fn get(&self, id: SagaId) -> Result<Option<Stored>, JournalError> {
        self.read(Door::Reads, id, 0).await
    }

    /// One saga with the records after that number, or none.
    async fn read(&self, door: Door, id: SagaId, after: u64) -> Result<Option<Stored>, JournalError>;

    /// Rows, newest first; at most `limit` of them are looked at.
    async fn list(&self, filter: &Filter, limit: u32) -> Result<Listing, JournalError>;

    /// Groups of sagas that failed the same way, in the order of their keys.
    async fn error_groups(&self, asked: &ErrorGroupsAsked) -> Result<Vec<ErrorGroup>, JournalError>;

    /// The start made under a key, if any.
    async fn find_start(&self, name: &str, key: &str) -> Result<Option<ExistingStart>, JournalError>;

    /// Claims a key for a saga that exists. The answer is what holds the key: the claim, or what came before it.
    async fn claim_key(&self, name: &str, key: &str, claim: &ExistingStart) -> Result<ExistingStart, JournalError>;

    /// The sagas that are left alone, oldest first, after `after`, at most `limit`.
    async fn quarantined(&self, after: Option<SagaId>, limit: u32) -> Result<Vec<Quarantined>, JournalError>;

    /// The quarantine of one saga, if it is left alone.
    async fn quarantine_of(&self, id: SagaId) -> Result<Option<Quarantined>, JournalError>;

    /// Keeps a dead letter; one that is already kept (the same message id from the same queue) stays as it
    /// is.
    async fn keep_dead_letter(&self, letter: &NewDeadLetter) -> Result<(), JournalError>;

    /// Kept dead letters before that number, newest first; of one saga, or of all.
    async fn dead_letters(
        &self,
        door: Door,
        saga: Option<SagaId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeadLetterView>, JournalError>;

    /// One dead letter, to send it again.
    async fn dead_letter(&self, id: i64) -> Result<Option<KeptDeadLetter>, JournalError>;

    /// Notes that it was sent again.
    async fn mark_redriven(&self, id: i64, at: DateTime<Utc>) -> Result<(), JournalError>;

    /// Appends to the audit log; the answer is the row, and the log's head with it.
    async fn audit(&self, fact: &AuditFact) -> Result<AuditRecord, JournalError>;

    /// The audit log's head, as it is noted beside the rows.
    async fn audit_head(&self) -> Result<AuditHead, JournalError>;

    /// The audit log's rows from that number on, at most `limit`.
    async fn audit_from(&self, number: u64, limit: u32) -> Result<Vec<AuditRecord>, JournalError>;

    /// The audit log's rows before that number, newest first, at most `limit`.
    async fn audit_list(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, JournalError>;

    /// Makes room for what comes (partitions for the weeks from `now` on) without holding an append up. Called at start
    /// and once a day, and sooner again while room is short.
    ///
    /// # Errors
    /// When there is no room for the present week.
    async fn prepare(&self, now: DateTime<Utc>) -> Result<Room, JournalError>;

    /// A cheap proof that reads work, for readiness.
    async fn ping(&self) -> Result<(), JournalError>;
}

/// The session that owns one shard. Ownership ends with it: by [`LaneJournal::release`], by dropping it, or by the
/// loss of its connection.
#[async_trait]
pub trait LaneJournal: Send {
    /// The shard that the session owns.
    fn shard(&self) -> u16;

    /// Appends a batch in one transaction and one round trip; one answer for each, in order.
    ///
    /// # Errors
    /// After an error nothing is known: the batch may have been committed. The lane must drop everything it holds of
    /// these sagas and load them again.
    async fn append(&mut self, batch: Vec<Append>) -> Result<Vec<Appended>, JournalError>;

    /// Sagas by id, with their journals, in the order of their ids; missing ones are left out; broken ones are named
    /// beside the others.
    async fn load(&mut self, ids: &[SagaId]) -> Result<Vec<Result<Stored, JournalError>>, JournalError>;

    /// The shard's sagas that are neither final nor asleep, oldest first.
    async fn awake(&mut self) -> Result<Vec<SagaId>, JournalError>;

    /// The shard's sagas that sleep.
    async fn sleepers(&mut self) -> Result<Vec<Sleeper>, JournalError>;

    /// A page of the shard's open sagas behind `after`, in the order of their ids: at most `limit`. Empty also where the
    /// storage cannot read it.
    async fn open_sagas(&mut self, after: Option<SagaId>, limit: u32) -> Result<Vec<OpenSaga>, JournalError>;

    /// The shard's sagas that are left alone.
    async fn in_quarantine(&mut self) -> Result<Vec<SagaId>, JournalError>;

    /// The pauses of domains, definitions and steps that are in force.
    async fn pauses(&mut self) -> Result<Vec<Pause>, JournalError>;

    /// The shard's sagas that are paused.
    async fn paused(&mut self) -> Result<Vec<SagaId>, JournalError>;

    /// Notes that sagas are left alone from now on; one that is already noted keeps its time.
    async fn quarantine(&mut self, sagas: &[Quarantined]) -> Result<(), JournalError>;

    /// Gives a saga up that cannot be read: its row says so, and these entries stand in a record behind its last one, or
    /// nowhere, when no record can be written. It is left alone no longer, and its parent is awake. One that has ended stays
    /// as it ended. None when it does not exist; [`JournalError::Damaged`] when its row cannot be written either.
    async fn abandon(
        &mut self,
        saga: SagaId,
        at: DateTime<Utc>,
        entries: Vec<Entry>,
    ) -> Result<Option<GivenUp>, JournalError>;

    /// A saga that was given up, by its row alone; none for every other one.
    async fn given_up(&mut self, saga: SagaId) -> Result<Option<GivenUp>, JournalError>;

    /// Notes that sagas go on.
    async fn end_quarantine(&mut self, sagas: &[SagaId]) -> Result<(), JournalError>;

    /// Waits until the session is known to be lost, without polling: for a lane with nothing to do. It may be dropped
    /// and called again at will. A loss that shows nowhere shows at the next use.
    async fn lost(&mut self);

    /// Gives the shard up in order.
    async fn release(self: Box<Self>) -> Result<(), JournalError>;
}
