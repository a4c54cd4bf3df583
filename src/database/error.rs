//! Classifies database errors: conflict, busy, unavailable, or a bug.

use super::Error;

/// SQLSTATE 40001 and 40P01: PostgreSQL aborted one of two conflicting transactions, which can be retried.
pub fn is_conflict(error: &Error) -> bool {
    matches!(code(error).as_deref(), Some("40001" | "40P01"))
}

/// Whether a retry of the transaction may succeed: after a conflict, or after a referenced row was deleted by another transaction
/// (SQLSTATE 23503 on PostgreSQL).
pub(super) fn is_retryable(error: &Error) -> bool {
    is_conflict(error) || code(error).as_deref() == Some("23503")
}

/// Whether the database was too busy: no free connection, SQLite's writer locked too long, a conflict in every attempt, or a
/// statement timeout (57014, 55P03).
pub fn is_busy(error: &Error) -> bool {
    let is_locked = matches!(sqlite_code(error), Some(SQLITE_BUSY | SQLITE_LOCKED));
    matches!(error, Error::PoolTimedOut)
        || is_conflict(error)
        || is_locked
        || matches!(code(error).as_deref(), Some("57014" | "55P03"))
}

/// Whether the database is unavailable: its disk is full or read-only, its server is down, restarting or read-only. The request is not
/// at fault, and no restart of this program is needed.
pub fn is_unavailable(error: &Error) -> bool {
    if matches!(error, Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::PoolClosed | Error::WorkerCrashed) {
        return true;
    }
    if let Some(primary) = sqlite_code(error) {
        return [SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN].contains(&primary);
    }
    // Classes 08 (connection), 53 (resources: disk full, too many connections), 57P01 to 57P04 (shut down, crashed, starting,
    // dropped), 58 (input and output), 25006 (read-only).
    let code = code(error).unwrap_or_default();
    ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class)) || code == READ_ONLY
}

/// Whether the server is read-only: a standby, or a primary set to read-only.
pub(super) fn is_read_only(error: &Error) -> bool {
    code(error).as_deref() == Some(READ_ONLY)
}

/// Whether a table is missing: SQLSTATE 42P01, or SQLite's message.
pub(super) fn is_missing_table(error: &Error) -> bool {
    let in_words = error.as_database_error().is_some_and(|error| error.message().contains("no such table"));
    code(error).as_deref() == Some("42P01") || in_words
}

const READ_ONLY: &str = "25006";
// Primary result codes, https://sqlite.org/rescode.html.
const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_READONLY: u32 = 8;
const SQLITE_IOERR: u32 = 10;
const SQLITE_FULL: u32 = 13;
const SQLITE_CANTOPEN: u32 = 14;

fn code(error: &Error) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

/// The primary result code of an SQLite error, which is the low byte of the extended code. An SQLSTATE has five characters.
pub(super) fn sqlite_code(error: &Error) -> Option<u32> {
    let code = code(error)?;
    code.parse::<u32>().ok().filter(|_| code.len() < 5).map(|code| code & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_network_are_unavailability_and_others_are_not() {
        assert!(is_unavailable(&Error::Io(std::io::ErrorKind::ConnectionReset.into())));
        assert!(!is_unavailable(&Error::RowNotFound) && !is_busy(&Error::RowNotFound));
        assert!(is_busy(&Error::PoolTimedOut) && !is_unavailable(&Error::PoolTimedOut));
    }
}
