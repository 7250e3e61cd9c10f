//! The runtime's own tests, on real PostgreSQL and both brokers.

#[cfg(test)]
mod barrier;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod guests;
#[cfg(test)]
mod hang_ups;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod roll_call;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod toy;
#[cfg(test)]
mod versions;
