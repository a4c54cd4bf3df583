//! Indexes of the target: dropped while it is loaded and built afterwards, which takes a small part of the time.

use sqlx::AssertSqlSafe;

use crate::database::{Engine, Error, Transaction};

/// Drops the indexes that no constraint needs; returns the statements that create them.
pub(super) async fn drop_all(transaction: &mut Transaction) -> Result<Vec<String>, Error> {
    let sql = match transaction.engine() {
        Engine::Sqlite => "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY rowid",
        Engine::Postgres => {
            "SELECT CAST(c.relname AS TEXT), pg_get_indexdef(c.oid)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indexrelid = c.oid
             WHERE n.nspname = current_schema() AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = c.oid)
             ORDER BY c.oid"
        }
    };
    let indexes: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut *transaction).await?;
    let mut creates = Vec::with_capacity(indexes.len());
    for (name, create) in indexes {
        let drop = format!("DROP INDEX \"{name}\"");
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut *transaction).await?;
        creates.push(create);
    }
    Ok(creates)
}

pub(super) async fn create_all(transaction: &mut Transaction, creates: Vec<String>) -> Result<(), Error> {
    for create in creates {
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *transaction).await?;
    }
    Ok(())
}
