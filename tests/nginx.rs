//! An nginx with `deploy/nginx.conf`, without its TLS, in front of several servers.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::sandbox::free_port;

const CONFIG: &str = include_str!("../deploy/nginx.conf");

/// Stopped on drop.
pub struct Nginx {
    child: Child,
    directory: TempDir,
    pub port: u16,
}

impl Nginx {
    pub fn start(nodes: &[u16]) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let listen = format!("listen 127.0.0.1:{port};");
        let is_tls = |line: &&str| line.trim_start().starts_with("ssl_");
        let site: Vec<&str> = CONFIG.lines().filter(|line| !is_tls(line)).collect();
        let site = with_nodes(&site.join("\n"), nodes).replace("listen 443 ssl http2;", &listen);
        let site = site.replace("listen 80;", &format!("listen 127.0.0.1:{};", free_port()));
        assert!(site.contains(&listen), "{site}");
        let mut child =
            command(directory.path(), &site).args(["-g", "daemon off;"]).spawn().expect("tests/run installs nginx");
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || std::fs::read_to_string(directory.path().join("error.log")).unwrap_or_default();
            assert!(child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(20), "{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, directory, port }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("error.log")).unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master process stops its workers, which SIGKILL would leave behind.
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        }
        self.child.wait().ok();
    }
}

/// What `nginx -t` says about the file as it is delivered, with this certificate.
pub fn check_config(certificate: &str, key: &str) -> (bool, String) {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, content).unwrap();
        file.display().to_string()
    };
    let site = CONFIG
        .replace("/etc/ssl/shop.example/fullchain.pem", &write("fullchain.pem", certificate))
        .replace("/etc/ssl/shop.example/privkey.pem", &write("privkey.pem", key));
    let output = command(directory.path(), &site).arg("-t").stderr(Stdio::piped()).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Replaces the two nodes of the file.
fn with_nodes(site: &str, nodes: &[u16]) -> String {
    let is_node = |line: &str| line.trim_start().starts_with("server 127.0.0.1:");
    let options = site.lines().find(|line| is_node(line)).unwrap().split_once(' ').unwrap().1;
    let options = options.trim().rsplit_once(':').unwrap().1.split_once(' ').unwrap().1;
    let nodes: Vec<String> = nodes.iter().map(|port| format!("    server 127.0.0.1:{port} {options}")).collect();
    let (before, rest) = site.split_once("upstream order_portal {").unwrap();
    let rest: Vec<&str> = rest.lines().filter(|line| !is_node(line)).collect();
    format!("{before}upstream order_portal {{\n{}\n{}", nodes.join("\n"), rest.join("\n"))
}

fn command(directory: &Path, site: &str) -> Command {
    let shown = directory.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.iter().map(|kind| format!("{kind}_temp_path {shown}/{kind};\n")).collect();
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let config = format!(
        "{user}\npid {shown}/pid;\nerror_log {shown}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\n{site}\n}}\n"
    );
    let file = directory.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-e").arg(directory.join("error.log")).arg("-p").arg(directory).arg("-c").arg(file);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
