//! The settings of the journal's sessions, and the meaning of their errors.

use sqlx::{ConnectOptions, postgres::PgConnectOptions};

use crate::port::JournalError;

/// The class of the advisory locks that own shards; the object is the shard. Locks are per database, so these
/// numbers need only differ from each other.
pub(super) const LOCK_CLASS_SHARD: i32 = 1;
/// The class of the shared lock that every process holds to be counted.
pub(super) const LOCK_CLASS_MEMBER: i32 = 2;
/// The class of the lock for work on the tables themselves.
pub(super) const LOCK_CLASS_TABLES: i32 = 3;

/// The class of the lock under which jobs are made: their number is bounded.
pub(super) const LOCK_CLASS_JOBS: i32 = 4;

/// The class of the lock for retiring weeks: one process does it.
pub(super) const LOCK_CLASS_RETENTION: i32 = 5;

/// Tells everybody that a job is made or resumed.
pub(super) const CHANNEL_JOBS: &str = "journal_jobs";
/// The channel over which processes tell each other that a job has moved.
pub(super) const CHANNEL_JOBS_MOVED: &str = "journal_jobs_moved";
/// The channel on which processes tell that a pause began or ended.
pub(super) const CHANNEL_PAUSES: &str = "journal_pauses";

/// Tells everybody to count the members again.
pub(super) const CHANNEL_MEMBERS: &str = "journal_members";

/// A peer that vanished without a word (a power cut, a torn cable) is given up about eleven seconds later, and its
/// locks with it: well within what a takeover may take, well above a network's hiccup.
const KEEPALIVE: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "11000"),
];

/// The settings of every session. A query compiled to machine code has never been worth it for statements this short.
const COMMON: [(&str, &str); 3] =
    [("jit", "off"), ("idle_session_timeout", "0"), ("idle_in_transaction_session_timeout", "60000")];

/// A waiter whose program has gone is noticed by the server at this pace; it would else stand in the queue until it is
/// its turn. Nothing waits for locks forever by the server's own settings.
const WAITING: [(&str, &str); 3] =
    [("client_connection_check_interval", "1000"), ("statement_timeout", "0"), ("lock_timeout", "0")];

/// The append is planned once and for all, with the one shape that is right at any size of tables: by keys. A planner
/// that met empty tables would else keep a plan that reads them whole.
const PLANNING: [(&str, &str); 6] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_nestloop", "off"),
    ("enable_mergejoin", "off"),
    ("enable_material", "off"),
];

/// A read for a person or a page; a longer one would be better broken up.
const READING: [(&str, &str); 1] = [("statement_timeout", "15000")];

pub(super) fn lane_options(plain: &PgConnectOptions) -> PgConnectOptions {
    // Waiting for a shard is one statement of days: it must not be reported as slow.
    plain
        .clone()
        .application_name("sojourn journal lane")
        .options(KEEPALIVE)
        .options(COMMON)
        .options(WAITING)
        .options(PLANNING)
        .disable_statement_logging()
}

pub(super) fn link_options(plain: &PgConnectOptions) -> PgConnectOptions {
    plain.clone().application_name("sojourn journal link").options(KEEPALIVE).options(COMMON).options(WAITING)
}

pub(super) fn read_options(plain: &PgConnectOptions) -> PgConnectOptions {
    plain.clone().application_name("sojourn journal reads").options(KEEPALIVE).options(COMMON).options(READING)
}

/// Turns what the database met into the port's error.
pub(super) fn unavailable(doing: &'static str) -> impl Fn(sqlx::Error) -> JournalError {
    move |source| JournalError::Unavailable { doing, source: Box::new(source) }
}

/// PostgreSQL's code for a lock that was not had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// PostgreSQL's code for a table that does not exist.
const UNDEFINED_TABLE: &str = "42P01";

pub(super) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    has_code(error, LOCK_NOT_AVAILABLE)
}

/// True when a statement named a piece of a week that is retired.
pub(super) fn is_piece_gone(error: &sqlx::Error) -> bool {
    has_code(error, UNDEFINED_TABLE)
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some(code)
}

/// The meaning of an error of a write, for the write and for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The content is refused and would be again; nothing was written.
    Content,
    /// It lost against another session (a deadlock); nothing was written, and it may be tried again at once.
    Again,
    /// The session is over, or cannot be trusted any more.
    Lost,
    /// A page or a file cannot be read: perhaps only one saga's. The session lives.
    Damaged,
    /// Anything else, such as a full disk; the session lives.
    Failed,
}

pub(super) fn meaning(error: &sqlx::Error) -> Meaning {
    match error {
        sqlx::Error::Encode(_) => Meaning::Content,
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            match code.get(..2).unwrap_or_default() {
                // Data exceptions, broken constraints, more than a limit of the program (an index's widest key).
                "22" | "23" | "54" => Meaning::Content,
                "40" => Meaning::Again,
                "58" | "XX" => Meaning::Damaged,
                // Cancelled by a person; the session lives.
                "57" if code == "57014" => Meaning::Failed,
                "57" | "08" => Meaning::Lost,
                _ => Meaning::Failed,
            }
        }
        _ => Meaning::Lost,
    }
}
