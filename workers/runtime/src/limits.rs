//! The sizes and times of a worker. Each says why it is what it is.

use std::time::Duration;

use chrono::TimeDelta;

/// The most commands in one transaction. PostgreSQL's rows per second grow little beyond 128 rows a commit
/// (`limits.md`), and a batch that must be run one by one stays short.
pub const BATCH_COMMANDS_MAX: usize = 128;

/// How many deliveries of one domain are held unacknowledged: one batch at work, one in the broker's pipe, and one
/// whose replies are being confirmed.
pub const PREFETCH_COMMANDS: u16 = 384;

/// How many roll calls are held unacknowledged. Each orchestrator asks once for all who look, so a few are many.
pub const PREFETCH_ROLL_CALLS: u16 = 16;

/// How many calls to somebody outside one domain makes at a time.
pub const OUTSIDE_CALLS_MAX: usize = 64;

/// After so long a call to somebody outside counts as unclear. Payment providers answer within a few seconds.
pub const OUTSIDE_CALL_MAX: Duration = Duration::from_secs(10);

/// How often a call is made whose outcome stays unclear, before the command is left unanswered. The saga asks again; a
/// place for calls is not held until then.
pub const UNCLEAR_CALLS_MAX: u32 = 5;

/// After so long without an answer the database counts as gone. Locks and statements have shorter limits in the
/// database itself, so only a network that swallows packets takes so long.
pub const TRANSACTION_MAX: Duration = Duration::from_secs(120);

/// How many reads of one domain use its database at a time. More would only take turns on the server's cores.
pub const READ_CONNECTIONS_MAX: u32 = 5;

/// After so long without a free connection a read is answered `busy`: its caller has a patience of its own.
pub const READ_WAIT_MAX: Duration = Duration::from_secs(2);

/// How many connections the jobs of one domain have: the watch over the server holds one, and the relay, the sweeper
/// and the pruner need one each at times.
pub const JOB_CONNECTIONS_MAX: u32 = 4;

/// After so many lost connections, with a database that answers in between, a command is what ends them: it goes back
/// to the queue, whose limit of deliveries ends it.
pub const CONNECTIONS_LOST_MAX: u32 = 3;

/// After so long a reply that its queue does not take is given up: the command is asked for again, and the inbox repeats
/// its answer.
pub const REPLY_GIVE_UP_AFTER: Duration = Duration::from_secs(5);

/// The pause between two tries of a reply that was not taken.
pub const REPLY_RETRY_PAUSE: Duration = Duration::from_millis(200);

/// How long the inbox remembers. Longer than any saga lives and than a dead letter may be driven again (30 days),
/// because a forgotten command would be carried out twice (S11).
pub const INBOX_RETENTION: TimeDelta = TimeDelta::days(90);

/// How long the records of a sale are kept after it is over: orders, bookings, tickets, stays. Ten years is as long as the
/// books of a travel agency have to be kept in the strictest of the countries that it sells in; the names of travellers
/// are not kept for longer than the law asks.
pub const SALE_RETENTION: TimeDelta = TimeDelta::days(3_653);

/// How often the clock is looked at for a new day, on which ended rows are removed: they harm nothing, they only take room.
pub const PRUNE_LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// How many rows one pruning statement deletes, so that it holds no locks for long.
pub const PRUNE_ROWS_MAX: i64 = 5_000;

/// How many events one publish takes from the outbox.
pub const OUTBOX_BATCH_EVENTS_MAX: i64 = 256;

/// The most events taken in by one transaction, for the same reasons as [`BATCH_COMMANDS_MAX`].
pub const BATCH_EVENTS_MAX: usize = 128;

/// How many events one domain holds unacknowledged: a batch at work, and as many again that wait for another try.
pub const PREFETCH_EVENTS: u16 = 256;

/// After so many tries an event that keeps failing goes to the dead letters. With the pauses in between that is some
/// six minutes: long enough for what the event depends on to arrive, short enough for a person to hear of it today.
pub const EVENT_TRIES_MAX: u32 = 15;

/// The pause after the first failed try of an event; each further one is twice as long.
pub const EVENT_RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause between two tries of an event.
pub const EVENT_RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// The shortest pause between two tries to reach a database or broker that is gone.
pub const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest such pause.
pub const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long a stopping worker may take for what it holds.
pub const DRAIN_MAX: Duration = Duration::from_secs(20);

/// How long, after that, its parts may take to let go. One that does not, because it waits for a server that neither
/// answers nor closes the connection, is left behind: its commands are resumed elsewhere.
pub const LET_GO_MAX: Duration = Duration::from_secs(5);
