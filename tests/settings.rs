//! Settings: valid and invalid values, `.env`, secrets.

use crate::app::{ANN, TestApp};
use crate::sandbox::{SECRET, Sandbox};

const HIDDEN: &str = "sunflower-sonata-in-b-flat";

/// Asserts that `serve` and `check` fail and name each variable; returns standard error.
fn assert_rejected(sandbox: &Sandbox, names: &[&str]) -> String {
    for command in ["serve", "check"] {
        let output = sandbox.run(&[command]);
        assert_eq!(output.status, 2, "{command}: {output:?}");
        for name in names {
            assert!(output.stderr.contains(name), "{command} does not name {name}: {}", output.stderr);
        }
    }
    sandbox.run(&["serve"]).stderr
}

#[tokio::test]
async fn invalid_values_are_reported_together() {
    let mut sandbox = Sandbox::new().await;
    let invalid = [
        ("APP_ENV", "staging"),
        ("BIND_ADDR", "somewhere"),
        ("PUBLIC_URL", "shop.example"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("TOKEN_TTL_SECONDS", "-5"),
        ("SESSION_MAX_HOURS", "zero"),
        ("REMEMBER_ME_DAYS", "1e9"),
        ("MAIL_URL", "carrier-pigeon://x"),
        ("MAIL_FROM", "a@@b"),
        ("SHOP_NAME", "Ann\nBob"),
        ("SHOP_URL", "shop.example"),
        ("SHOP_CONTACT", "http://help.example"),
        ("SHOP_LINKS", "Imprint=javascript:alert(1)"),
        ("SHOP_LOGO", "/nothing/logo.png"),
        ("SHOP_ACCENT", "brick"),
        ("SHOW_CUSTOMER_NOTE", "sometimes"),
        ("ORDER_MAILS", "perhaps"),
        ("DEMO_ORDERS", "perhaps"),
        ("TRUSTED_PROXIES", "everyone"),
        ("METRICS_ADDR", "nowhere"),
        ("SECURITY_CONTACT", "http://shop.example"),
        ("LOG_FORMAT", "xml"),
    ];
    invalid.iter().for_each(|(name, value)| sandbox.set(name, value));
    let names: Vec<&str> = invalid.iter().map(|(name, _)| *name).collect();
    let output = assert_rejected(&sandbox, &names);
    for value in
        ["staging", "somewhere", "carrier-pigeon", "everyone", "xml", "Ann\\nBob", "help.example", "javascript"]
    {
        assert!(output.contains(value), "the value {value} is missing:\n{output}");
    }
}

#[tokio::test]
async fn metrics_need_an_address_of_their_own() {
    let mut sandbox = Sandbox::new().await;
    let address = sandbox.setting("BIND_ADDR").to_owned();
    sandbox.set("METRICS_ADDR", &address);
    for command in ["serve", "check"] {
        let output = sandbox.run(&[command]);
        assert!(output.status == 2 && output.stderr.contains("METRICS_ADDR"), "{command}: {output:?}");
    }
}

#[tokio::test]
async fn each_invalid_value_stops_the_start() {
    let invalid = [
        ("TOKEN_TTL_SECONDS", "0"),
        ("TOKEN_TTL_SECONDS", "99999999999999999999"),
        ("SESSION_MAX_HOURS", "0"),
        ("REMEMBER_ME_DAYS", "-1"),
        ("PUBLIC_URL", "http://localhost:8080/path"),
        ("PUBLIC_URL", "ftp://localhost"),
        ("BIND_ADDR", "127.0.0.1"),
        ("BIND_ADDR", "127.0.0.1:99999"),
        ("MAIL_FROM", "a@@b"),
        ("MAIL_FROM", "Shop, Inc <a@b.example>"),
        ("MAIL_URL", "smtp://127.0.0.1:9?tls=maybe"),
        ("TLS_CERT", "cert.pem"),
        ("TLS_KEY", "key.pem"),
        ("SHOP_NAME", &"n".repeat(81)),
        ("SHOP_URL", "http://shop.example"),
        ("SHOP_URL", "https://ann:secret@shop.example"),
        ("SHOP_CONTACT", "help"),
        ("SHOP_CONTACT", "javascript:alert(1)"),
        ("SHOP_LINKS", "Imprint"),
        ("SHOP_LINKS", "Imprint=http://shop.example"),
        ("SHOP_LINKS", "=https://shop.example"),
        ("SHOP_LOGO", "."),
        ("SHOP_ACCENT", "#ff000080"),
        ("SHOP_ACCENT", "red; color: blue"),
        ("KEEP_AUDIT_DAYS", "0"),
        ("KEEP_AUDIT_DAYS", "3651"),
        ("DRAIN_SECONDS", "301"),
        ("DRAIN_SECONDS", "-1"),
        ("DRAIN_SECONDS", "1.5"),
    ];
    for (name, value) in invalid {
        let mut sandbox = Sandbox::new().await;
        sandbox.set(name, value);
        let output = sandbox.run(&["check"]);
        assert!(output.status == 2 && output.stderr.contains(name), "{name}={value}: {output:?}");
    }
}

#[tokio::test]
async fn empty_variable_counts_as_not_set() {
    let mut sandbox = Sandbox::new().await;
    for (name, default) in [("DATABASE_URL", "sqlite://data/portal.db"), ("TOKEN_TTL_SECONDS", "1800")] {
        sandbox.set(name, "");
        let output = sandbox.run(&["check"]);
        let line = output.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{output:?}"));
        assert!(line.ends_with(default), "{line}");
    }
}

#[tokio::test]
async fn secrets_are_never_printed() {
    let mut sandbox = Sandbox::new().await;
    sandbox.set("TOKEN_SECRET", &HIDDEN[..20]);
    sandbox.set("TOKEN_SECRET_PREVIOUS", &format!("short-{}", &HIDDEN[..12]));
    sandbox.set("DATABASE_URL", &format!("mysql://portal:{HIDDEN}@localhost/x"));
    sandbox.set("MAIL_URL", &format!("pigeon://portal:{HIDDEN}@localhost"));
    let output = assert_rejected(&sandbox, &["TOKEN_SECRET", "TOKEN_SECRET_PREVIOUS", "DATABASE_URL", "MAIL_URL"]);
    assert!(!output.contains(&HIDDEN[..12]), "{output}");
}

#[tokio::test]
async fn drain_seconds_default_to_0_and_in_production_to_5() {
    let mut sandbox = Sandbox::new().await;
    let drain_seconds = |output: &str| {
        let line =
            output.lines().find_map(|line| line.strip_prefix("DRAIN_SECONDS")).map(|value| value.trim().to_owned());
        line.unwrap_or_else(|| panic!("{output}"))
    };
    assert_eq!(drain_seconds(&sandbox.run(&["check"]).stdout), "0");
    sandbox.set("APP_ENV", "production");
    sandbox.set("PUBLIC_URL", "https://orders.shop.example");
    assert_eq!(drain_seconds(&sandbox.run(&["check"]).stdout), "5");
    sandbox.set("DRAIN_SECONDS", "300");
    assert_eq!(drain_seconds(&sandbox.run(&["check"]).stdout), "300");
}

#[tokio::test]
async fn development_accepts_only_loopback_addresses() {
    let mut sandbox = Sandbox::new().await;
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        sandbox.set("BIND_ADDR", address);
        assert_rejected(&sandbox, &["BIND_ADDR"]);
    }
}

