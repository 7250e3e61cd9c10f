//! The processes that share a journal, and who of them owns a shard.

/// A process among those that take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The number of processes, this one included.
    pub members: usize,
    /// The number of those that stand before this one, in an order that all of them see alike.
    pub place: usize,
    /// The shards that some process waits for, in ascending order. Such a shard is served at once when it is given up.
    pub waited_for: Vec<u16>,
}

/// One ownership of a shard, told apart from the ones before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// The shard that is owned.
    pub shard: u16,
    /// Counts the shard's owners.
    pub epoch: i64,
}

impl Membership {
    /// This process's fair share of so many shards. The shares of all members add up to the shards, so no
    /// member is left without one while there are enough.
    #[must_use]
    pub fn share_of(&self, shards: u16) -> usize {
        let (shards, members) = (usize::from(shards), self.members.max(1));
        shards / members + usize::from(self.place < shards % members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_all_members_add_up_and_differ_by_one_at_most() {
        for members in 1..=9 {
            let shares: Vec<_> =
                (0..members).map(|place| Membership { members, place, waited_for: Vec::new() }.share_of(4)).collect();
            assert_eq!(shares.iter().sum::<usize>(), 4, "{shares:?}");
            assert!(
                shares.iter().max().zip(shares.iter().min()).is_some_and(|(max, min)| max - min <= 1),
                "{shares:?}"
            );
        }
    }
}
