//! The accommodation domain on a real PostgreSQL. The runtime's barrier is not in here: handlers are called as it
//! calls them.

mod common;
mod holds;
mod races;
mod selling;
mod villas;
