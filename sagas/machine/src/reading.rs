//! A type that documents from outside are read as, erased: what checks a document, and what tells the fields that it has.

use contract::{Document, orchestrator_api::FieldShape};
use serde::de::DeserializeOwned;

use crate::{
    fields,
    json::{Mismatch, check},
};

/// The two questions that a definition asks of a type.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    check: fn(&Document) -> Result<(), Mismatch>,
    fields: fn() -> Option<Vec<FieldShape>>,
}

impl Reading {
    pub(crate) const fn of<T: DeserializeOwned + Send + Sync + 'static>() -> Self {
        Self { check: check::<T>, fields: fields::of::<T> }
    }

    /// Checks that a document is of the type.
    pub(crate) fn check(self, document: &Document) -> Result<(), Mismatch> {
        (self.check)(document)
    }

    /// The fields of the type; none of one that is no struct.
    pub(crate) fn fields(self) -> Option<Vec<FieldShape>> {
        (self.fields)()
    }
}
