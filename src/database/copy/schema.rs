//! The tables of a database, read from the database itself, so that a new migration needs no change here.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::AssertSqlSafe;

use super::CopyError;
use crate::database::{Database, DatabaseUrl, Engine, Error, OpenError, Transaction};

/// The table of sqlx's migrations, which each database has for itself.
pub(super) const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

/// For a new file that is loaded or thrown away.
pub(super) const NEW_FILE_TUNING: &str =
    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON; PRAGMA cache_size = -64000;";

/// Columns with their types, of all tables of a database except those of the engine and of sqlx, by name.
pub(super) type ColumnsByTable = BTreeMap<String, BTreeMap<String, String>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    BigInt,
    Bytea,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub name: String,
    pub columns: Vec<Column>,
}

impl Table {
    /// `"a", "b"`.
    pub fn column_list(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        names.join(", ")
    }
}

/// What this program's migrations make of an empty database.
#[derive(Debug)]
pub(super) struct Schema {
    /// A table stands after those that it refers to.
    pub tables: Vec<Table>,
    /// Tables into which migrations insert rows.
    seeded: BTreeSet<String>,
}

impl Schema {
    /// Applies the migrations to a temporary SQLite file and reads what is there then.
    pub async fn of_this_program() -> Result<Self, CopyError> {
        let directory = tempfile::tempdir().map_err(CopyError::Temporary)?;
        let url = DatabaseUrl::of_file(&directory.path().join("schema.db"));
        let url = url.ok_or_else(|| CopyError::Temporary(std::io::ErrorKind::InvalidFilename.into()))?;
        let database = Database::open_alone(&url, NEW_FILE_TUNING).map_err(CopyError::Schema)?;
        let schema = Self::read(&database).await;
        database.close().await;
        schema.map_err(CopyError::Schema)
    }

    async fn read(database: &Database) -> Result<Self, OpenError> {
        database.migrate().await?;
        let read = async |transaction: &mut Transaction| {
            let tables = columns(transaction).await?.into_iter().map(table).collect::<Result<Vec<_>, _>>()?;
            let tables = parents_first(tables, &references(transaction).await?)?;
            let mut seeded = BTreeSet::new();
            for table in &tables {
                if has_rows(transaction, &table.name).await? {
                    seeded.insert(table.name.clone());
                }
            }
            Ok::<_, Error>(Self { tables, seeded })
        };
        Ok(database.read(read).await?)
    }

