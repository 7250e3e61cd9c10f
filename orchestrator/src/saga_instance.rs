//! One saga in memory: its state, its place in the journal, and the definition that alone may continue it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use contract::{Attributes, Document, SagaId, StepName, Traceparent, saga::Action, step::Op};
use journal::{JournalError, SagaRow, Sleep, Stored};
use machine::{
    Catalog, ChildCall, ChildEnd, CommandToSend, Decision, Definition, Entry, Input, Parent, StartError, State,
    Verdict,
    state::{Phase, StepState},
};

/// The code of content that the journal refuses to store.
pub(crate) const REFUSED_UNSTORABLE: &str = "content_unstorable";

/// The bytes of a saga beside its documents: its steps' progress, its timers, its places in tables.
const BESIDE_DOCUMENTS_BYTES: usize = 3 * 1_024;

/// A document is in memory as its text and as its type, which are about as large.
const DOCUMENT_COPIES: usize = 2;

/// A saga that has nothing to do for so long sleeps: a shorter wait is not worth a row of its own.
const SLEEP_MIN: TimeDelta = TimeDelta::minutes(1);

/// A saga that a lane can advance.
#[derive(Debug)]
pub(crate) struct SagaInstance {
    pub(crate) state: State,
    /// The last committed number; 0 before the start is committed.
    pub(crate) head: u64,
    pub(crate) definition: Arc<Definition>,
    pub(crate) traceparent: Option<Traceparent>,
    pub(crate) names: Names,
    /// The journal's `error` column as it stands.
    pub(crate) error: Option<String>,
    /// The journal's `paused` column as it stands.
    pub(crate) paused: bool,
    /// The journal's `version` column as it stands.
    pub(crate) version: u32,
    /// Whether the journal may hold it for asleep.
    pub(crate) asleep: bool,
}

/// The names under which lists find a saga. A child has those of its parent.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) business_key: String,
    pub(crate) owner: Option<String>,
    /// Its own: a child has none of its parent's.
    pub(crate) attributes: Attributes,
}

impl From<&SagaRow> for Names {
    fn from(row: &SagaRow) -> Self {
        Self { business_key: row.business_key.clone(), owner: row.owner.clone(), attributes: row.attributes.clone() }
    }
}

/// A saga that begins, with its first entries and commands.
pub(crate) struct Begun {
    pub(crate) instance: SagaInstance,
    pub(crate) entries: Vec<Entry>,
    pub(crate) commands: Vec<CommandToSend>,
    pub(crate) children: Vec<ChildCall>,
}

/// The consequence of one input.
pub(crate) struct Decided {
    pub(crate) entries: Vec<Entry>,
    pub(crate) commands: Vec<CommandToSend>,
    pub(crate) children: Vec<ChildCall>,
    pub(crate) verdict: Verdict,
}

/// The reason why a saga is left alone. The saga stays as it is in the journal; nothing is guessed about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Parked {
    /// This program does not know the definition.
    #[error("this orchestrator does not know `{name}` version {version}")]
    UnknownDefinition { name: String, version: u32 },
    /// It knows another shape under the same name and version.
    #[error("`{name}` version {version} has the fingerprint {ours} here, but the saga was started under {theirs}")]
    FingerprintMismatch { name: String, version: u32, ours: String, theirs: String },
    /// Its rows cannot be read.
    #[error("{0}")]
    BrokenRow(String),
    /// The storage cannot read or write it.
    #[error("{0}")]
    Damaged(String),
    /// A later program wrote what this one does not understand.
    #[error("{0}")]
    ReaderOutdated(String),
    /// Its journal has a gap or no start.
    #[error("the journal has {0}")]
    BrokenJournal(String),
    /// Its next record cannot be stored, and no message brought it about.
    #[error("the journal cannot store what follows: {0}")]
    Unstorable(String),
    /// The machine failed on it: a bug.
    #[error("the machine failed on this saga: {0}")]
    MachineFailed(String),
}

impl Parked {
    /// The word in metrics, views and dead letters.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::UnknownDefinition { .. } => "definition_unknown",
            Self::FingerprintMismatch { .. } => "fingerprint_mismatch",
            Self::BrokenRow(_) => "row_broken",
            Self::Damaged(_) => "journal_damaged",
            Self::ReaderOutdated(_) => "reader_outdated",
            Self::BrokenJournal(_) => "journal_broken",
            Self::Unstorable(_) => REFUSED_UNSTORABLE,
            Self::MachineFailed(_) => "machine_failed",
        }
    }

    /// A saga that the journal could not read.
    pub(crate) fn broken(error: &JournalError) -> Self {
        match error {
            JournalError::Damaged { .. } => Self::Damaged(error.to_string()),
            JournalError::NewerReader { .. } => Self::ReaderOutdated(error.to_string()),
            JournalError::BrokenRow { .. }
            | JournalError::Busy { .. }
            | JournalError::Unavailable { .. }
            | JournalError::OwnershipLost { .. } => Self::BrokenRow(error.to_string()),
        }
    }
}

