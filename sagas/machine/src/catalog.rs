//! The definitions that an orchestrator knows, by name and version.

use std::{collections::BTreeMap, sync::Arc};

use contract::{saga::StepKind, step::StepName};

use crate::{definition::Definition, step::Work};

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
    /// A step starts a saga that is not in the catalog.
    #[error(
        "step `{step}` of `{name}` version {version} starts `{child}` version {child_version}, which is not defined"
    )]
    ChildUnknown {
        /// The name of the saga.
        name: String,
        /// The version of its definition.
        version: u32,
        /// The name of the step.
        step: StepName,
        /// The name of the child's definition.
        child: &'static str,
        /// The version of the child's definition.
        child_version: u32,
    },
    /// A compensatable step starts a saga that could not be undone.
    #[error(
        "step `{step}` of `{name}` version {version} starts `{child}`, which has a pivot: it could not be undone, so make the step a pivot or retriable"
    )]
    ChildWithPivot {
        /// The name of the saga.
        name: String,
        /// The version of its definition.
        version: u32,
        /// The name of the step.
        step: StepName,
        /// The name of the child's definition.
        child: &'static str,
    },
    /// Children of children go on for too long, or in a circle.
    #[error("`{name}` version {version} has children more than {CHILD_LEVELS_MAX} levels deep, or starts itself")]
    ChildrenTooDeep {
        /// The name of the saga.
        name: String,
        /// The version of its definition.
        version: u32,
    },
    /// One saga would start too many others.
    #[error(
        "`{name}` version {version} starts {count} sagas with those that its children start, more than {CHILDREN_MAX}"
    )]
    TooManyChildren {
        /// The name of the saga.
        name: String,
        /// The version of its definition.
        version: u32,
        /// The number of sagas.
        count: usize,
    },
}

/// The most levels of children: more than a person follows. It also ends every circle.
pub const CHILD_LEVELS_MAX: usize = 4;

/// The most sagas that one saga starts, with those that its children start: all of them may begin in one append.
pub const CHILDREN_MAX: usize = 64;

impl Catalog {
    /// A catalog of these definitions.
    ///
    /// # Errors
    /// When two have the same name and version, or one starts child sagas that cannot be.
    pub fn new(definitions: impl IntoIterator<Item = Definition>) -> Result<Self, CatalogError> {
        let mut catalog = Self::default();
        for definition in definitions {
            let (name, version) = (definition.name.clone(), definition.version);
            let versions = catalog.by_name.entry(name.clone()).or_default();
            if versions.insert(version, Arc::new(definition)).is_some() {
                return Err(CatalogError::DefinedTwice { name, version });
            }
        }
        catalog.check_children()?;
        Ok(catalog)
    }

    /// Checks every child, and counts those of each saga.
    fn check_children(&self) -> Result<(), CatalogError> {
        for definition in self.iter() {
            let count = self.children_below(definition, definition, 0)?;
            if count > CHILDREN_MAX {
                let (name, version) = (definition.name.clone(), definition.version);
                return Err(CatalogError::TooManyChildren { name, version, count });
            }
        }
        Ok(())
    }

    /// The number of sagas that one of this definition starts; `root` is the one at the top.
    fn children_below(&self, root: &Definition, definition: &Definition, level: usize) -> Result<usize, CatalogError> {
        let named = |of: &Definition| (of.name.clone(), of.version);
        let mut count = 0;
        for step in &definition.steps {
            let Work::Child(spec) = step.work() else { continue };
            if level == CHILD_LEVELS_MAX {
                let (name, version) = named(root);
                return Err(CatalogError::ChildrenTooDeep { name, version });
            }
            let (name, version) = named(definition);
            let (step_name, child, child_version) = (step.name.clone(), spec.name, spec.version);
            let Some(found) = self.get(child, child_version) else {
                return Err(CatalogError::ChildUnknown { name, version, step: step_name, child, child_version });
            };
            if step.kind == StepKind::Compensatable && found.has_pivot() {
                return Err(CatalogError::ChildWithPivot { name, version, step: step_name, child });
            }
            count += 1 + self.children_below(root, found, level + 1)?;
        }
        Ok(count)
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
