//! Migrations: compared by every command, applied by `serve` and `migrate`, by one process at a time.
//!
//! Missing migrations are applied in one transaction that holds a lock: a failed one changes nothing, and processes that start together
//! wait for each other. The lock ends with the transaction because behind a pooler the next one may use another connection.

use std::time::Instant;

use sqlx::migrate::{AppliedMigration, Migrate, Migration, Migrator};

use super::{Database, Engine, Error, OpenError, Transaction, error};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The key of the advisory lock is "orders" in ASCII.
const POSTGRES_LOCK: &str = "SELECT pg_advisory_xact_lock(122549823632499)";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedNow {
    pub version: i64,
    pub description: String,
}

impl From<&Migration> for AppliedNow {
    fn from(migration: &Migration) -> Self {
        Self { version: migration.version, description: migration.description.to_string() }
    }
}

/// The migrations that were missing.
#[derive(Debug, Default)]
pub struct Migrated {
    /// Applied by this process.
    pub here: Vec<AppliedNow>,
    /// Applied by another process while this one waited for it.
    pub elsewhere: Vec<AppliedNow>,
}

impl Database {
    /// Checks that the database has exactly the migrations of this program.
    ///
    /// # Errors
    /// [`OpenError::Newer`] and [`OpenError::Changed`], which [`migrate`](Self::migrate) returns too; [`OpenError::Behind`], which it fixes;
    /// [`OpenError::Migrate`] if the database does not answer.
    pub async fn compare_migrations(&self) -> Result<(), OpenError> {
        match self.missing().await?.len() {
            0 => Ok(()),
            missing => Err(OpenError::Behind { missing }),
        }
    }

    /// Applies the missing migrations and returns them.
    ///
    /// # Errors
    /// [`OpenError::Newer`] or [`OpenError::Changed`] if another version migrated the database, else [`OpenError::Migrate`]. Nothing was
    /// changed.
    pub async fn migrate(&self) -> Result<Migrated, OpenError> {
        let before = self.missing().await?;
        if before.is_empty() {
            return Ok(Migrated::default());
        }
        let begin = match self.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN; SET LOCAL statement_timeout = 0",
        };
        let mut transaction = Transaction::begin(&self.writers, begin, self.engine, self.is_behind_pooler).await?;
        let missing = self.apply_missing(&mut transaction).await?;
        transaction.commit().await?;
        let is_here = |migration: &&&Migration| missing.iter().any(|other| other.version == migration.version);
        let (here, elsewhere): (Vec<&Migration>, Vec<&Migration>) = before.iter().partition(|one| is_here(one));
        Ok(Migrated {
            here: here.into_iter().map(AppliedNow::from).collect(),
            elsewhere: elsewhere.into_iter().map(AppliedNow::from).collect(),
        })
    }

    async fn apply_missing(&self, transaction: &mut Transaction) -> Result<Vec<&'static Migration>, OpenError> {
        if self.engine == Engine::Postgres {
            sqlx::raw_sql(POSTGRES_LOCK).execute(&mut *transaction).await?;
        }
        transaction.connection().ensure_migrations_table(&MIGRATIONS.table_name).await?;
        let missing = missing_among(&applied(&mut *transaction).await?)?;
        for migration in &missing {
            apply(transaction, migration).await?;
        }
        Ok(missing)
    }

    async fn missing(&self) -> Result<Vec<&'static Migration>, OpenError> {
        match applied(self.reader()).await {
            Ok(applied) => missing_among(&applied),
            Err(error) if error::is_missing_table(&error) => missing_among(&[]),
            Err(error) => Err(error.into()),
        }
    }
}

async fn applied(executor: impl sqlx::Executor<'_, Database = sqlx::Any>) -> Result<Vec<AppliedMigration>, Error> {
    let sql = format!("SELECT version, checksum FROM {} ORDER BY version", MIGRATIONS.table_name);
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(executor).await?;
    let applied = |(version, checksum): (_, Vec<u8>)| AppliedMigration { version, checksum: checksum.into() };
    Ok(rows.into_iter().map(applied).collect())
}

fn missing_among(applied: &[AppliedMigration]) -> Result<Vec<&'static Migration>, OpenError> {
    for there in applied {
        match MIGRATIONS.iter().find(|migration| migration.version == there.version) {
            None => return Err(OpenError::Newer(there.version)),
            Some(known) if known.checksum != there.checksum => return Err(OpenError::Changed(there.version)),
            Some(_) => {}
        }
    }
    let is_missing = |migration: &&Migration| applied.iter().all(|there| there.version != migration.version);
    Ok(MIGRATIONS.iter().filter(is_missing).collect())
}

/// Runs one migration and records it in sqlx's table, as sqlx does.
async fn apply(transaction: &mut Transaction, migration: &Migration) -> Result<(), Error> {
    let began = Instant::now();
    sqlx::raw_sql(migration.sql.clone()).execute(&mut *transaction).await?;
    let insert = format!(
        "INSERT INTO {} (version, description, success, checksum, execution_time) VALUES ($1, $2, TRUE, $3, $4)",
        MIGRATIONS.table_name
    );
    sqlx::query(sqlx::AssertSqlSafe(insert))
        .bind(migration.version)
        .bind(migration.description.to_string())
        .bind(migration.checksum.to_vec())
        .bind(i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX))
        .execute(transaction)
        .await
        .map(drop)
}
