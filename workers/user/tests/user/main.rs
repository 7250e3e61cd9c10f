//! The user domain through its internal HTTP, on real PostgreSQL.

#[cfg(test)]
mod credentials;
#[cfg(test)]
mod house;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod people;
