//! Commands, the database files, metrics.

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::mailbox;
use crate::sandbox::Sandbox;

const COMMANDS: [&[&str]; 23] = [
    &[],
    &["serve"],
    &["secret"],
    &["init"],
    &["breached-passwords"],
    &["breached-passwords", "build"],
    &["import"],
    &["user"],
    &["user", "list"],
    &["user", "show"],
    &["user", "delete"],
    &["mail"],
    &["mail", "list"],
    &["mail", "retry"],
    &["mail", "drop"],
    &["user", "verify"],
    &["user", "disable"],
    &["user", "enable"],
    &["migrate"],
    &["backup"],
    &["restore"],
    &["copy"],
    &["check"],
];

#[tokio::test]
async fn every_command_has_help() {
    let sandbox = Sandbox::new().await;
    for command in COMMANDS {
        let help = sandbox.run_ok(&[command, &["--help"]].concat());
        assert!(help.contains("Usage: order-portal"), "{command:?}: {help}");
    }
    let help = sandbox.run_ok(&["--help"]);
    for command in [
        "serve",
        "secret",
        "init",
        "breached-passwords",
        "import",
        "user",
        "mail",
        "migrate",
        "backup",
        "restore",
        "copy",
        "check",
    ] {
        assert!(help.contains(&format!("  {command}")), "{command} is not in the help");
    }
    for (list, column) in [
        (["user", "list"], "how many orders"),
        (["mail", "list"], "how often it was tried"),
        (["orders", "placed"], "wants again"),
        (["orders", "cancellations"], "time of the request"),
    ] {
        let help = sandbox.run_ok(&[&list[..], &["--help"]].concat());
        assert!(help.contains("The columns:") && help.contains(column), "{help}");
    }
    assert!(sandbox.run_ok(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn wrong_usage_exits_with_2() {
    let sandbox = Sandbox::new().await;
    let invalid: [&[&str]; 18] = [
        &["dance"],
        &["--dance"],
        &["import"],
        &["backup"],
        &["backup", "--every", "6", "backups"],
        &["backup", "--every", "6h", "--keep", "0", "backups"],
        &["backup", "--keep", "3", "copy.db"],
        &["restore"],
        &["copy"],
        &["copy", "sqlite://portal.db"],
        &["user"],
        &["user", "verify"],
        &["user", "dance", ANN],
        &["mail"],
        &["mail", "retry"],
        &["mail", "retry", "x", "--all-failed"],
        &["mail", "retry", "x", "--all"],
        &["mail", "drop"],
    ];
    for command in invalid {
        let output = sandbox.run(command);
        assert!(output.status == 2 && output.stdout.is_empty(), "{command:?}: {output:?}");
        assert!(output.stderr.starts_with("order-portal: ") && output.stderr.lines().count() == 1, "{output:?}");
    }
}

#[tokio::test]
async fn secret_prints_64_random_bytes_in_hex() {
    let mut sandbox = Sandbox::new().await;
    sandbox.unset("TOKEN_SECRET");
    let (first, second) = (sandbox.run_ok(&["secret"]), sandbox.run_ok(&["secret"]));
    let hex = first.trim_end();
    assert!(hex.len() == 128 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert_ne!(first, second);
    assert!(!sandbox.path().join("data").exists(), "the command created files");
}

#[tokio::test]
async fn user_commands_list_verify_disable_and_enable() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    app.customer(BOB).await;
    let list = app.run_ok(&["user", "list"]);
    let line = |list: &str, email: &str| list.lines().find(|line| line.contains(email)).unwrap().to_owned();
    let before = line(&list, ANN);
    app.run_ok(&["user", "verify", " Ann@Example.com "]);
    assert_ne!(line(&app.run_ok(&["user", "list"]), ANN), before, "the list does not show the verification");
    app.run_ok(&["user", "verify", ANN]);
    let before = line(&list, BOB);
    app.run_ok(&["user", "disable", BOB]);
    assert_ne!(line(&app.run_ok(&["user", "list"]), BOB), before, "the list does not show the disabled account");
    app.run_ok(&["user", "enable", BOB]);
    assert_eq!(line(&app.run_ok(&["user", "list"]), BOB), before);
    assert!(!list.contains("argon2"));
}

#[tokio::test]
async fn user_show_prints_the_account_without_secrets() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut visitor = app.customer(ANN).await;
    visitor.post("/account/time-zone", &[("zone", "Europe/Berlin")]).await;
    let value = |output: &str, name: &str| {
        let line =
            output.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {output}"));
        line[16..].trim().to_owned()
    };
    let output = app.run_ok(&["user", "show", " Ann@Example.com "]);
    assert_eq!(value(&output, "email"), ANN);
    assert_eq!((value(&output, "verified"), value(&output, "disabled")), ("no".to_owned(), "no".to_owned()));
    assert_eq!((value(&output, "sessions"), value(&output, "known browsers")), ("1".to_owned(), "1".to_owned()));
    assert_eq!(value(&output, "known networks"), "1");
    assert_eq!(value(&output, "time zone"), "Europe/Berlin");
    assert!(value(&output, "orders").parse::<u32>().unwrap() > 20, "{output}");
    assert!(value(&output, "last login").ends_with('Z') && !output.contains("argon2"), "{output}");
    app.run_ok(&["user", "verify", ANN]);
    app.run_ok(&["user", "disable", ANN]);
    let output = app.run_ok(&["user", "show", ANN]);
    assert!(value(&output, "verified").ends_with('Z') && value(&output, "disabled").ends_with('Z'), "{output}");
    assert_eq!(value(&output, "sessions"), "0");
}

#[tokio::test]
async fn user_delete_deletes_like_the_account_page() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.verified_customer(ANN).await;
    app.customer(BOB).await;
    for email in [ANN, BOB] {
        let output = app.run_ok(&["user", "delete", email]);
        assert!(output.contains(email) && output.contains("is deleted"), "{output}");
    }
    assert_eq!(ann.get("/orders").await.status, 303, "a session of a deleted account is valid");
    for table in ["users", "orders", "sessions", "audit_events", "email_tokens"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    let mail = mailbox::mail_to(&app, ANN, "Your account was deleted").await;
    assert!(mail.text.contains("by the shop") && !mail.text.contains("0.0.0.0"), "{}", mail.text);
    mailbox::wait_for_empty_queue(&app).await;
    let to_bob = mailbox::mails_to(&app, BOB, "Your account was deleted");
    assert!(to_bob.is_empty(), "an unconfirmed address got mail about the deletion");
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 401);
}

#[tokio::test]
async fn user_disable_and_enable_leave_audit_events() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    for verb in ["disable", "disable", "enable", "enable"] {
        app.run_ok(&["user", verb, ANN]);
    }
    let mut visitor = app.new_session(ANN, PASSWORD).await;
    let page = visitor.get("/account/activity").await.text();
    for words in ["Account disabled", "Account enabled"] {
        assert_eq!(page.matches(words).count(), 1, "{words}: {page}");
    }
}

