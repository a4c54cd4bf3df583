//! The rows of one table: read as a stream, written in batches, summed up as a checksum that is equal on both engines.

use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::schema::{Column, Kind, Table};
use super::{Checksum, CopyError};
use crate::database::{Engine, Error, SqlBuilder, Transaction, batches};

/// Rows in memory: as many as one statement takes, or fewer large ones.
const BATCH_ROWS: usize = 100;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug, PartialEq, Eq)]
enum Value {
    Text(Option<String>),
    BigInt(Option<i64>),
    Bytea(Option<Vec<u8>>),
}

impl Value {
    fn read(row: &AnyRow, index: usize, column: &Column) -> Result<Self, Error> {
        Ok(match column.kind {
            Kind::Text => Self::Text(row.try_get(index)?),
            Kind::BigInt => Self::BigInt(row.try_get(index)?),
            Kind::Bytea => Self::Bytea(row.try_get(index)?),
        })
    }

    fn bytes(&self) -> Option<(u8, &[u8])> {
        match self {
            Self::Text(text) => text.as_ref().map(|text| (b't', text.as_bytes())),
            Self::Bytea(bytes) => bytes.as_ref().map(|bytes| (b'b', bytes.as_slice())),
            Self::BigInt(_) => None,
        }
    }

    fn hash(&self, hash: &mut Sha256) {
        match (self, self.bytes()) {
            (Self::BigInt(Some(number)), _) => {
                hash.update(b"i");
                hash.update(number.to_be_bytes());
            }
            (_, Some((kind, bytes))) => {
                hash.update([kind]);
                hash.update((bytes.len() as u64).to_be_bytes());
                hash.update(bytes);
            }
            (_, None) => hash.update(b"n"),
        }
    }
}

/// Does not depend on the order of the rows: the sum of their hashes.
fn add(checksum: &mut Checksum, row: &[Value]) {
    let mut hash = Sha256::new();
    row.iter().for_each(|value| value.hash(&mut hash));
    let mut start = [0; 16];
    start.copy_from_slice(&hash.finalize()[..16]);
    checksum.rows += 1;
    checksum.sum = checksum.sum.wrapping_add(u128::from_be_bytes(start));
}

/// Copies all rows, in the order of the source's storage; `progress` gets the number of each batch.
pub(super) async fn copy(
    table: &Table,
    source: &mut Transaction,
    target: &mut Transaction,
    progress: &mut impl FnMut(u64),
) -> Result<Checksum, CopyError> {
    let unread = |source| CopyError::Read { table: table.name.clone(), source };
    let unwritten = |source| CopyError::Write { table: table.name.clone(), source };
    let mut checksum = Checksum::default();
    let (mut batch, mut size) = (Vec::with_capacity(BATCH_ROWS), 0);
    let select = select(table, source.engine());
    let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(&mut *source);
    while let Some(row) = rows.try_next().await.map_err(unread)? {
        let row = read(&row, table).map_err(unread)?;
        add(&mut checksum, &row);
        size += row.iter().filter_map(Value::bytes).map(|(_, bytes)| bytes.len()).sum::<usize>();
        batch.push(row);
        if batch.len() == BATCH_ROWS || size >= BATCH_BYTES {
            insert(table, target, &batch).await.map_err(unwritten)?;
            progress(batch.len() as u64);
            batch.clear();
            size = 0;
        }
    }
    insert(table, target, &batch).await.map_err(unwritten)?;
    progress(batch.len() as u64);
    Ok(checksum)
}

/// Reads all rows of the target again.
pub(super) async fn checksum(
    table: &Table,
    target: &mut Transaction,
    progress: &mut impl FnMut(u64),
) -> Result<Checksum, CopyError> {
    let unread = |source| CopyError::Write { table: table.name.clone(), source };
    let mut checksum = Checksum::default();
    let select = select(table, target.engine());
    let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(&mut *target);
    while let Some(row) = rows.try_next().await.map_err(unread)? {
        add(&mut checksum, &read(&row, table).map_err(unread)?);
        if checksum.rows.is_multiple_of(BATCH_ROWS as u64) {
            progress(BATCH_ROWS as u64);
        }
    }
    progress(checksum.rows % BATCH_ROWS as u64);
    Ok(checksum)
}

/// Without `ORDER BY`, SQLite might read a covering index instead of the table.
fn select(table: &Table, engine: Engine) -> String {
    let order = if engine == Engine::Sqlite { " ORDER BY rowid" } else { "" };
    format!("SELECT {} FROM \"{}\"{order}", table.column_list(), table.name)
}

fn read(row: &AnyRow, table: &Table) -> Result<Vec<Value>, Error> {
    table.columns.iter().enumerate().map(|(index, column)| Value::read(row, index, column)).collect()
}

async fn insert(table: &Table, target: &mut Transaction, rows: &[Vec<Value>]) -> Result<(), Error> {
    let start = format!("INSERT INTO \"{}\" ({}) VALUES ", table.name, table.column_list());
    for batch in batches(rows) {
        let mut sql = SqlBuilder::new(target.engine(), &start);
        for (index, row) in batch.iter().enumerate() {
            sql.push(if index == 0 { "(" } else { "), (" });
            bind(&mut sql, row)?;
        }
        sql.push(")");
        let (sql, values) = sql.into_parts();
        sqlx::query_with(sql, values).execute(&mut *target).await?;
    }
    Ok(())
}

fn bind(sql: &mut SqlBuilder, row: &[Value]) -> Result<(), Error> {
    for (index, value) in row.iter().enumerate() {
        sql.push(if index == 0 { "" } else { ", " });
        match value {
            Value::Text(text) => sql.bind(text.clone())?,
            Value::BigInt(number) => sql.bind(*number)?,
            Value::Bytea(bytes) => sql.bind(bytes.clone())?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum_of(rows: &[&[Value]]) -> Checksum {
        let mut checksum = Checksum::default();
        rows.iter().for_each(|row| add(&mut checksum, row));
        checksum
    }

    fn text(text: &str) -> Value {
        Value::Text(Some(text.to_owned()))
    }

    #[test]
    fn checksum_depends_on_the_rows_and_not_on_their_order() {
        let (ann, bob) = ([text("ann"), Value::BigInt(Some(1))], [text("bob"), Value::BigInt(None)]);
        assert_eq!(checksum_of(&[&ann, &bob]), checksum_of(&[&bob, &ann]));
        assert_ne!(checksum_of(&[&ann, &bob]), checksum_of(&[&ann, &ann]));
        assert_ne!(checksum_of(&[&ann, &ann]), checksum_of(&[]));
    }

    #[test]
    fn checksum_tells_values_apart_that_look_alike() {
        let rows: [&[Value]; 9] = [
            &[text(""), text("ab")],
            &[text("a"), text("b")],
            &[text("ab"), text("")],
            &[Value::Text(None), text("ab")],
            &[text("ab"), Value::Text(None)],
            &[text(""), Value::Bytea(Some(b"ab".to_vec()))],
            &[text("1"), Value::BigInt(None)],
            &[Value::Text(None), Value::BigInt(Some(1))],
            &[Value::Text(None), Value::BigInt(Some(-1))],
        ];
        let sums: std::collections::BTreeSet<u128> = rows.iter().map(|row| checksum_of(&[row]).sum).collect();
        assert_eq!(sums.len(), rows.len());
    }
}
