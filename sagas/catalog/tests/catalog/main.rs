//! The tests of the agency's sagas, as one program.

#[cfg(test)]
mod diagrams;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod order;
#[cfg(test)]
mod samples;
