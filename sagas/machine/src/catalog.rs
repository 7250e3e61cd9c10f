//! The definitions that an orchestrator knows, by name and version.

use std::{collections::BTreeMap, sync::Arc};

use crate::definition::Definition;

/// Definitions by name and version. Cheap to share: wrap it in an [`Arc`].
#[derive(Debug, Default)]
pub struct Catalog {
    by_name: BTreeMap<String, BTreeMap<u32, Arc<Definition>>>,
}

/// The reason why definitions make no catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Two definitions have the same name and version.
    #[error("`{name}` version {version} is defined twice")]
    DefinedTwice {
        /// The name of the saga.
        name: String,
        /// The version that both have.
        version: u32,
    },
}

impl Catalog {
    /// A catalog of these definitions.
    ///
    /// # Errors
    /// When two have the same name and version.
    pub fn new(definitions: impl IntoIterator<Item = Definition>) -> Result<Self, CatalogError> {
        let mut catalog = Self::default();
        for definition in definitions {
            let (name, version) = (definition.name.clone(), definition.version);
            let versions = catalog.by_name.entry(name.clone()).or_default();
            if versions.insert(version, Arc::new(definition)).is_some() {
                return Err(CatalogError::DefinedTwice { name, version });
            }
        }
        Ok(catalog)
    }

    /// The same definitions with every time so many times as short, for tests that have no hours. A definition that is
    /// shared already keeps its times.
    #[must_use]
    pub fn with_times_divided(mut self, divisor: u32) -> Self {
        for definition in self.by_name.values_mut().flat_map(BTreeMap::values_mut).filter_map(Arc::get_mut) {
            definition.divide_times(divisor);
        }
        self
    }

    /// The same definitions without the versions above this one, for tests in which an earlier program takes part.
    #[must_use]
    pub fn up_to(mut self, version: u32) -> Self {
        self.by_name.values_mut().for_each(|versions| versions.retain(|known, _| *known <= version));
        self
    }

    /// The definition of that name and version.
    #[must_use]
    pub fn get(&self, name: &str, version: u32) -> Option<&Arc<Definition>> {
        self.by_name.get(name)?.get(&version)
    }

    /// The newest version of a saga, which new instances are started with.
    #[must_use]
    pub fn newest(&self, name: &str) -> Option<&Arc<Definition>> {
        self.by_name.get(name)?.last_key_value().map(|(_, definition)| definition)
    }

    /// All definitions, in the order of their names and versions.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.by_name.values().flat_map(BTreeMap::values)
    }
}
