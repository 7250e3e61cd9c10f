//! The rows of all databases, to see whether a call has written any.

use std::collections::BTreeMap;

use anyhow::Result;
use sqlx::AssertSqlSafe;

use crate::system::System;

/// Asks for the next question: the rows of each table. Together, the place, the writer and the last locker of a row
/// change with every insert, update, delete and lock.
const TABLES: &str = "
    SELECT format('%I.%I', schemaname, tablename),
           format('SELECT coalesce(sum(hashtextextended(concat(r.ctid, r.xmin, r.xmax), 0)::numeric), 0)::text FROM %I.%I r',
                  schemaname, tablename)
    FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";

impl System {
    /// A fingerprint of all rows of every table of every database, by database and table.
    ///
    /// # Errors
    /// When a database does not answer.
    pub async fn rows(&self) -> Result<BTreeMap<String, String>> {
        let databases = "SELECT datname FROM pg_database WHERE datname LIKE 'sojourn%'";
        let databases: Vec<String> =
            sqlx::query_scalar(databases).fetch_all(&mut self.database("postgres").await?).await?;
        let mut rows = BTreeMap::new();
        for database in databases {
            let mut connection = self.database(&database).await?;
            let tables: Vec<(String, String)> = sqlx::query_as(TABLES).fetch_all(&mut connection).await?;
            for (table, question) in tables {
                let fingerprint = sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(&mut connection).await?;
                rows.insert(format!("{database}: {table}"), fingerprint);
            }
        }
        Ok(rows)
    }
}
