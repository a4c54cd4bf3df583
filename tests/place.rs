//! Where a program under test lives: a folder, a database, settings; and its commands run there.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use sqlx::{AnyPool, AssertSqlSafe};
use tempfile::TempDir;

/// Signs the tokens of every program under test.
pub const SECRET: &str = "known to the tests alone and longer than thirty-two bytes";

/// A folder, a database and settings. All of it is gone when this is dropped.
pub struct Place {
    pub folder: TempDir,
    pub port: u16,
    settings: BTreeMap<String, String>,
    descriptors: Option<u32>,
    postgres: Option<PostgresDatabase>,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub async fn new() -> Self {
        sqlx::any::install_default_drivers();
        let folder = tempfile::tempdir().unwrap();
        let postgres = match std::env::var("TEST_POSTGRES_URL") {
            Ok(admin_url) => Some(PostgresDatabase::create(admin_url).await),
            Err(_) => None,
        };
        let database_url = match &postgres {
            Some(database) => database.url(),
            None => format!("sqlite://{}", folder.path().join("portal.db").display()),
        };
        let port = free_port();
        let mut place = Self { folder, port, settings: BTreeMap::new(), descriptors: None, postgres };
        place.set("BIND_ADDR", &format!("127.0.0.1:{port}"));
        place.set("PUBLIC_URL", &format!("http://localhost:{port}"));
        place.set("DATABASE_URL", &database_url);
        place.set("TOKEN_SECRET", SECRET);
        place.set("DEMO_ORDERS", "false");
        place.set("STATIC_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/static"));
        place
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    pub fn unset(&mut self, name: &str) {
        self.settings.remove(name);
    }

    /// From now on programs get no more than so many file descriptors.
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
        self.folder.path()
    }

    /// The program, about to run here with these settings and nothing else of the environment.
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

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with_input(arguments, b"")
    }

    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may be gone before all is written.
        child.stdin.take().unwrap().write_all(input).ok();
        Ran::from(child.wait_with_output().unwrap())
    }

    /// Runs a command that must succeed; answers what it printed.
    pub fn done(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {ran:?}");
        ran.stdout
    }

    /// The first line of what a command printed that must succeed.
    pub fn first_line(&self, arguments: &[&str]) -> String {
        self.done(arguments).lines().next().unwrap_or_default().to_owned()
    }

    /// Writes a file into the folder and answers its name.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path().join(name), content).unwrap();
        name.to_owned()
    }

    /// The database behind the program's back.
    pub async fn database(&self) -> AnyPool {
        AnyPool::connect(self.setting("DATABASE_URL")).await.unwrap()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// A port that nothing listens on, from a range of this process's own below those that systems hand out themselves.
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

/// A database on the server that `TEST_POSTGRES_URL` names, made for one test.
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

/// Must not panic, as [`crate::app::TestApp`]'s; what is left behind is named.
impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        // A test's own runtime cannot wait inside of a drop.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                if let Err(error) = self.drop_database() {
                    eprintln!("the test database {} was left behind: {error}", self.name);
                }
            });
        });
    }
}