#[tokio::test]
async fn production_requires_secret_and_https() {
    let mut sandbox = Sandbox::new().await;
    sandbox.set("APP_ENV", "production");
    sandbox.unset("TOKEN_SECRET");
    assert_rejected(&sandbox, &["TOKEN_SECRET", "PUBLIC_URL"]);
    assert!(!sandbox.path().join("data").exists(), "a secret was created in production");
}

#[tokio::test]
async fn placeholder_secret_is_rejected() {
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).unwrap();
    let line = example
        .lines()
        .map(|line| line.trim_start_matches(['#', ' ']))
        .find_map(|line| line.strip_prefix("TOKEN_SECRET="));
    let mut sandbox = Sandbox::new().await;
    sandbox.set("TOKEN_SECRET", line.expect(".env.example has no TOKEN_SECRET").trim_matches(['"', '\'']));
    assert_rejected(&sandbox, &["TOKEN_SECRET"]);
}

#[tokio::test]
async fn example_file_has_every_setting() {
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).unwrap();
    let all = [
        "APP_ENV",
        "BIND_ADDR",
        "PUBLIC_URL",
        "DATABASE_URL",
        "TOKEN_SECRET",
        "TOKEN_SECRET_PREVIOUS",
        "TOKEN_TTL_SECONDS",
        "SESSION_MAX_HOURS",
        "REMEMBER_ME_DAYS",
        "MAIL_URL",
        "MAIL_FROM",
        "SHOP_NAME",
        "SHOP_URL",
        "SHOP_CONTACT",
        "SHOP_LINKS",
        "SHOP_LOGO",
        "SHOP_ACCENT",
        "SHOW_CUSTOMER_NOTE",
        "SHOP_TIME_ZONE",
        "BREACHED_PASSWORDS",
        "CACHE_MEGABYTES",
        "KEEP_AUDIT_DAYS",
        "ORDER_MAILS",
        "DEMO_ORDERS",
        "STATIC_DIR",
        "TRUSTED_PROXIES",
        "TLS_CERT",
        "TLS_KEY",
        "DRAIN_SECONDS",
        "METRICS_ADDR",
        "SECURITY_CONTACT",
        "LOG_FORMAT",
        "RUST_LOG",
    ];
    for name in all {
        assert!(example.contains(&format!("{name}=")), "{name}");
    }
}

