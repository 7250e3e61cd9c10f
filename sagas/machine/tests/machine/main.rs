//! The tests of the machine, as one program.

#[cfg(test)]
mod children;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod closing;
#[cfg(test)]
mod common;
#[cfg(test)]
mod conditions;
#[cfg(test)]
mod golden;
mod holds;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod linting;
#[cfg(test)]
mod migrating;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod pausing;
#[cfg(test)]
mod planning;
#[cfg(test)]
mod plans;
mod repairs;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod table;
#[cfg(test)]
mod waits;
