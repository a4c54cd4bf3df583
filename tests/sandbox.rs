//! The environment of a program under test: a directory, a database, settings. Runs commands in it.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use sqlx::{AnyPool, AssertSqlSafe};
use tempfile::TempDir;

use crate::shop::{Row, export};

/// `TOKEN_SECRET` of every program under test.
pub const SECRET: &str = "known to the tests alone and longer than thirty-two bytes";

/// A directory, a database and settings; deleted on drop.
pub struct Sandbox {
    directory: TempDir,
    pub port: u16,
    settings: BTreeMap<String, String>,
    descriptors: Option<u32>,
    postgres: Option<PostgresDatabase>,
}

/// The exit status and output of a command.
#[derive(Debug)]
pub struct CommandOutput {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    pub async fn new() -> Self {
        sqlx::any::install_default_drivers();
        let directory = tempfile::tempdir().unwrap();
        let postgres = match std::env::var("TEST_POSTGRES_URL") {
            Ok(admin_url) => Some(PostgresDatabase::create(admin_url).await),
            Err(_) => None,
        };
        let database_url = match &postgres {
            Some(database) => database.url(),
            None => format!("sqlite://{}", directory.path().join("portal.db").display()),
        };
        let port = free_port();
        let mut sandbox = Self { directory, port, settings: BTreeMap::new(), descriptors: None, postgres };
        sandbox.set("BIND_ADDR", &format!("127.0.0.1:{port}"));
        sandbox.set("PUBLIC_URL", &format!("http://localhost:{port}"));
        sandbox.set("DATABASE_URL", &database_url);
        sandbox.set("TOKEN_SECRET", SECRET);
        sandbox.set("DEMO_ORDERS", "false");
        sandbox.set("STATIC_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/static"));
        sandbox
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    pub fn unset(&mut self, name: &str) {
        self.settings.remove(name);
    }

    /// Limits the file descriptors of programs started from now on.
    pub fn limit_descriptors(&mut self, limit: u32) {
        self.descriptors = Some(limit);
    }

    pub fn setting(&self, name: &str) -> &str {
        &self.settings[name]
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.settings.contains_key(name)
    }

    pub fn is_postgres(&self) -> bool {
        self.postgres.is_some()
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A command in this directory whose environment has only these settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_order-portal");
        let mut command = match self.descriptors {
            None => Command::new(program),
            Some(limit) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\""), program]);
                shell
            }
        };
        command.args(arguments).current_dir(self.path()).env_clear().envs(&self.settings);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.run_with_input(arguments, b"")
    }

    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> CommandOutput {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads no input may exit earlier.
        child.stdin.take().unwrap().write_all(input).ok();
        CommandOutput::from(child.wait_with_output().unwrap())
    }

    /// Runs a command that must succeed; returns its standard output.
    pub fn run_ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status, 0, "{arguments:?}: {output:?}");
        output.stdout
    }

    /// The first line of the standard output of a command that must succeed.
    pub fn first_line(&self, arguments: &[&str]) -> String {
        self.run_ok(arguments).lines().next().unwrap_or_default().to_owned()
    }

    /// Writes a file into the directory; returns its name.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path().join(name), content).unwrap();
        name.to_owned()
    }

    pub fn import(&self, rows: &[Row]) {
        self.write("orders.csv", export(rows));
        self.run_ok(&["import", "orders.csv"]);
    }

    /// Direct access to the database.
    pub async fn database(&self) -> AnyPool {
        AnyPool::connect(self.setting("DATABASE_URL")).await.unwrap()
    }

    /// Executes a statement; returns the number of affected rows.
    pub async fn execute(&self, sql: &str) -> u64 {
        let database = self.database().await;
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&database).await.unwrap();
        database.close().await;
        done.rows_affected()
    }

    /// The rows of a table, with an optional `WHERE` clause.
    pub async fn count(&self, from: &str) -> i64 {
        let database = self.database().await;
        let query = sqlx::query_scalar(AssertSqlSafe(format!("SELECT COUNT(*) FROM {from}")));
        let count = query.fetch_one(&database).await.unwrap();
        database.close().await;
        count
    }
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl CommandOutput {
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Whether the command failed with this status and one line on standard error.
    pub fn is_one_line_error(&self, status: i32) -> bool {
        self.status == status && self.stderr.trim_end().lines().count() == 1 && !self.stderr.contains("panicked")
    }
}

/// A free port, from a range of this process below the ephemeral ports.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % 60).unwrap();
    loop {
        let port = 20_000 + process * 200 + NEXT.fetch_add(1, Ordering::Relaxed) % 200;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A database of one test on the server `TEST_POSTGRES_URL`; dropped with this value.
struct PostgresDatabase {
    admin_url: String,
    name: String,
}

impl PostgresDatabase {
    async fn create(admin_url: String) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let name = format!("portal_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let database = Self { admin_url, name };
        database.administer(format!("CREATE DATABASE {}", database.name)).await.unwrap();
        database
    }

    fn url(&self) -> String {
        let (server, _) = self.admin_url.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    async fn administer(&self, statement: String) -> Result<(), sqlx::Error> {
        let pool = AnyPool::connect(&self.admin_url).await?;
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await;
        pool.close().await;
        done.map(drop)
    }

    fn drop_database(&self) -> Result<(), Box<dyn std::error::Error>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(self.administer(format!("DROP DATABASE {} WITH (FORCE)", self.name)))?)
    }
}

/// Must not panic, like the drop of [`crate::app::TestApp`].
impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        // The runtime of the test cannot block here.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                if let Err(error) = self.drop_database() {
                    eprintln!("the test database {} was not dropped: {error}", self.name);
                }
            });
        });
    }
}
