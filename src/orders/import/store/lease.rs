//! The lease of the running import. Each transaction that writes orders renews it, so that a process that was suspended for longer than the
//! lease cannot write while another import has it.

use crate::clock::Clock;
use crate::database::{Database, Error, Transaction};
use crate::domain::UnixSeconds;
use crate::orders::import::error::ImportError;

/// Seconds.
const LEASE_DURATION: i64 = 60;
/// A lease that expires later than this comes from a clock that was wrong: the clocks of several hosts differ by less.
const MAX_REMAINING: i64 = 2 * LEASE_DURATION;

/// While it is renewed, no other import writes.
pub(in crate::orders::import) struct Lease {
    holder_id: String,
}

/// Acquires the lease.
///
/// # Errors
/// [`ImportError::Running`] while another import has the lease; the database fails.
pub(in crate::orders::import) async fn acquire(database: &Database, clock: &Clock) -> Result<Lease, ImportError> {
    let holder_id = clock.new_id();
    let host = hostname::get().map(|name| name.to_string_lossy().replace('\0', "")).unwrap_or_default();
    loop {
        let now = clock.now();
        let acquired = sqlx::query(
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
        .bind(now.plus(LEASE_DURATION).get())
        .bind(now.get())
        .bind(now.plus(MAX_REMAINING).get())
        .execute(database.writer())
        .await?;
        if acquired.rows_affected() == 1 {
            return Ok(Lease { holder_id });
        }
        check_available(database, now).await?;
        // The other import released the lease between the two statements.
    }
}

/// Fails while another import has the lease.
///
/// # Errors
/// [`ImportError::Running`]; the database fails.
pub(in crate::orders::import) async fn check_available(
    database: &Database,
    now: UnixSeconds,
) -> Result<(), ImportError> {
    let row: Option<(String, i64, i64, i64)> = sqlx::query_as(
        "SELECT host, process_id, started_at, expires_at FROM import_lease
         WHERE name = 'orders' AND expires_at > $1 AND expires_at <= $2",
    )
    .bind(now.get())
    .bind(now.plus(MAX_REMAINING).get())
    .fetch_optional(database.reader())
    .await?;
    let Some((host, process_id, started_at, expires_at)) = row else {
        return Ok(());
    };
    let (started_at, expires_at) = (UnixSeconds::new(started_at), UnixSeconds::new(expires_at));
    Err(ImportError::Running { host, process_id, started_at, expires_at })
}

impl Lease {
    /// Renews the lease in a transaction that writes orders; returns `false` when another import has acquired it.
    pub(in crate::orders::import) async fn renew(
        &self,
        transaction: &mut Transaction,
        clock: &Clock,
    ) -> Result<bool, Error> {
        let renewed = sqlx::query("UPDATE import_lease SET expires_at = $1 WHERE name = 'orders' AND holder_id = $2")
            .bind(clock.now().plus(LEASE_DURATION).get())
            .bind(&self.holder_id)
            .execute(&mut *transaction)
            .await?;
        Ok(renewed.rows_affected() == 1)
    }

    /// Deletes the lease, so that the next import can start at once. If that fails, the lease expires.
    pub(in crate::orders::import) async fn release(self, database: &Database) {
        let deleted = sqlx::query("DELETE FROM import_lease WHERE name = 'orders' AND holder_id = $1")
            .bind(&self.holder_id)
            .execute(database.writer())
            .await;
        if let Err(error) = deleted {
            tracing::warn!(%error, "the import's lease was not released; it expires within a minute");
        }
    }
}