#[tokio::test]
async fn environment_takes_precedence_over_env_file() {
    let mut sandbox = Sandbox::new().await;
    sandbox.unset("TOKEN_TTL_SECONDS");
    sandbox.write(".env", "TOKEN_TTL_SECONDS=never\nSESSION_MAX_HOURS=often\n");
    sandbox.set("SESSION_MAX_HOURS", "3");
    let output = sandbox.run(&["check"]);
    assert!(
        output.status == 2
            && output.stderr.contains("TOKEN_TTL_SECONDS")
            && !output.stderr.contains("SESSION_MAX_HOURS"),
        "{output:?}"
    );
}

#[tokio::test]
async fn env_file_of_a_parent_directory_is_not_read() {
    let mut sandbox = Sandbox::new().await;
    sandbox.unset("TOKEN_TTL_SECONDS");
    sandbox.write(".env", "TOKEN_TTL_SECONDS=never\n");
    let below = sandbox.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let output = sandbox.command(&["migrate"]).current_dir(&below).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(sandbox.run(&["migrate"]).status, 2);
}

#[tokio::test]
async fn env_file_option_reads_the_file_or_fails() {
    let mut sandbox = Sandbox::new().await;
    sandbox.unset("TOKEN_TTL_SECONDS");
    sandbox.write(".env", "SESSION_MAX_HOURS=never\n");
    sandbox.write("shop.env", "TOKEN_TTL_SECONDS=77\n");
    sandbox.run_ok(&["migrate", "--env-file", "shop.env"]);
    for command in [["check", "--env-file", "shop.env"], ["--env-file", "shop.env", "check"]] {
        let output = sandbox.run_ok(&command);
        assert!(output.lines().any(|line| line.starts_with("TOKEN_TTL_SECONDS") && line.ends_with(" 77")), "{output}");
    }
    let output = sandbox.run(&["check", "--env-file", "nowhere.env"]);
    assert!(output.status == 2 && output.stderr.lines().count() == 1, "{output:?}");
    assert!(output.stderr.contains(sandbox.path().join("nowhere.env").to_str().unwrap()), "{output:?}");
}

