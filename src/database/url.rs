//! `DATABASE_URL`: parsing, and display without the password.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// A valid `sqlite:` or `postgres:` URL.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(url::Url);

/// The database engine. Generated SQL depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Embedded, one writer at a time.
    Sqlite,
    Postgres,
}

/// Characters that are escaped in a URL path.
const NOT_IN_PATH: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

impl Engine {
    /// The placeholder of a generated statement's next parameter. SQLite's driver searches all names for each named parameter, which is
    /// quadratic: with 3,000 parameters binding took longer than execution. `?` has no name.
    pub fn placeholder(self, number: usize) -> Cow<'static, str> {
        match self {
            Self::Sqlite => "?".into(),
            Self::Postgres => format!("${number}").into(),
        }
    }

    /// An aggregate: all rows as one JSON text, an array of arrays. One value crosses to SQLite's thread and back faster than many rows.
    pub fn json_rows(self, columns: &str, order_by: &str) -> String {
        match self {
            Self::Sqlite => format!("json_group_array(json_array({columns}) ORDER BY {order_by})"),
            Self::Postgres => {
                format!("CAST(COALESCE(json_agg(json_build_array({columns}) ORDER BY {order_by}), '[]') AS TEXT)")
            }
        }
    }
}

impl DatabaseUrl {
    /// Parses `sqlite://path/to/file.db`, `sqlite:///absolute/path.db` or `postgres://user@host/name`.
    ///
    /// # Errors
    /// The accepted forms, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const TAKES: &str = "sqlite://path/to/file.db or postgres://user:password@host/database";
        let url = url::Url::parse(text).map_err(|_| TAKES)?;
        match url.scheme() {
            "sqlite" if !sqlite_path(&url).as_os_str().is_empty() => Ok(Self(url)),
            "postgres" | "postgresql" if url.host().is_some() => Ok(Self(url)),
            _ => Err(TAKES),
        }
    }

    /// The URL of an SQLite file; `None` if its path is not UTF-8.
    pub(super) fn of_file(file: &Path) -> Option<Self> {
        let path = percent_encoding::utf8_percent_encode(file.to_str()?, NOT_IN_PATH);
        url::Url::parse(&format!("sqlite://{path}")).ok().map(Self)
    }

    pub fn engine(&self) -> Engine {
        if self.0.scheme() == "sqlite" { Engine::Sqlite } else { Engine::Postgres }
    }

    /// The SQLite file; `None` for PostgreSQL and in-memory databases.
    pub fn file(&self) -> Option<PathBuf> {
        let path = (self.engine() == Engine::Sqlite).then(|| sqlite_path(&self.0))?;
        (path != Path::new(":memory:")).then_some(path)
    }

    /// Whether the URL has `?statement-cache-capacity=0`: a pooler such as pgbouncer may use another server connection for each
    /// transaction, so prepared statements and settings must not outlive one.
    pub(super) fn is_behind_pooler(&self) -> bool {
        let is_off = |(name, value): (_, Cow<'_, str>)| name == "statement-cache-capacity" && value == "0";
        self.engine() == Engine::Postgres && self.0.query_pairs().any(is_off)
    }

    /// The URL for the driver. For SQLite `mode` says whether a missing file is created.
    pub(super) fn for_driver(&self, may_create: bool) -> url::Url {
        let mut url = self.0.clone();
        if self.engine() == Engine::Sqlite && !self.has_mode() {
            url.query_pairs_mut().append_pair("mode", if may_create { "rwc" } else { "rw" });
        }
        url
    }

    fn has_mode(&self) -> bool {
        self.0.query_pairs().any(|(name, _)| name == "mode")
    }
}

/// The URL without its password.
impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = self.0.clone();
        if shown.password().is_some() {
            shown.set_password(Some("***")).ok();
        }
        shown.set_query(None);
        f.write_str(shown.as_str())
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// The file of an `sqlite:` URL: as in sqlx, the text between `sqlite://` and the query.
fn sqlite_path(url: &url::Url) -> PathBuf {
    let address = url.as_str();
    let path = address.strip_prefix("sqlite:").unwrap_or(address);
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    PathBuf::from(percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_shown_without_password() {
        let url = DatabaseUrl::parse("postgres://portal:hunter2@db.example/shop?sslmode=require&password=x").unwrap();
        assert!(!url.to_string().contains("hunter2") && !format!("{url:?}").contains("hunter2"));
        assert_eq!(url.to_string(), "postgres://portal:***@db.example/shop");
    }

    #[test]
    fn url_of_another_kind_is_refused() {
        for text in ["", "data/portal.db", "mysql://localhost/shop", "sqlite://", "postgres://"] {
            assert!(DatabaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn url_names_the_sqlite_file() {
        let file = |text: &str| DatabaseUrl::parse(text).unwrap().file();
        assert_eq!(file("sqlite://data/portal.db"), Some(PathBuf::from("data/portal.db")));
        assert_eq!(file("sqlite:///var/lib/a%20b.db?mode=ro"), Some(PathBuf::from("/var/lib/a b.db")));
        assert_eq!(file("sqlite::memory:"), None);
        assert_eq!(file("postgres://db.example/shop"), None);
    }

    #[test]
    fn url_of_a_file_names_that_file() {
        let file = Path::new("/srv/läden & co/100% #1?.db");
        assert_eq!(DatabaseUrl::of_file(file).unwrap().file().unwrap(), file);
    }

    #[test]
    fn pooler_is_recognised_by_the_statement_cache() {
        let is_behind = |text: &str| DatabaseUrl::parse(text).unwrap().is_behind_pooler();
        assert!(is_behind("postgres://db.example/shop?sslmode=disable&statement-cache-capacity=0"));
        assert!(!is_behind("postgres://db.example/shop?statement-cache-capacity=10"));
        assert!(!is_behind("postgres://db.example/shop"));
    }
}
