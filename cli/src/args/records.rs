//! The flags of `sagactl journal`.

use std::str::FromStr;

use clap::Args;

/// The flags of a journal.
#[derive(Debug, Args)]
pub(crate) struct Journal {
    /// The saga's id
    pub(crate) id: String,
    /// Print what the records after FROM, up to TO, changed in the saga: 0..1 for the first one
    #[arg(long, value_name = "FROM..TO")]
    pub(crate) diff: Option<Between>,
}

/// Two records of a journal between which a saga is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Between {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl FromStr for Between {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        let (from, to) = numbers.ok_or("two numbers of records with two dots between, such as 4..7, are needed")?;
        Ok(Self { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_records_stand_around_two_dots() {
        assert_eq!("4..7".parse(), Ok(Between { from: 4, to: 7 }));
        for wrong in ["", "4", "4..", "..7", "4...7", "4-7", "-1..2", "a..b"] {
            assert!(wrong.parse::<Between>().is_err(), "{wrong}");
        }
    }
}