impl SagaInstance {
    /// Rebuilds a saga from its journal.
    pub(crate) fn restore(catalog: &Catalog, stored: &Stored) -> Result<Self, Parked> {
        let state = replay(stored)?;
        let definition = definition_of(catalog, &state)?;
        Ok(Self::stored(stored, state, definition))
    }

    /// Rebuilds a saga that is left alone, to be given up: under its definition, whose command then closes its business
    /// object, or, where that is unknown here or the machine fails under it, under another one. That one does not fit, so
    /// the machine takes nothing but giving up, and sends nothing. None when the journal cannot be replayed.
    pub(crate) fn to_be_abandoned(
        catalog: &Catalog,
        stored: &Stored,
        input: &Input,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let state = replay(stored).ok()?;
        let own = definition_of(catalog, &state).ok();
        let own = own.filter(|own| guarded(|| machine::decide(own, state.clone(), input, now)).is_ok());
        let definition = own.or_else(|| catalog.iter().find(|other| !other.fits(&state)).map(Arc::clone))?;
        Some(Self::stored(stored, state, definition))
    }

    fn stored(stored: &Stored, state: State, definition: Arc<Definition>) -> Self {
        let head = stored.records.last().map_or(0, |record| record.seq);
        let SagaRow { traceparent, ref error, paused, version, .. } = stored.row;
        let (names, error) = (Names::from(&stored.row), error.clone());
        Self { state, head, definition, traceparent, names, error, paused, version, asleep: true }
    }

    /// A saga that begins. Nothing of it is committed yet.
    pub(crate) fn begin(
        definition: &Arc<Definition>,
        saga_id: SagaId,
        parent: Option<Parent>,
        input: Document,
        (traceparent, names): (Option<Traceparent>, Names),
        now: DateTime<Utc>,
    ) -> Result<Result<Begun, StartError>, Parked> {
        let started = guarded(|| {
            let attributes = machine::attributes(definition, &input)?;
            machine::start(definition, saga_id, parent, input, now).map(|decision| (decision, attributes))
        })?;
        let begun = started.map(|(Decision { entries, state, commands, children, verdict: _ }, attributes)| {
            let names = Names { attributes, ..names };
            let paused = state.pause.is_some();
            let instance = Self {
                state,
                head: 0,
                definition: Arc::clone(definition),
                traceparent,
                names,
                error: None,
                paused,
                version: definition.version(),
                asleep: false,
            };
            Begun { instance, entries, commands, children }
        });
        Ok(begun)
    }

    pub(crate) const fn id(&self) -> SagaId {
        self.state.saga_id
    }

    /// Decides one input, and is in the state that it leads to. The caller commits the entries, or throws this saga away;
    /// one that the machine failed on has lost its state and can only be thrown away.
    pub(crate) fn decide(&mut self, catalog: &Catalog, input: &Input, now: DateTime<Utc>) -> Result<Decided, Parked> {
        let stateless = State::new(self.id());
        let state = std::mem::replace(&mut self.state, stateless);
        let Decision { entries, state, commands, children, verdict } =
            match (input, other_version(catalog, &state, input)) {
                (Input::Operator { operator, terms, .. }, Some(to)) => {
                    let migrated = guarded(|| machine::migrate(&self.definition, to, state, operator, *terms, now))?;
                    if to.fits(&migrated.state) {
                        self.definition = Arc::clone(to);
                    }
                    migrated
                }
                (_, _) => guarded(|| machine::decide(&self.definition, state, input, now))?,
            };
        self.state = state;
        Ok(Decided { entries, commands, children, verdict })
    }

    /// The commands that must be outstanding right now.
    pub(crate) fn resume(&self) -> Result<Vec<CommandToSend>, Parked> {
        guarded(|| machine::resume(&self.definition, &self.state))
    }

    /// The saga's end, for its parent. A result that cannot be made is none, which its parent tells a person.
    pub(crate) fn end(&self) -> Option<ChildEnd> {
        match guarded(|| machine::child::end(&self.definition, &self.state)) {
            Ok(Ok(end)) => end,
            failed => {
                tracing::error!(saga_id = %self.id(), ?failed, "the result of a child cannot be made");
                Some(ChildEnd::Completed { result: Document::default() })
            }
        }
    }

    /// The children that it waits for.
    pub(crate) fn children_awaited(&self) -> impl Iterator<Item = SagaId> {
        machine::owed_to_children(&self.state).into_iter().filter_map(|call| match call {
            ChildCall::Begin(_) => None,
            ChildCall::Undo { child, .. } | ChildCall::Ask { child } => Some(child),
        })
    }

    /// True while a reply is awaited.
    pub(crate) fn is_busy(&self) -> bool {
        self.awaited().next().is_some()
    }