#[tokio::test]
async fn user_commands_name_an_unknown_account() {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    for verb in ["show", "verify", "disable", "enable", "delete"] {
        let output = sandbox.run(&["user", verb, "nobody@example.com"]);
        assert!(output.is_one_line_error(1) && output.stderr.contains("nobody@example.com"), "{verb}: {output:?}");
        let output = sandbox.run(&["user", verb, "no address"]);
        assert!(output.is_one_line_error(2) && output.stderr.contains("no address"), "{verb}: {output:?}");
    }
}

#[tokio::test]
async fn migrate_prints_migrations_and_is_idempotent() {
    let sandbox = Sandbox::new().await;
    let first = sandbox.run_ok(&["migrate"]);
    let second = sandbox.run_ok(&["migrate"]);
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
    assert_eq!(first.lines().filter(|line| line.starts_with("applied ")).count(), files, "{first}");
    assert!(first.starts_with("applied 0001 users sessions orders\n"), "{first}");
    assert!(second.contains("up to date") && !second.contains("applied"), "{second}");
}

#[tokio::test]
async fn database_of_a_newer_version_is_rejected() {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    let database = sandbox.database().await;
    let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99990101000000, 'later', TRUE, $1, 0)";
    sqlx::query(insert).bind(vec![0_u8; 48]).execute(&database).await.unwrap();
    for command in [["serve"], ["migrate"]] {
        let output = sandbox.run(&command);
        assert!(output.is_one_line_error(1) && output.stderr.contains("newer"), "{command:?}: {output:?}");
    }
}

/// Commands that need a database and neither create nor migrate one.
const WITH_DATABASE: [&[&str]; 15] = [
    &["check"],
    &["import", "orders.csv"],
    &["import", "--dry-run", "orders.csv"],
    &["orders", "cancellations"],
    &["orders", "placed"],
    &["user", "list"],
    &["user", "show", ANN],
    &["user", "verify", ANN],
    &["user", "disable", ANN],
    &["user", "enable", ANN],
    &["user", "delete", ANN],
    &["mail", "list"],
    &["mail", "retry", "--all-failed"],
    &["backup", "copy.db"],
    &["backup", "--every", "1h", "backups"],
];

