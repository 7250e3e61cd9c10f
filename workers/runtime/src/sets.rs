//! The commands of a batch as sets that are handled at once: as few as possible, and no two commands of one saga change
//! places. Pure.

use std::collections::BTreeMap;

/// Puts the members of a batch, by their places in it, into sets of one kind, in the order in which the sets are to be
/// handled. Two members of one saga are never in one set, and the earlier one is in an earlier set. No set is empty.
pub(crate) fn sets<S: Ord, K: PartialEq>(members: impl Iterator<Item = (S, K)>) -> Vec<Vec<usize>> {
    let mut sets: Vec<(K, Vec<usize>)> = Vec::new();
    // By saga: the first set that its next member may join.
    let mut free_from: BTreeMap<S, usize> = BTreeMap::new();
    for (place, (saga, kind)) in members.enumerate() {
        let free = free_from.entry(saga).or_default();
        let set = match sets.iter().skip(*free).position(|(theirs, _)| *theirs == kind) {
            Some(after_free) => *free + after_free,
            None => {
                sets.push((kind, Vec::new()));
                sets.len() - 1
            }
        };
        sets[set].1.push(place);
        *free = set + 1;
    }
    sets.into_iter().map(|(_, places)| places).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_of_a_kind_are_one_set() {
        let batch = [(1, "hold"), (2, "confirm"), (3, "hold"), (4, "confirm")];
        assert_eq!(sets(batch.into_iter()), [vec![0, 2], vec![1, 3]]);
        let all_the_same = (0..100).map(|saga| (saga, "hold"));
        assert_eq!(sets(all_the_same).len(), 1);
    }

    #[test]
    fn an_action_its_compensation_and_a_copy_of_it_keep_their_order() {
        let batch = [(1, "hold"), (1, "release"), (2, "release"), (1, "hold"), (3, "hold")];
        assert_eq!(sets(batch.into_iter()), [vec![0, 4], vec![1, 2], vec![3]]);
    }

    proptest! {
        #[test]
        fn every_command_is_in_one_set_and_no_saga_is_turned_round(
            batch in prop::collection::vec((0_u8..6, 0_u8..3), 0..40)
        ) {
            let sets = sets(batch.iter().copied());
            let order: Vec<usize> = sets.iter().flatten().copied().collect();
            let mut places = order.clone();
            places.sort_unstable();
            prop_assert_eq!(places, (0..batch.len()).collect::<Vec<_>>());
            for set in &sets {
                let sagas: std::collections::BTreeSet<u8> = set.iter().map(|place| batch[*place].0).collect();
                prop_assert_eq!(sagas.len(), set.len());
                prop_assert!(set.iter().all(|place| batch[*place].1 == batch[set[0]].1));
            }
            for saga in 0..6 {
                let of_saga: Vec<usize> = order.iter().copied().filter(|place| batch[*place].0 == saga).collect();
                prop_assert!(of_saga.is_sorted());
            }
        }
    }
}