    /// The commands whose replies are awaited, by step and direction.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = (&StepName, Op)> {
        let ops = if self.state.status.is_final() { &[] } else { machine::ops(&self.state) };
        ops.iter().flat_map(move |op| {
            let is_awaited =
                |(_, step): &(_, &StepState)| matches!(step.progress(*op).phase, Phase::Outstanding { .. });
            self.state.steps.iter().filter(is_awaited).map(|(name, _)| (name, *op))
        })
    }

    /// An estimate of the memory that it takes while a command of it is under way.
    pub(crate) fn bytes(&self) -> usize {
        let replies = self
            .state
            .steps
            .values()
            .flat_map(|step| [&step.action.phase, &step.compensation.phase, &step.extension.phase]);
        let replies = replies.map(|phase| match phase {
            Phase::Done { reply } => reply.text().len() * DOCUMENT_COPIES,
            Phase::Idle | Phase::Outstanding { .. } | Phase::Waiting { .. } => 0,
            Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } | Phase::AwaitingChild { .. } => 0,
            Phase::Refused | Phase::GivenUp | Phase::Stuck => 0,
        });
        let signals = self.state.signals.iter().map(|signal| signal.payload.text().len() * DOCUMENT_COPIES);
        bytes_of(&self.state.input) + replies.sum::<usize>() + signals.sum::<usize>()
    }

    /// Decides whether the saga sleeps from its next record on; the change to be stored with the record.
    pub(crate) fn fall_asleep_or_wake(&mut self, now: DateTime<Utc>) -> Sleep {
        let (status, wake_at) = (self.state.status, self.next_wake(now));
        let was_asleep = self.asleep;
        // A child that is to be undone is told again after a takeover, which loads no saga that sleeps.
        let undoes = machine::owed_to_children(&self.state).iter().any(|call| matches!(call, ChildCall::Undo { .. }));
        let rests = !status.is_final() && !self.is_busy() && !undoes;
        self.asleep = rests && wake_at.is_none_or(|wake| wake >= now + SLEEP_MIN);
        match (was_asleep, self.asleep) {
            (_, true) => Sleep::Asleep { status, wake_at },
            (true, false) => Sleep::Awake,
            (false, false) => Sleep::Unchanged,
        }
    }

    /// Keeps the saga awake from its next record on; the change to be stored with the record.
    pub(crate) const fn stay_awake(&mut self) -> Sleep {
        let was_asleep = self.asleep;
        self.asleep = false;
        if was_asleep { Sleep::Awake } else { Sleep::Unchanged }
    }

    /// The time at which the machine wants to hear that time has passed.
    pub(crate) fn next_wake(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        machine::next_wake(&self.definition, &self.state, now)
    }

    /// The earliest time at which something lapses that it holds.
    pub(crate) fn holds_until(&self) -> Option<DateTime<Utc>> {
        machine::holds_until(&self.definition, &self.state)
    }

    /// The time since which something is retried that must succeed in the end.
    pub(crate) fn retrying_since(&self) -> Option<DateTime<Utc>> {
        machine::retrying_since(&self.definition, &self.state)
    }
}

/// An estimate of the memory that a saga with this input takes at first.
pub(crate) fn bytes_of(input: &Document) -> usize {
    BESIDE_DOCUMENTS_BYTES + input.text().len() * DOCUMENT_COPIES
}

/// The state that a journal adds up to.
pub(crate) fn replay(stored: &Stored) -> Result<State, Parked> {
    let mut state = State::new(stored.row.id);
    for (record, expected) in stored.records.iter().zip(1..) {
        if record.seq != expected {
            return Err(Parked::BrokenJournal(format!("the number {} where {expected} should be", record.seq)));
        }
        guarded(|| record.entries.iter().for_each(|entry| machine::evolve(&mut state, entry)))?;
    }
    if state.name.is_empty() { Err(Parked::BrokenJournal("no start".to_owned())) } else { Ok(state) }
}

/// The definition under which a saga was started, if this program has the very same.
pub(crate) fn definition_of(catalog: &Catalog, state: &State) -> Result<Arc<Definition>, Parked> {
    let State { name, version, fingerprint, .. } = state;
    let Some(definition) = catalog.get(name, *version) else {
        return Err(Parked::UnknownDefinition { name: name.clone(), version: *version });
    };
    if definition.fits(state) {
        Ok(Arc::clone(definition))
    } else {
        let (ours, theirs) = (definition.fingerprint().to_string(), fingerprint.to_string());
        Err(Parked::FingerprintMismatch { name: name.clone(), version: *version, ours, theirs })
    }
}

/// The version that is to take a saga over, when an operator asks for that and this program knows it.
fn other_version<'c>(catalog: &'c Catalog, state: &State, input: &Input) -> Option<&'c Arc<Definition>> {
    match input {
        Input::Operator { action: Action::Migrate { version }, .. } => catalog.get(&state.name, *version),
        Input::Operator { .. } | Input::Replied { .. } | Input::DeadLettered { .. } | Input::ReplyMissing { .. } => {
            None
        }
        Input::Signaled(_) | Input::ChildEnded { .. } | Input::Undo { .. } | Input::TimePassed => None,
    }
}

/// A panic of the machine is a bug; it costs the saga that met it, and no other of its lane.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Parked> {
    machine::catch_panic(work).map_err(Parked::MachineFailed)
}