    /// A table with rows that migrations did not insert.
    pub async fn table_in_use(&self, transaction: &mut Transaction) -> Result<Option<String>, Error> {
        for name in columns(transaction).await?.into_keys() {
            if !self.seeded.contains(&name) && has_rows(transaction, &name).await? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// A table that has other columns than this program's migrations make, or is missing.
    pub fn differing_table(&self, found: &ColumnsByTable) -> Option<&str> {
        let differs = |table: &&Table| {
            let columns = table.columns.iter().map(|column| (column.name.as_str(), column.kind));
            let found = found.get(&table.name).into_iter().flatten();
            !columns.map(|(name, kind)| (name, Some(kind))).eq(found.map(|(name, kind)| (name.as_str(), parse(kind))))
        };
        self.tables.iter().find(differs).map(|table| table.name.as_str())
    }

    /// Tables that no migration of this program makes.
    pub fn unknown_tables(&self, found: &ColumnsByTable) -> Vec<String> {
        let is_unknown = |name: &&String| self.tables.iter().all(|table| table.name != **name);
        found.keys().filter(is_unknown).cloned().collect()
    }
}

pub(super) async fn columns(transaction: &mut Transaction) -> Result<ColumnsByTable, Error> {
    let sql = match transaction.engine() {
        Engine::Sqlite => {
            "SELECT t.name, c.name, LOWER(c.type) FROM sqlite_master t JOIN pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name <> $1 AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        }
        Engine::Postgres => {
            "SELECT CAST(t.table_name AS TEXT), CAST(c.column_name AS TEXT), CAST(c.data_type AS TEXT)
             FROM information_schema.tables t JOIN information_schema.columns c USING (table_schema, table_name)
             WHERE t.table_type = 'BASE TABLE' AND t.table_name <> $1 AND t.table_schema = current_schema()"
        }
    };
    let rows: Vec<(String, String, String)> =
        sqlx::query_as(sql).bind(MIGRATIONS_TABLE).fetch_all(&mut *transaction).await?;
    let mut tables = ColumnsByTable::new();
    for (table, column, kind) in rows {
        tables.entry(table).or_default().insert(column, kind);
    }
    Ok(tables)
}

fn table((name, columns): (String, BTreeMap<String, String>)) -> Result<Table, Error> {
    let column = |(column, kind): (String, String)| match parse(&kind) {
        Some(kind) => Ok(Column { name: column, kind }),
        None => Err(Error::Protocol(format!("{name}.{column} is {kind}; only TEXT, BIGINT and BYTEA are copied"))),
    };
    let columns = columns.into_iter().map(column).collect::<Result<_, _>>()?;
    Ok(Table { name, columns })
}

fn parse(kind: &str) -> Option<Kind> {
    match kind {
        "text" => Some(Kind::Text),
        "bigint" => Some(Kind::BigInt),
        "bytea" => Some(Kind::Bytea),
        _ => None,
    }
}

/// Each table of an SQLite database with one that it refers to.
async fn references(transaction: &mut Transaction) -> Result<Vec<(String, String)>, Error> {
    let sql = "SELECT t.name, k.\"table\" FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) k
               WHERE t.type = 'table'";
    sqlx::query_as(sql).fetch_all(&mut *transaction).await
}

fn parents_first(mut tables: Vec<Table>, references: &[(String, String)]) -> Result<Vec<Table>, Error> {
    let mut ordered: Vec<Table> = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let is_blocked = |table: &Table| {
            let mut parents = references.iter().filter(|(child, _)| *child == table.name);
            parents.any(|(_, parent)| ordered.iter().all(|done| done.name != *parent))
        };
        let (blocked, free): (Vec<_>, Vec<_>) = tables.into_iter().partition(is_blocked);
        if free.is_empty() {
            let names: Vec<&str> = blocked.iter().map(|table| table.name.as_str()).collect();
            return Err(Error::Protocol(format!("foreign keys in a circle: {}", names.join(", "))));
        }
        ordered.extend(free);
        tables = blocked;
    }
    Ok(ordered)
}

async fn has_rows(transaction: &mut Transaction, table: &str) -> Result<bool, Error> {
    let sql = format!("SELECT 1 FROM \"{table}\" LIMIT 1");
    Ok(sqlx::query(AssertSqlSafe(sql)).fetch_optional(&mut *transaction).await?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(names: &[&str]) -> Vec<Table> {
        names.iter().map(|name| Table { name: (*name).to_owned(), columns: Vec::new() }).collect()
    }

    fn names(tables: &[Table]) -> Vec<&str> {
        tables.iter().map(|table| table.name.as_str()).collect()
    }

    #[test]
    fn parents_come_before_their_children_and_circles_are_refused() {
        let references = [("a", "c"), ("b", "a"), ("b", "c")].map(|(one, other)| (one.to_owned(), other.to_owned()));
        assert_eq!(names(&parents_first(tables(&["a", "b", "c", "d"]), &references).unwrap()), ["c", "d", "a", "b"]);
        for circle in [[("a", "b"), ("b", "a")], [("a", "a"), ("b", "a")]] {
            let references = circle.map(|(one, other)| (one.to_owned(), other.to_owned()));
            assert!(parents_first(tables(&["a", "b"]), &references).is_err());
        }
    }

    #[tokio::test]
    async fn schema_has_every_table_that_migrations_create() {
        let schema = Schema::of_this_program().await.unwrap();
        let all = names(&schema.tables);
        assert!(all.len() >= 21 && !all.contains(&MIGRATIONS_TABLE), "{all:?}");
        let place = |name: &str| all.iter().position(|table| *table == name).unwrap();
        assert!(place("users") < place("orders") && place("orders") < place("order_lines"), "{all:?}");
        assert_eq!(schema.seeded, ["counters", "write_probe"].map(str::to_owned).into());
    }
}
