//! A batch that does not get through as a whole is taken apart: its halves are tried, and their halves, until each
//! member that is in the way stands alone. Pure.
//!
//! ```text
//!  128 fail --> 64 settle, and are answered;  64 fail --> 32 settle ..  --> the one that fails, alone
//! ```
//!
//! A part that lost a transaction to somebody faster is tried once more as it is, and one that lost its connection too,
//! because neither need be its own doing. The order of the members is kept.

/// How often a batch may lose its connection before that is taken for the doing of one of its members.
const CONNECTIONS_LOST_MAX: u32 = 2;

/// Members that are carried out in one transaction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<T> {
    /// The members, in their order; never none.
    pub(crate) members: Vec<T>,
    /// Whether another transaction has been faster than this part's.
    pub(crate) overtaken: bool,
}

/// A batch on its way: the parts that are still to be tried.
#[derive(Debug)]
pub(crate) struct Parts<T> {
    /// The next part is the last one.
    left: Vec<Part<T>>,
    connections_lost: u32,
}

impl<T> Parts<T> {
    /// All of `batch` in one part, and then each member of `suspects` alone.
    pub(crate) fn new(batch: Vec<T>, suspects: Vec<T>) -> Self {
        let mut left = Vec::new();
        for suspect in suspects.into_iter().rev() {
            left.push(Part { members: vec![suspect], overtaken: false });
        }
        if !batch.is_empty() {
            left.push(Part { members: batch, overtaken: false });
        }
        Self { left, connections_lost: 0 }
    }

    /// The part to be tried next.
    pub(crate) fn next(&mut self) -> Option<Part<T>> {
        self.left.pop()
    }

    /// This part had a fault: it is halved.
    pub(crate) fn failed(&mut self, part: Part<T>) {
        let Part { mut members, overtaken } = part;
        let second = members.split_off(members.len().div_ceil(2));
        for members in [second, members] {
            if !members.is_empty() {
                self.left.push(Part { members, overtaken });
            }
        }
    }

    /// Another transaction was faster than this part's.
    pub(crate) fn overtaken(&mut self, part: Part<T>) {
        if part.overtaken {
            self.failed(part);
        } else {
            self.left.push(Part { overtaken: true, ..part });
        }
    }

    /// This part lost its connection to the database.
    pub(crate) fn lost_connection(&mut self, part: Part<T>) {
        self.connections_lost += 1;
        if self.connections_lost < CONNECTIONS_LOST_MAX {
            self.left.push(part);
        } else {
            self.failed(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a batch apart as the engine does: a part with a bad member fails, and one alone is done whatever it is.
    fn tried(batch: u32, bad: &[u32], on_failure: fn(&mut Parts<u32>, Part<u32>)) -> (Vec<u32>, usize) {
        let mut parts = Parts::new((0..batch).collect(), Vec::new());
        let (mut done, mut tries) = (Vec::new(), 0);
        while let Some(part) = parts.next() {
            tries += 1;
            if part.members.len() > 1 && part.members.iter().any(|member| bad.contains(member)) {
                on_failure(&mut parts, part);
            } else {
                done.extend(part.members);
            }
        }
        (done, tries)
    }

    #[test]
    fn one_bad_member_costs_a_batch_a_few_tries_and_keeps_the_order() {
        for (batch, bad) in [(128, 0), (128, 77), (128, 127), (127, 3), (2, 1), (1, 0), (3, 2)] {
            let (done, tries) = tried(batch, &[bad], Parts::failed);
            assert_eq!(done, (0..batch).collect::<Vec<_>>());
            assert!(tries <= 15, "{batch} members, {bad} bad: {tries} tries");
        }
        let all_bad: Vec<u32> = (0..128).collect();
        assert_eq!(tried(128, &all_bad, Parts::failed).1, 255);
        assert_eq!(tried(128, &[], Parts::failed).1, 1);
        assert_eq!(tried(0, &[], Parts::failed).1, 0);
    }

    #[test]
    fn a_part_is_overtaken_once_before_it_is_halved() {
        let mut parts = Parts::new(vec![1, 2, 3], Vec::new());
        let part = parts.next().unwrap();
        parts.overtaken(part);
        let part = parts.next().unwrap();
        assert_eq!((part.members.len(), part.overtaken), (3, true));
        parts.overtaken(part);
        assert_eq!(parts.next().unwrap(), Part { members: vec![1, 2], overtaken: true });
        assert_eq!(parts.next().unwrap(), Part { members: vec![3], overtaken: true });
    }

    #[test]
    fn a_batch_that_loses_its_connection_is_tried_again_as_it_is_and_then_taken_apart() {
        let (done, tries) = tried(128, &[77], Parts::lost_connection);
        assert_eq!(done, (0..128).collect::<Vec<_>>());
        assert!(tries <= 16, "{tries} tries");
    }

    #[test]
    fn suspects_come_last_and_alone() {
        let mut parts = Parts::new(vec![1, 2], vec![3, 4]);
        let members = std::iter::from_fn(|| parts.next().map(|part| part.members));
        assert_eq!(members.collect::<Vec<_>>(), [vec![1, 2], vec![3], vec![4]]);
    }
}
