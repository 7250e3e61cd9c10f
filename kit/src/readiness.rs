//! Readiness: which of the things that a program needs are missing, by name.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A program's needs. Cheap to clone; all clones share.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<String, Result<(), String>>>>);

impl Readiness {
    /// Nothing is needed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how one need stands; the error is shown to whoever asks, so it names no secret.
    pub fn set(&self, need: &str, state: Result<(), String>) {
        let mut needs = self.lock();
        let before = needs.insert(need.to_owned(), state.clone());
        if before.as_ref() != Some(&state) {
            match state {
                Ok(()) => tracing::info!(need, "ready"),
                // A start begins with everything missing; only a loss is worth a warning.
                Err(missing) if before.is_none() => tracing::info!(need, missing, "not ready yet"),
                Err(missing) => tracing::warn!(need, missing, "not ready"),
            }
        }
    }

    /// The needs that are not met, each with the reason. Empty when ready.
    #[must_use]
    pub fn missing(&self) -> BTreeMap<String, String> {
        let needs = self.lock();
        needs.iter().filter_map(|(need, state)| Some((need.clone(), state.clone().err()?))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Result<(), String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_until_it_is_there() {
        let readiness = Readiness::new();
        readiness.set("broker", Err("no connection".to_owned()));
        readiness.set("journal", Ok(()));
        assert_eq!(readiness.missing(), BTreeMap::from([("broker".to_owned(), "no connection".to_owned())]));
        readiness.set("broker", Ok(()));
        assert!(readiness.missing().is_empty());
    }
}