fn files_in(sandbox: &Sandbox) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn commands_create_no_database_and_name_the_missing_file() {
    let mut sandbox = Sandbox::new().await;
    if sandbox.is_postgres() {
        return;
    }
    sandbox.write("orders.csv", "Name\n");
    sandbox.set("DATABASE_URL", "sqlite://nowhere/portal.db");
    // Development creates a secret: only serve may.
    sandbox.unset("TOKEN_SECRET");
    let full = sandbox.path().join("nowhere/portal.db");
    let before = files_in(&sandbox);
    for command in WITH_DATABASE {
        let output = sandbox.run(command);
        assert!(output.is_one_line_error(1), "{command:?}: {output:?}");
        assert!(output.stderr.contains(full.to_str().unwrap()), "{command:?}: {output:?}");
        assert_eq!(files_in(&sandbox), before, "{command:?} created a file");
    }
}

#[tokio::test]
async fn commands_apply_no_migrations_and_name_migrate() {
    let sandbox = Sandbox::new().await;
    sandbox.write("orders.csv", "Name\n");
    sandbox.run_ok(&["migrate"]);
    sandbox.execute("DELETE FROM _sqlx_migrations WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)").await;
    let before = sandbox.count("_sqlx_migrations").await;
    for command in WITH_DATABASE {
        let output = sandbox.run(command);
        assert!(output.is_one_line_error(1), "{command:?}: {output:?}");
        assert!(output.stderr.contains("order-portal migrate"), "{command:?}: {output:?}");
    }
    assert_eq!(sandbox.count("_sqlx_migrations").await, before);
    assert!(!sandbox.path().join("copy.db").exists());
}

#[tokio::test]
async fn commands_reject_a_database_of_another_version() {
    for change in [
        "UPDATE _sqlx_migrations SET version = 99990101000000 WHERE version = 3",
        "UPDATE _sqlx_migrations SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 1) WHERE version = 3",
    ] {
        let sandbox = Sandbox::new().await;
        sandbox.write("orders.csv", "Name\n");
        sandbox.run_ok(&["migrate"]);
        sandbox.execute(change).await;
        for command in WITH_DATABASE.into_iter().chain([&["serve"][..], &["migrate"]]) {
            let output = sandbox.run(command);
            assert!(output.is_one_line_error(1) && output.stderr.contains("migration"), "{command:?}: {output:?}");
        }
    }
}

/// In an existing directory with mode 0755.
#[cfg(unix)]
#[tokio::test]
async fn database_files_have_mode_0600() {
    use std::os::unix::fs::PermissionsExt;
    let mut sandbox = Sandbox::new().await;
    let directory = sandbox.path().join("shared");
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o755)).unwrap();
    sandbox.set("DATABASE_URL", "sqlite://shared/portal.db");
    let app = TestApp::start_in(sandbox).await;
    app.customer(ANN).await;
    for name in ["portal.db", "portal.db-wal", "portal.db-shm"] {
        let mode = std::fs::metadata(directory.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
}

#[tokio::test]
async fn database_file_that_cannot_be_created_names_the_setting() {
    let mut sandbox = Sandbox::new().await;
    sandbox.write("file", "");
    sandbox.set("DATABASE_URL", "sqlite://file/portal.db");
    let output = sandbox.run(&["migrate"]);
    assert!(output.is_one_line_error(1) && output.stderr.contains("DATABASE_URL"), "{output:?}");
}

#[tokio::test]
async fn start_prints_the_address() {
    let app = TestApp::start().await;
    assert!(app.logs().contains(&format!("http://localhost:{}", app.port)), "{}", app.logs());
}

#[tokio::test]
async fn port_in_use_is_named() {
    let app = TestApp::start().await;
    let output = app.run(&["serve"]);
    assert_eq!(output.status, 1, "{output:?}");
    assert!(output.stderr.lines().last().unwrap().contains(&app.port.to_string()), "{output:?}");
}

#[tokio::test]
async fn two_nodes_share_one_database() {
    let first = TestApp::start().await;
    let mut sandbox = Sandbox::new().await;
    sandbox.set("DATABASE_URL", first.setting("DATABASE_URL"));
    sandbox.set("PUBLIC_URL", first.setting("PUBLIC_URL"));
    let second = TestApp::start_in(sandbox).await;
    let token = first.customer(ANN).await.token();
    let on_second = async || second.get_with_token("/orders", &token).await.status;
    assert_eq!(on_second().await, 200);
    let mut visitor = first.visitor();
    visitor.set_session_token(&token);
    visitor.post("/logout", &[]).await;
    assert_eq!(on_second().await, 303, "a session revoked on one node is valid on the other");
}

#[tokio::test]
async fn metrics_use_a_separate_listener() {
    let port = crate::sandbox::free_port();
    let app = TestApp::start_with(&[("METRICS_ADDR", &format!("127.0.0.1:{port}"))]).await;
    app.get("/login").await;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    let response = crate::http::send_raw(port, request.as_bytes()).unwrap();
    assert!(response.status == 200 && response.text().contains("# TYPE"), "{}", response.text());
    assert!(response.text().contains("/login") && !response.text().contains("@example.com"));
    assert_eq!(app.get("/metrics").await.status, 404);
}