fn set_mode(sandbox: &Sandbox, name: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(sandbox.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn env_file_that_others_can_read_is_a_warning() {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    for (name, arguments) in [(".env", &["check"][..]), ("shop.env", &["check", "--env-file", "shop.env"])] {
        sandbox.write(name, "TOKEN_TTL_SECONDS=77\n");
        for mode in [0o644, 0o640, 0o606] {
            set_mode(&sandbox, name, mode);
            let output = sandbox.run(arguments);
            assert!(output.status == 0 && output.stderr.contains(&format!("chmod 600 {name}")), "{mode:o}: {output:?}");
        }
        set_mode(&sandbox, name, 0o600);
        let output = sandbox.run(arguments);
        assert!(output.status == 0 && !output.stderr.contains("chmod"), "{output:?}");
    }
}

#[tokio::test]
async fn repeated_secret_is_rejected() {
    let mut sandbox = Sandbox::new().await;
    for weak in ["a".repeat(64), "ab".repeat(32), "changeme-".repeat(5), "secret".repeat(7)[..40].to_owned()] {
        sandbox.set("TOKEN_SECRET", &weak);
        let output = assert_rejected(&sandbox, &["TOKEN_SECRET"]);
        assert!(output.contains("order-portal secret") && !output.contains(&weak[..8]), "{output}");
        sandbox.set("TOKEN_SECRET", SECRET);
        sandbox.set("TOKEN_SECRET_PREVIOUS", &format!("{HIDDEN}{HIDDEN}x, {weak}"));
        let output = assert_rejected(&sandbox, &["TOKEN_SECRET_PREVIOUS"]);
        assert!(!output.contains(&weak[..8]), "{output}");
        sandbox.unset("TOKEN_SECRET_PREVIOUS");
    }
}

#[tokio::test]
async fn unknown_variable_is_a_warning_with_the_closest_name() {
    let mut sandbox = Sandbox::new().await;
    sandbox.write(".env", "MAIL_FORM=shop@shop.example\nSSL_CERT_DIR=/etc/ssl/certs\n");
    set_mode(&sandbox, ".env", 0o600);
    sandbox.run_ok(&["migrate"]);
    for command in [&["check"][..], &["user", "list"], &["migrate"]] {
        let output = sandbox.run(command);
        assert_eq!(output.status, 0, "{output:?}");
        let warnings: Vec<&str> = output.stderr.lines().filter(|line| line.contains("warning")).collect();
        assert_eq!(warnings.len(), 1, "{command:?}: {output:?}");
        assert!(warnings[0].contains("MAIL_FORM") && warnings[0].contains("MAIL_FROM"), "{warnings:?}");
    }
    sandbox.set("BIND_ADDR", "nowhere");
    let output = sandbox.run(&["check"]);
    assert!(
        output.status == 2 && output.stderr.contains("MAIL_FORM") && output.stderr.contains("BIND_ADDR"),
        "{output:?}"
    );
    sandbox.set("BIND_ADDR", &format!("127.0.0.1:{}", sandbox.port));
    let app = TestApp::start_in(sandbox).await;
    assert!(app.logs().lines().any(|line| line.contains("WARN") && line.contains("MAIL_FORM")), "{}", app.logs());
}

#[tokio::test]
async fn development_creates_and_keeps_a_secret() {
    let mut sandbox = Sandbox::new().await;
    sandbox.unset("TOKEN_SECRET");
    let mut app = TestApp::start_in(sandbox).await;
    let mut visitor = app.customer(ANN).await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let files = std::fs::read_dir(app.path().join("data")).unwrap().map(Result::unwrap);
        let secrets: Vec<_> = files.filter(|file| file.file_name().to_string_lossy().contains("secret")).collect();
        assert_eq!(secrets.len(), 1, "not one secret file in data/");
        assert_eq!(secrets[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let kept = std::fs::read_to_string(secrets[0].path()).unwrap();
        assert!(!app.logs().contains(kept.trim()));
    }
    app.stop_with("TERM");
    app.restart().await;
    assert!(visitor.get("/orders").await.is_page(200));
}
