//! The agency's sagas: a folder each, a file per published version.
//!
//! A published version is never edited: instances started under it must finish under it. A change is a new file
//! beside it; the recorded histories in `tests/histories` hold the published versions.

pub mod booking;
pub mod flight_hold;
pub mod order;
pub mod payment;

use machine::{Catalog, CatalogError, DefinitionError};

/// A mistake in this crate, found when a program starts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenCatalog {
    /// A definition has mistakes.
    #[error("the definition of `{saga}` has {} mistake(s): {}", .mistakes.len(), texts(.mistakes))]
    Definition {
        /// The name and version of the saga.
        saga: &'static str,
        /// The mistakes, in the order of the steps.
        mistakes: Vec<DefinitionError>,
    },
    /// The definitions do not go together.
    #[error("the definitions do not go together: {0}")]
    Together(#[from] CatalogError),
}

/// The catalog of every definition, old versions included.
///
/// # Errors
/// [`BrokenCatalog`], never in a released program: the tests build it too.
pub fn all() -> Result<Catalog, BrokenCatalog> {
    let of = |saga| move |mistakes| BrokenCatalog::Definition { saga, mistakes };
    Ok(Catalog::new([
        order::v1::definition().map_err(of("order v1"))?,
        order::v2::definition().map_err(of("order v2"))?,
        booking::v1::definition().map_err(of("booking v1"))?,
        flight_hold::v1::definition().map_err(of("flight_hold v1"))?,
        payment::v1::definition().map_err(of("payment v1"))?,
    ])?)
}

fn texts(mistakes: &[DefinitionError]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
