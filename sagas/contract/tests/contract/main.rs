//! The wire as golden files: what was once sent must still be read, and still be written as it was.
//!
//! After a deliberate change, `UPDATE_GOLDEN=1 cargo nextest run -p contract` writes them anew; a change to an
//! existing file that is not a new optional field breaks messages that lie in queues and journals.

#[cfg(test)]
mod api;
mod approvals;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod complete;
#[cfg(test)]
mod definitions;
#[cfg(test)]
mod email_addresses;
#[cfg(test)]
mod events;
#[cfg(test)]
mod explanations;
#[cfg(test)]
mod golden;
mod jobs;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod masking;
#[cfg(test)]
mod offers;
mod pauses;
#[cfg(test)]
mod person_names;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod searching;
#[cfg(test)]
mod spellings;
#[cfg(test)]
mod wire;
