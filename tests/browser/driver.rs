//! Starts `WebDriver` servers.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::Value;

use crate::sandbox::free_port;

/// A `WebDriver` server; killed on drop.
pub struct Driver {
    process: Child,
    pub address: String,
}

impl Driver {
    /// Starts a program that has the option `--port`.
    pub fn start(mut program: Command) -> Self {
        let port = free_port();
        program.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        Self { process: program.spawn().unwrap(), address: format!("http://127.0.0.1:{port}") }
    }

    /// Opens a browser as soon as the server accepts connections.
    pub async fn open_browser(&self, capabilities: &Value) -> Client {
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities.as_object().unwrap().clone());
        let mut last = None;
        for _ in 0..100 {
            match builder.connect(&self.address).await {
                Ok(client) => return client,
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the browser does not start: {last:?}");
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
