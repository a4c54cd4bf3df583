//! A running server.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::build::Executable;
use crate::options::Name;
use crate::processes;

/// Signs the tokens of all servers that have them.
const SECRET: &str = "5f0c8e7d9b3a41262d1e0f9c8b7a69584736251403f2e1d0cfbeadac9b8a7968";
const DAY: &str = "86400";

/// The program's cache of rendered lists. The others have none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// One megabyte, so that the pages of many customers do not fit.
    Small,
    Default,
}

pub struct Server {
    process: Child,
    pub address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Without this a failed assertion would leave it running.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Server {
    /// `work` has what all servers read, `directory` the server's own database.
    pub async fn start(executable: &Executable, work: &Path, directory: &Path, port: u16, cache: Cache) -> Self {
        let mut command = command(executable, directory);
        if executable.name.is_program() {
            command.env("BIND_ADDR", format!("127.0.0.1:{port}")).env("PUBLIC_URL", format!("http://localhost:{port}"));
            if cache == Cache::Small {
                command.env("CACHE_MEGABYTES", "1");
            }
        } else {
            let processes = if executable.name == Name::Express2 { "2" } else { "1" };
            command
                .env("PORT", port.to_string())
                .env("DATABASE", directory.join("peers.db"))
                .envs([("SHELLS", work.join("answers")), ("BODIES", work.join("answers"))])
                .envs([("STATIC", concat!(env!("CARGO_MANIFEST_DIR"), "/static")), ("NODE_ENV", "production")])
                .env("PROCESSES", processes);
        }
        let log = File::create(directory.join("log.txt")).unwrap();
        let process = command.args(&executable.argument).stdout(Stdio::null()).stderr(log).spawn();
        let mut server = Self {
            process: process.unwrap_or_else(|error| panic!("cannot start {}: {error}", executable.program.display())),
            address: (Ipv4Addr::LOCALHOST, port).into(),
        };
        server.wait_until_ready(directory).await;
        server
    }

    async fn wait_until_ready(&mut self, directory: &Path) {
        let began = Instant::now();
        let health = format!("http://{}/healthz", self.address);
        while !reqwest::get(&health).await.is_ok_and(|answer| answer.status() == 200) {
            let is_running = self.process.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(60);
            assert!(is_running, "the server does not start; see {}", directory.join("log.txt").display());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn processes(&self) -> Vec<u32> {
        processes::tree(self.process.id())
    }

    pub async fn stop(mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        let began = Instant::now();
        while self.process.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(40) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The server, or another command of the program, with the settings that do not depend on a port.
pub fn command(executable: &Executable, directory: &Path) -> Command {
    let program = &executable.program;
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TOKEN_SECRET", SECRET);
    if executable.name.is_program() {
        command
            .current_dir(directory)
            .env("DATABASE_URL", format!("sqlite://{}", directory.join("portal.db").display()))
            .env("MAIL_URL", format!("file://{}", directory.join("mail").display()))
            .env("STATIC_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/static"))
            .envs([("DEMO_ORDERS", "false"), ("TOKEN_TTL_SECONDS", DAY)]);
    }
    command
}
