//! What a database error means for the one who asked: try again, wait, or a fault of ours.

use super::Error;

/// SQLSTATE 40001 and 40P01: PostgreSQL undid one of two transactions that touched the same rows. Trying again is safe.
pub fn is_conflict(error: &Error) -> bool {
    matches!(code(error).as_deref(), Some("40001" | "40P01"))
}

/// Whether the same transaction, run again, may go another way: after a conflict, and on PostgreSQL after a row that it refers to was
/// deleted between its reading and its writing (SQLSTATE 23503), which it sees the next time.
pub(super) fn is_retryable(error: &Error) -> bool {
    is_conflict(error) || code(error).as_deref() == Some("23503")
}

/// Whether the database was too busy to answer in time: no free connection, SQLite's writer held for too long, a
/// conflict on every try, or a statement that ran into its time limit (57014, 55P03).
pub fn is_busy(error: &Error) -> bool {
    let is_locked = matches!(sqlite_code(error), Some(SQLITE_BUSY | SQLITE_LOCKED));
    matches!(error, Error::PoolTimedOut)
        || is_conflict(error)
        || is_locked
        || matches!(code(error).as_deref(), Some("57014" | "55P03"))
}

/// Whether the database cannot be used at all for now: its disk is full or read-only, its server is away, restarting
/// or read-only. None of it is a fault of the request, and all of it passes without a restart of this program.
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

/// Whether the server refused to write because it is read-only: a standby, or a primary that was told to be.
pub(super) fn is_read_only(error: &Error) -> bool {
    code(error).as_deref() == Some(READ_ONLY)
}

/// Whether a table is missing: SQLSTATE 42P01, or SQLite's words for it.
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

/// The primary result code of an SQLite error: the lowest eight bits of the extended one. An SQLSTATE has five characters.
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
