//! The version of a program, as it tells it of itself to others.

/// The version that this program was built as: the text of `SOJOURN_BUILD` at its build, such as `0.1.0+7e12fcb`, or that of the
/// package. Builds between two releases are told apart by the former alone.
pub const VERSION: &str = match option_env!("SOJOURN_BUILD") {
    Some(build) if !build.is_empty() => build,
    _ => env!("CARGO_PKG_VERSION"),
};
