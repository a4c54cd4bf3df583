//! `check`: what it prints, its warnings, and that it fails whenever `serve` would.

use crate::app::TestApp;
use crate::sandbox::{SECRET, Sandbox};
use crate::tls::Certificate;

const HIDDEN: &str = "sunflower-sonata-in-b-flat";

async fn migrated_sandbox() -> Sandbox {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    sandbox
}

#[tokio::test]
async fn check_prints_settings_without_secrets() {
    let sandbox = migrated_sandbox().await;
    let output = sandbox.run_ok(&["check"]);
    assert!(output.contains(&format!("127.0.0.1:{}", sandbox.port)) && output.contains("http://localhost"), "{output}");
    assert!(!output.contains(SECRET), "{output}");
}

#[tokio::test]
async fn check_reports_an_unreachable_database() {
    let mut sandbox = Sandbox::new().await;
    sandbox.set("DATABASE_URL", &format!("postgres://portal:{HIDDEN}@127.0.0.1:1/portal"));
    let output = sandbox.run(&["check"]);
    assert!(
        output.status == 1 && !output.text().contains(HIDDEN) && output.stderr.contains("DATABASE_URL"),
        "{output:?}"
    );
    assert!(output.stderr.contains("portal:***@") && output.stderr.contains("Connection refused"), "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
}

#[tokio::test]
async fn check_names_why_the_database_cannot_be_opened() {
    let mut sandbox = Sandbox::new().await;
    let (url, reason) = if sandbox.is_postgres() {
        (format!("{}_missing", sandbox.setting("DATABASE_URL")), "does not exist")
    } else {
        sandbox.write("notes.db", "not a database\n".repeat(100));
        ("sqlite://notes.db".to_owned(), "file is not a database")
    };
    sandbox.set("DATABASE_URL", &url);
    let output = sandbox.run(&["check"]);
    assert!(output.status == 1 && output.stderr.contains(reason), "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
}

#[tokio::test]
async fn check_fails_whenever_serve_would() {
    let mut sandbox = Sandbox::new().await;
    sandbox.set("STATIC_DIR", "/missing");
    for command in ["serve", "check"] {
        let output = sandbox.run(&[command]);
        let names_both = output.stderr.contains("STATIC_DIR") && output.stderr.contains("/missing");
        assert!(output.status == 1 && names_both, "{command}: {output:?}");
    }
    let mut sandbox = Sandbox::new().await;
    sandbox.write("cert.pem", Certificate::new().cert);
    sandbox.write("key.pem", Certificate::new().key);
    sandbox.write("empty.pem", "");
    for (cert, key) in [("missing.pem", "key.pem"), ("empty.pem", "key.pem"), ("cert.pem", "key.pem")] {
        sandbox.set("TLS_CERT", cert);
        sandbox.set("TLS_KEY", key);
        for command in ["serve", "check"] {
            let output = sandbox.run(&[command]);
            assert!(output.status == 1 && output.stderr.contains("TLS_CERT"), "{command} with {cert}: {output:?}");
        }
    }
}

#[tokio::test]
async fn check_prints_the_origin_of_serve() {
    let Certificate { cert, key } = Certificate::new();
    let mut sandbox = migrated_sandbox().await;
    sandbox.unset("PUBLIC_URL");
    let url = |output: String| output.lines().find(|line| line.starts_with("PUBLIC_URL")).unwrap().to_owned();
    assert!(url(sandbox.run_ok(&["check"])).ends_with(&format!("http://localhost:{}", sandbox.port)));
    sandbox.write("cert.pem", cert);
    sandbox.write("key.pem", key);
    sandbox.set("TLS_CERT", "cert.pem");
    sandbox.set("TLS_KEY", "key.pem");
    assert!(url(sandbox.run_ok(&["check"])).ends_with(&format!("https://localhost:{}", sandbox.port)));
}

/// The warnings of `check` that name the variable.
fn warnings_about(sandbox: &Sandbox, variable: &str) -> Vec<String> {
    let output = sandbox.run(&["check"]);
    assert_eq!(output.status, 0, "{output:?}");
    output
        .stderr
        .lines()
        .filter(|line| line.contains("warning") && line.contains(variable))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn check_warns_of_file_mail_in_production() {
    let mut sandbox = migrated_sandbox().await;
    assert!(!sandbox.run(&["check"]).stderr.contains("MAIL_URL"), "a warning in development");
    sandbox.set("APP_ENV", "production");
    sandbox.set("PUBLIC_URL", "https://shop.example");
    let output = sandbox.run(&["check"]);
    assert!(
        output.status == 0 && output.stderr.contains("warning") && output.stderr.contains("set MAIL_URL"),
        "{output:?}"
    );
    let app = TestApp::start_in(sandbox).await;
    let logs = app.logs();
    assert!(logs.lines().any(|line| line.contains("\"WARN\"") && line.contains("set MAIL_URL")), "{logs}");
}

#[tokio::test]
async fn check_warns_of_a_missing_trusted_proxy_in_production() {
    let mut sandbox = migrated_sandbox().await;
    sandbox.set("APP_ENV", "production");
    sandbox.set("PUBLIC_URL", "https://shop.example");
    assert_eq!(warnings_about(&sandbox, "TRUSTED_PROXIES"), [""; 0], "a warning for a loopback address");
    sandbox.set("BIND_ADDR", &format!("0.0.0.0:{}", sandbox.port));
    assert!(warnings_about(&sandbox, "TRUSTED_PROXIES").concat().contains("set TRUSTED_PROXIES"));
    sandbox.set("TRUSTED_PROXIES", "192.0.2.1");
    assert_eq!(warnings_about(&sandbox, "TRUSTED_PROXIES"), [""; 0]);
    sandbox.unset("TRUSTED_PROXIES");
    let app = TestApp::start_in(sandbox).await;
    let logs = app.logs();
    assert!(logs.lines().any(|line| line.contains("\"WARN\"") && line.contains("set TRUSTED_PROXIES")), "{logs}");
}

#[tokio::test]
async fn check_warns_of_a_proxy_network_with_every_address() {
    let mut sandbox = migrated_sandbox().await;
    for every_address in ["0.0.0.0/0", "10.0.0.1,::/0"] {
        sandbox.set("TRUSTED_PROXIES", every_address);
        let warnings = warnings_about(&sandbox, "TRUSTED_PROXIES");
        assert!(warnings.len() == 1 && warnings[0].contains("/0"), "{warnings:?}");
    }
    let app = TestApp::start_in(sandbox).await;
    let logs = app.logs();
    assert!(logs.lines().any(|line| line.contains("WARN") && line.contains("TRUSTED_PROXIES holds ::/0")), "{logs}");
}
