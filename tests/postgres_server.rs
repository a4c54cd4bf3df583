//! PostgreSQL servers of single tests, which they stop, lock or make read-only; and a pgbouncer.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tempfile::TempDir;

use crate::sandbox::free_port;

/// The programs do not run as root.
fn as_postgres(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

fn run_ok(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A directory that the user of the servers can write.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    if rustix::process::geteuid().is_root() {
        run_ok(Command::new("chown").arg("postgres").arg(directory.path()));
    }
    directory
}

/// The programs of the newest installed server.
fn programs() -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").expect("tests/run installs PostgreSQL");
    let mut versions: Vec<PathBuf> = installed.map(|version| version.unwrap().path().join("bin")).collect();
    versions.sort();
    versions.pop().unwrap()
}

pub struct PostgresServer {
    directory: TempDir,
    pub port: u16,
}

impl PostgresServer {
    pub fn start() -> Self {
        let server = Self { directory: directory(), port: free_port() };
        let data = server.data();
        run_ok(
            as_postgres(programs().join("initdb"))
                .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "-D"])
                .arg(data),
        );
        server.launch();
        server
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn control(&self, arguments: &[&str]) {
        let mut command = as_postgres(programs().join("pg_ctl"));
        // The server inherits the output; a pipe would stay open as long as it runs.
        command.arg("-D").arg(self.data()).arg("-w").args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success(), "{command:?}");
    }

    pub fn launch(&self) {
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={} -c fsync=off",
            self.port,
            self.directory.path().display()
        );
        let log = self.directory.path().join("log");
        self.control(&["-l", log.to_str().unwrap(), "-o", &options, "start"]);
    }

    pub fn stop_immediately(&self) {
        self.control(&["-m", "immediate", "stop"]);
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub async fn connect(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.url()).await.unwrap()
    }

    pub async fn run(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.connect().await).await.unwrap();
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let mut command = as_postgres(programs().join("pg_ctl"));
        command.arg("-D").arg(self.data()).args(["-m", "immediate", "stop"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().ok();
    }
}

/// pgbouncer in transaction mode: each transaction may run on another server connection.
pub struct Pgbouncer {
    child: Child,
    _directory: TempDir,
    pub port: u16,
}

impl Pgbouncer {
    pub fn start(server: &PostgresServer) -> Self {
        let (directory, port) = (directory(), free_port());
        let (config, users) = (directory.path().join("pgbouncer.ini"), directory.path().join("users.txt"));
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 4\n\
             ignore_startup_parameters = extra_float_digits\n",
            server.port,
            users.display()
        );
        std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        std::fs::write(&config, text).unwrap();
        readable(&users);
        readable(&config);
        let mut command = as_postgres("pgbouncer");
        let child = command.arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "pgbouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, _directory: directory, port }
    }

    /// The URL that README and docs/operate.md name.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?statement-cache-capacity=0", self.port)
    }
}

fn readable(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o644)).unwrap();
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        // runuser passes SIGTERM on.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        }
        self.child.wait().ok();
    }
}
