//! The results of an act on several items: the ones that worked, and a table of those that did not.

use std::fmt::Display;

use crate::{
    failure::{Exit, Failure},
    output,
};

/// The account of a command over several items.
pub(crate) struct Report<T> {
    /// The items that worked, in order.
    pub(crate) done: Vec<T>,
    failed: Vec<(String, Failure)>,
    left: usize,
}

impl<T> Default for Report<T> {
    fn default() -> Self {
        Self { done: Vec::new(), failed: Vec::new(), left: 0 }
    }
}

impl<T> Report<T> {
    /// Notes how one item went.
    pub(crate) fn add(&mut self, id: impl Display, result: Result<T, Failure>) {
        match result {
            Ok(item) => self.done.push(item),
            Err(failure) => self.failed.push((id.to_string(), failure)),
        }
    }

    /// Notes that the command stopped with so many items untouched.
    pub(crate) fn stopped_with(&mut self, left: usize) {
        self.left = left;
    }

    /// True when the last item failed by the login: all others would fail the same way.
    pub(crate) fn login_failed(&self) -> bool {
        self.failed.last().is_some_and(|(_, failure)| failure.exit == Exit::Auth)
    }

    /// Tells on a terminal how far the command is, over the line before.
    pub(crate) fn tell_progress(&self, of: usize) {
        let so_far = self.done.len() + self.failed.len();
        if of > 1 {
            output::progress(&format!("{so_far} of {of}, {} failed", self.failed.len()), so_far == of);
        }
    }

    /// Prints the failures to stderr and chooses the ending: one failure of one item ends as itself; several as
    /// themselves when all failed alike and nothing worked, else partial.
    pub(crate) fn end(self) -> Result<(), Failure> {
        if self.left > 0 {
            output::note(&format!("{} done, {} failed, {} not touched", self.done.len(), self.failed.len(), self.left));
        }
        let ending = self.ending();
        if self.failed.len() > 1 || (!self.failed.is_empty() && !self.done.is_empty()) {
            let rows = self.failed.iter().map(|(id, failure)| vec![id.clone(), output::printable(&failure.message)]);
            output::note(&output::table(&["ID", "REASON"], rows));
        }
        ending
    }

    fn ending(&self) -> Result<(), Failure> {
        let count = self.failed.len();
        if self.left > 0 {
            let login = self.failed.last().map(|(_, failure)| failure).filter(|_| self.login_failed());
            return Err(login.cloned().unwrap_or_else(Failure::interrupted));
        }
        match self.failed.as_slice() {
            [] => Ok(()),
            [(id, only)] if self.done.is_empty() => Err(Failure::new(only.exit, format!("{id}: {only}"))),
            [(_, first), rest @ ..] if self.done.is_empty() => {
                let alike = rest.iter().all(|(_, failure)| failure.exit == first.exit);
                Err(Failure::new(if alike { first.exit } else { Exit::Error }, format!("all {count} failed")))
            }
            _ => Err(Failure::new(Exit::Partial, format!("{count} of {} failed", count + self.done.len()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(done: usize, failed: &[Exit]) -> Exit {
        let mut report = Report::default();
        for item in 0..done {
            report.add(item, Ok(item));
        }
        for exit in failed {
            report.add("x", Err(Failure::new(*exit, "no")));
        }
        report.ending().map_or_else(|failure| failure.exit, |()| Exit::Ok)
    }

    #[test]
    fn the_ending_tells_all_some_and_none_apart() {
        assert_eq!(ending(2, &[]), Exit::Ok);
        assert_eq!(ending(1, &[Exit::Conflict]), Exit::Partial);
        assert_eq!(ending(0, &[Exit::NotFound]), Exit::NotFound);
        assert_eq!(ending(0, &[Exit::Conflict, Exit::Conflict]), Exit::Conflict);
        assert_eq!(ending(0, &[Exit::Conflict, Exit::NotFound]), Exit::Error);
    }

    #[test]
    fn a_command_that_stopped_ends_as_interrupted_or_by_its_login() {
        let mut report = Report::<u32>::default();
        report.add("x", Err(Failure::new(Exit::Conflict, "no")));
        report.stopped_with(2);
        assert_eq!(report.ending().unwrap_err().exit, Exit::Interrupted);
        report.add("y", Err(Failure::new(Exit::Auth, "the stored login has ended")));
        assert_eq!(report.ending().unwrap_err().exit, Exit::Auth);
    }
}
