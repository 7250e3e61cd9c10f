//! The open sagas by status, each number with the list behind it.

use contract::{orchestrator_api::SagaCounts, saga::SagaStatus};

use crate::view::{
    marks::{self, Mark},
    saga_addresses,
};

/// The open statuses, in the order in which they are told.
const OPEN: [SagaStatus; 3] = [SagaStatus::NeedsAttention, SagaStatus::Running, SagaStatus::Compensating];

/// A number with a word, and the list behind it.
pub(super) struct Count {
    pub(super) mark: Mark,
    pub(super) number: u64,
    pub(super) address: String,
}

/// The parameters with which all open sagas are counted.
pub(super) fn parameters() -> [(&'static str, String); 1] {
    [("status", OPEN.map(SagaStatus::as_str).join(","))]
}

/// The open sagas by status, of all definitions or of one version of one.
pub(super) fn counts(open: &SagaCounts, of: Option<(&str, u32)>) -> Vec<Count> {
    let counted = OPEN.map(|status| {
        let groups = open
            .groups
            .iter()
            .filter(|group| group.status == status && of.is_none_or(|of| of == (group.name.as_str(), group.version)));
        let query = match of {
            Some((name, version)) => format!("status:{} name:{name} version:{version}", status.as_str()),
            None => format!("status:{}", status.as_str()),
        };
        let number = groups.map(|group| group.sagas).sum();
        Count { mark: marks::of_saga(status), number, address: saga_addresses::address(&query) }
    });
    counted.into()
}

/// The versions of a definition, but for one, that have open sagas, with the number of them.
pub(super) fn of_others(open: &SagaCounts, name: &str, version: u32) -> Vec<(u32, u64)> {
    let mut others: Vec<(u32, u64)> = Vec::new();
    for group in open.groups.iter().filter(|group| group.name == name && group.version != version) {
        match others.iter_mut().find(|(known, _)| *known == group.version) {
            Some((_, sagas)) => *sagas += group.sagas,
            None => others.push((group.version, group.sagas)),
        }
    }
    others
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn open(groups: &[(u32, &str, u64)]) -> SagaCounts {
        let group = |(version, status, sagas): &(u32, &str, u64)| json!({ "name": "order", "version": version, "status": status, "sagas": sagas });
        let groups: Vec<_> = groups.iter().map(group).collect();
        serde_json::from_value(json!({ "sagas": 0, "groups": groups, "ages": [], "quarantined": 0 })).unwrap()
    }

    #[test]
    fn each_version_has_numbers_and_lists_of_its_own() {
        let open = open(&[(1, "running", 3), (1, "compensating", 1), (2, "running", 5)]);
        let told = |version| -> Vec<_> {
            let counts = counts(&open, Some(("order", version)));
            counts.into_iter().filter(|count| count.number > 0).map(|count| (count.number, count.address)).collect()
        };
        assert_eq!(told(2), [(5, "/ops/sagas?q=status%3Arunning+name%3Aorder+version%3A2".to_owned())]);
        assert_eq!(told(1).iter().map(|(number, _)| *number).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(of_others(&open, "order", 2), [(1, 4)]);
        assert_eq!(of_others(&open, "booking", 2), []);
    }
}
