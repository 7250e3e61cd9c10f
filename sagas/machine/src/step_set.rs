//! A set of a definition's steps, as bits: dependencies are asked about at every decision.

/// The most steps of one definition: what fits one machine word. The longest saga of the agency has nine.
pub(crate) const STEPS_MAX: usize = 64;

/// Some of the steps of one definition, by their position in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct StepSet(u64);

impl StepSet {
    /// Adds a step. A position past [`STEPS_MAX`] is not kept: the builder refuses such a definition.
    pub(crate) fn insert(&mut self, step: usize) {
        self.0 |= Self::bit(step);
    }

    /// True when the step is in the set.
    pub(crate) fn contains(self, step: usize) -> bool {
        self.0 & Self::bit(step) != 0
    }

    /// Both sets' steps.
    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True when every step of this set is in `other`.
    pub(crate) const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// True when no step is in both sets.
    pub(crate) const fn is_apart_from(self, other: Self) -> bool {
        self.0 & other.0 == 0
    }

    /// True when no step is in the set.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn bit(step: usize) -> u64 {
        u32::try_from(step).ok().and_then(|step| 1_u64.checked_shl(step)).unwrap_or(0)
    }
}
