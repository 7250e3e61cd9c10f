//! The saga of `docs/sagas/tutorial.md`, built and run as the tutorial says: its listings are parts of these files.

#[cfg(test)]
mod definition;
#[cfg(test)]
mod handlers;
#[cfg(test)]
mod listings;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod proof;
#[cfg(test)]
mod running;
