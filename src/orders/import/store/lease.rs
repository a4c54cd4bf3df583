//! The lease of the import that runs. Who writes renews it in the same transaction, so that a process that was stopped for longer than a
//! lease and then goes on writes nothing beside the import that took over.

use crate::clock::{Clock, UnixSeconds};
use crate::database::{Database, Error, Transaction};
use crate::orders::import::ImportError;

/// Seconds that a lease holds from its last renewal.
const LEASE: i64 = 60;
/// One that ends further ahead comes from a clock that was wrong; clocks of several hosts differ by less.
const FURTHEST: i64 = 2 * LEASE;

/// Proof that no other import writes, as long as it is renewed.
pub(in crate::orders::import) struct Lease {
    holder_id: String,
}

/// Takes the lease.
///
/// # Errors
/// [`ImportError::Running`] while another import has it; the database's.
pub(in crate::orders::import) async fn acquire(database: &Database, clock: &Clock) -> Result<Lease, ImportError> {
    let holder_id = clock.new_id();
    let host = hostname::get().map(|name| name.to_string_lossy().replace('\0', "")).unwrap_or_default();
    loop {
        let now = clock.now();
        let taken = sqlx::query(
            "INSERT INTO import_lease (name, holder_id, host, process_id, started_at, expires_at)
             VALUES ('orders', $1, $2, $3, $4, $5)
             ON CONFLICT (name) DO UPDATE SET holder_id = excluded.holder_id, host = excluded.host,
                 process_id = excluded.process_id, started_at = excluded.started_at, expires_at = excluded.expires_at
             WHERE import_lease.expires_at <= $6 OR import_lease.expires_at > $7",
        )
        .bind(&holder_id)
        .bind(&host)
        .bind(i64::from(std::process::id()))
        .bind(now.get())
        .bind(now.plus(LEASE).get())
        .bind(now.get())
        .bind(now.plus(FURTHEST).get())
        .execute(database.writer())
        .await?;
        if taken.rows_affected() == 1 {
            return Ok(Lease { holder_id });
        }
        refuse_second(database, now).await?;
        // The other has ended just now.
    }
}

/// Fails while an import has the lease.
///
/// # Errors
/// [`ImportError::Running`]; the database's.
pub(in crate::orders::import) async fn refuse_second(database: &Database, now: UnixSeconds) -> Result<(), ImportError> {
    let row: Option<(String, i64, i64, i64)> = sqlx::query_as(
        "SELECT host, process_id, started_at, expires_at FROM import_lease
         WHERE name = 'orders' AND expires_at > $1 AND expires_at <= $2",
    )
    .bind(now.get())
    .bind(now.plus(FURTHEST).get())
    .fetch_optional(database.reader())
    .await?;
    let Some((host, process_id, started_at, expires_at)) = row else {
        return Ok(());
    };
    let (started_at, expires_at) = (UnixSeconds::new(started_at), UnixSeconds::new(expires_at));
    Err(ImportError::Running { host, process_id, started_at, expires_at })
}

impl Lease {
    /// Renews it in a transaction that writes orders; `false` when another import has it now.
    pub(in crate::orders::import) async fn renew(
        &self,
        transaction: &mut Transaction,
        clock: &Clock,
    ) -> Result<bool, Error> {
        let renewed = sqlx::query("UPDATE import_lease SET expires_at = $1 WHERE name = 'orders' AND holder_id = $2")
            .bind(clock.now().plus(LEASE).get())
            .bind(&self.holder_id)
            .execute(&mut *transaction)
            .await?;
        Ok(renewed.rows_affected() == 1)
    }

    /// Lets the next import start at once. Should that fail, the lease ends by itself.
    pub(in crate::orders::import) async fn release(self, database: &Database) {
        let deleted = sqlx::query("DELETE FROM import_lease WHERE name = 'orders' AND holder_id = $1")
            .bind(&self.holder_id)
            .execute(database.writer())
            .await;
        if let Err(error) = deleted {
            tracing::warn!(%error, "the import's lease was not released; it ends within a minute");
        }
    }
}
