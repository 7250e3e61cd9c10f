//! The system's limit of open files, which is often set for programs that serve a handful of people.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the process's limit to `wanted`, or as far as the system allows, and returns what is in force.
pub fn raise_limit(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let raised = limit.maximum.map_or(wanted, |most| most.min(wanted));
    if limit.current.is_some_and(|current| current < raised) {
        let new = Rlimit { current: Some(raised), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, new) {
            tracing::warn!(%error, wanted, "the limit of open files cannot be raised");
        }
    }
    // No limit at all is as good as any number.
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |current| usize::try_from(current).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_never_lowered_and_what_is_in_force_is_told() {
        let before = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let told = raise_limit(1);
        assert_eq!(u64::try_from(told).unwrap(), before);
        assert!(raise_limit(usize::MAX) >= told);
    }
}
