//! The domain's database.

use sqlx::migrate::Migrator;

/// The name of the database.
pub const DATABASE: &str = "sojourn_payment";

/// Makes the domain's tables, and the sandbox provider's.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/payment");
