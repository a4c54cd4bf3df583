//! The commands, and how the program starts and stops.

use std::time::Duration;

use crate::app::{PASSWORD, TestApp};
use crate::mailbox;
use crate::place::{Place, Ran};

const COMMANDS: [&[&str]; 19] = [
    &[],
    &["serve"],
    &["secret"],
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
    &["check"],
];

fn is_one_line(ran: &Ran) -> bool {
    ran.stderr.trim_end().lines().count() == 1 && !ran.stderr.contains("panicked")
}

#[tokio::test]
async fn every_command_has_help() {
    let place = Place::new().await;
    for command in COMMANDS {
        let help = place.done(&[command, &["--help"]].concat());
        assert!(help.contains("Usage: order-portal"), "{command:?}: {help}");
    }
    let help = place.done(&["--help"]);
    for command in ["serve", "secret", "import", "user", "mail", "migrate", "backup", "restore", "check"] {
        assert!(help.contains(&format!("  {command}")), "{command} is not in the help");
    }
    for (list, column) in [
        (["user", "list"], "how many orders"),
        (["mail", "list"], "how often it was tried"),
        (["orders", "placed"], "repeats"),
        (["orders", "cancellations"], "time of the request"),
    ] {
        let help = place.done(&[&list[..], &["--help"]].concat());
        assert!(help.contains("The columns:") && help.contains(column), "{help}");
    }
    assert!(place.done(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn wrong_usage_exits_with_2() {
    let place = Place::new().await;
    let wrong: [&[&str]; 8] = [
        &["dance"],
        &["--dance"],
        &["import"],
        &["backup"],
        &["restore"],
        &["user"],
        &["user", "verify"],
        &["user", "dance", "ann@example.com"],
    ];
    for command in wrong {
        let ran = place.run(command);
        assert!(ran.status == 2 && ran.stdout.is_empty() && !ran.stderr.is_empty(), "{command:?}: {ran:?}");
    }
}

#[tokio::test]
async fn secret_prints_64_random_bytes_in_hex() {
    let mut place = Place::new().await;
    place.unset("TOKEN_SECRET");
    let (first, second) = (place.done(&["secret"]), place.done(&["secret"]));
    let hex = first.trim_end();
    assert!(hex.len() == 128 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert_ne!(first, second);
    assert!(!place.path().join("data").exists(), "printing a secret made files");
}

#[tokio::test]
async fn user_commands_list_verify_disable_and_enable() {
    let app = TestApp::start().await;
    app.customer("ann@example.com").await;
    app.customer("bob@example.com").await;
    let list = app.done(&["user", "list"]);
    let line = |list: &str, email: &str| list.lines().find(|line| line.contains(email)).unwrap().to_owned();
    let before = line(&list, "ann@example.com");
    app.done(&["user", "verify", " Ann@Example.com "]);
    assert_ne!(line(&app.done(&["user", "list"]), "ann@example.com"), before, "the list does not tell who is verified");
    app.done(&["user", "verify", "ann@example.com"]);
    let before = line(&list, "bob@example.com");
    app.done(&["user", "disable", "bob@example.com"]);
    assert_ne!(line(&app.done(&["user", "list"]), "bob@example.com"), before, "the list does not tell who is disabled");
    app.done(&["user", "enable", "bob@example.com"]);
    assert_eq!(line(&app.done(&["user", "list"]), "bob@example.com"), before);
    assert!(!list.contains("argon2"));
}

#[tokio::test]
async fn user_show_prints_the_account_without_secrets() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut visitor = app.customer("ann@example.com").await;
    visitor.post("/account/time-zone", &[("zone", "Europe/Berlin")]).await;
    let value = |said: &str, name: &str| {
        let line = said.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {said}"));
        line[16..].trim().to_owned()
    };
    let said = app.done(&["user", "show", " Ann@Example.com "]);
    assert_eq!(value(&said, "email"), "ann@example.com");
    assert_eq!((value(&said, "verified"), value(&said, "disabled")), ("no".to_owned(), "no".to_owned()));
    assert_eq!((value(&said, "sessions"), value(&said, "known browsers")), ("1".to_owned(), "1".to_owned()));
    assert_eq!(value(&said, "known networks"), "1");
    assert_eq!(value(&said, "time zone"), "Europe/Berlin");
    assert!(value(&said, "orders").parse::<u32>().unwrap() > 20, "{said}");
    assert!(value(&said, "last login").ends_with('Z') && !said.contains("argon2"), "{said}");
    app.done(&["user", "verify", "ann@example.com"]);
    app.done(&["user", "disable", "ann@example.com"]);
    let said = app.done(&["user", "show", "ann@example.com"]);
    assert!(value(&said, "verified").ends_with('Z') && value(&said, "disabled").ends_with('Z'), "{said}");
    assert_eq!(value(&said, "sessions"), "0");
}

#[tokio::test]
async fn user_delete_does_what_the_account_page_does() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.verified_customer("ann@example.com").await;
    app.customer("bob@example.com").await;
    for email in ["ann@example.com", "bob@example.com"] {
        let said = app.done(&["user", "delete", email]);
        assert!(said.contains(email) && said.contains("is deleted"), "{said}");
    }
    assert_eq!(ann.get("/orders").await.status, 303, "a session of a deleted account works");
    let database = app.database().await;
    for table in ["users", "orders", "sessions", "audit_events", "email_tokens"] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        let left: i64 = sqlx::query_scalar(sql).fetch_one(&database).await.unwrap();
        assert_eq!(left, 0, "{table}");
    }
    let mail = mailbox::mail_to(&app, "ann@example.com", "Your account was deleted").await;
    assert!(mail.text.contains("by the shop") && !mail.text.contains("0.0.0.0"), "{}", mail.text);
    mailbox::all_gone(&app).await;
    let to_bob = mailbox::mails_to(&app, "bob@example.com", "Your account was deleted");
    assert!(to_bob.is_empty(), "mail about a deletion went to an address that was never confirmed");
    assert_eq!(app.visitor().post("/login", &[("email", "ann@example.com"), ("password", PASSWORD)]).await.status, 401);
}

#[tokio::test]
async fn user_disable_and_enable_leave_audit_events() {
    let app = TestApp::start().await;
    app.customer("ann@example.com").await;
    for verb in ["disable", "disable", "enable", "enable"] {
        app.done(&["user", verb, "ann@example.com"]);
    }
    let mut visitor = app.visitor();
    visitor.post("/login", &[("email", "ann@example.com"), ("password", PASSWORD)]).await;
    let page = visitor.get("/account/activity").await.text();
    for words in ["Account disabled", "Account enabled"] {
        assert_eq!(page.matches(words).count(), 1, "{words}: {page}");
    }
}

#[tokio::test]
async fn user_commands_name_an_unknown_account() {
    let place = Place::new().await;
    place.done(&["migrate"]);
    for verb in ["show", "verify", "disable", "enable", "delete"] {
        let ran = place.run(&["user", verb, "nobody@example.com"]);
        assert!(ran.status == 1 && is_one_line(&ran) && ran.stderr.contains("nobody@example.com"), "{verb}: {ran:?}");
        let ran = place.run(&["user", verb, "no address"]);
        assert!(ran.status == 2 && is_one_line(&ran) && ran.stderr.contains("no address"), "{verb}: {ran:?}");
    }
}

#[tokio::test]
async fn migrate_prints_migrations_and_is_idempotent() {
    let place = Place::new().await;
    let first = place.done(&["migrate"]);
    let second = place.done(&["migrate"]);
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
    assert_eq!(first.lines().filter(|line| line.starts_with("applied ")).count(), files, "{first}");
    assert!(first.starts_with("applied 0001 users sessions orders\n"), "{first}");
    assert!(second.contains("up to date") && !second.contains("applied"), "{second}");
}

#[tokio::test]
async fn database_of_a_newer_version_is_rejected() {
    let place = Place::new().await;
    place.done(&["migrate"]);
    let database = place.database().await;
    let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99990101000000, 'later', TRUE, $1, 0)";
    sqlx::query(insert).bind(vec![0_u8; 48]).execute(&database).await.unwrap();
    for command in [["serve"], ["migrate"]] {
        let ran = place.run(&command);
        assert!(ran.status == 1 && is_one_line(&ran) && ran.stderr.contains("newer"), "{command:?}: {ran:?}");
    }
}

/// Commands that need a database and neither create nor migrate one.
const WITH_DATABASE: [&[&str]; 14] = [
    &["check"],
    &["import", "orders.csv"],
    &["import", "--dry-run", "orders.csv"],
    &["orders", "cancellations"],
    &["orders", "placed"],
    &["user", "list"],
    &["user", "show", "ann@example.com"],
    &["user", "verify", "ann@example.com"],
    &["user", "disable", "ann@example.com"],
    &["user", "enable", "ann@example.com"],
    &["user", "delete", "ann@example.com"],
    &["mail", "list"],
    &["mail", "retry", "--all-failed"],
    &["backup", "copy.db"],
];

fn files_in(place: &Place) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn commands_create_no_database_and_name_the_missing_file() {
    let mut place = Place::new().await;
    if place.is_postgres() {
        return;
    }
    place.write("orders.csv", "Name\n");
    place.set("DATABASE_URL", "sqlite://nowhere/portal.db");
    let full = place.path().join("nowhere/portal.db");
    let before = files_in(&place);
    for command in WITH_DATABASE {
        let ran = place.run(command);
        assert!(ran.status == 1 && is_one_line(&ran), "{command:?}: {ran:?}");
        assert!(ran.stderr.contains(full.to_str().unwrap()), "{command:?}: {ran:?}");
        assert_eq!(files_in(&place), before, "{command:?} created something");
    }
}

#[tokio::test]
async fn commands_name_migrate_when_migrations_are_missing_and_apply_none() {
    let place = Place::new().await;
    place.write("orders.csv", "Name\n");
    place.done(&["migrate"]);
    let database = place.database().await;
    let forget = "DELETE FROM _sqlx_migrations WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)";
    sqlx::query(forget).execute(&database).await.unwrap();
    let versions = async || -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM _sqlx_migrations").fetch_one(&database).await.unwrap()
    };
    let before = versions().await;
    for command in WITH_DATABASE {
        let ran = place.run(command);
        assert!(ran.status == 1 && is_one_line(&ran), "{command:?}: {ran:?}");
        assert!(ran.stderr.contains("order-portal migrate"), "{command:?}: {ran:?}");
    }
    assert_eq!(versions().await, before);
    assert!(!place.path().join("copy.db").exists());
}

#[tokio::test]
async fn commands_refuse_a_database_of_another_version() {
    for change in [
        "UPDATE _sqlx_migrations SET version = 99990101000000 WHERE version = 3",
        "UPDATE _sqlx_migrations SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 1) WHERE version = 3",
    ] {
        let place = Place::new().await;
        place.write("orders.csv", "Name\n");
        place.done(&["migrate"]);
        sqlx::query(change).execute(&place.database().await).await.unwrap();
        for command in WITH_DATABASE.into_iter().chain([&["serve"][..], &["migrate"]]) {
            let ran = place.run(command);
            assert!(ran.status == 1 && is_one_line(&ran) && ran.stderr.contains("migration"), "{command:?}: {ran:?}");
        }
    }
}

/// In a folder that was there before, which anyone may enter.
#[cfg(unix)]
#[tokio::test]
async fn database_files_have_mode_0600() {
    use std::os::unix::fs::PermissionsExt;
    let mut place = Place::new().await;
    let folder = place.path().join("shared");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    place.set("DATABASE_URL", "sqlite://shared/portal.db");
    let app = TestApp::start_in(place).await;
    app.customer("ann@example.com").await;
    for name in ["portal.db", "portal.db-wal", "portal.db-shm"] {
        let mode = std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
}

#[tokio::test]
async fn uncreatable_database_file_is_explained() {
    let mut place = Place::new().await;
    place.write("file", "");
    place.set("DATABASE_URL", "sqlite://file/portal.db");
    let ran = place.run(&["migrate"]);
    assert!(ran.status == 1 && is_one_line(&ran) && ran.stderr.contains("DATABASE_URL"), "{ran:?}");
}

#[tokio::test]
async fn backup_during_serve_is_complete_and_private() {
    let app = TestApp::start().await;
    app.customer("ann@example.com").await;
    let ran = app.run(&["backup", "copy.db"]);
    if app.is_postgres() {
        assert!(ran.status == 1 && is_one_line(&ran) && ran.stderr.contains("pg_dump"), "{ran:?}");
        return;
    }
    assert_eq!(ran.status, 0, "{ran:?}");
    app.customer("bob@example.com").await;
    let copy = app.path().join("copy.db");
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&copy).unwrap().permissions()) & 0o777,
        0o600
    );
    let again = app.run(&["backup", "copy.db"]);
    assert!(again.status == 1 && is_one_line(&again), "an older backup was overwritten: {again:?}");
    let mut place = Place::new().await;
    place.set("DATABASE_URL", &format!("sqlite://{}", copy.display()));
    let restored = TestApp::start_in(place).await;
    let log_in =
        async |email| restored.visitor().post("/login", &[("email", email), ("password", PASSWORD)]).await.status;
    assert_eq!((log_in("ann@example.com").await, log_in("bob@example.com").await), (303, 401));
}

#[tokio::test]
async fn unwritable_backup_is_explained() {
    let app = TestApp::start().await;
    let ran = app.run(&["backup", "no/such/folder/copy.db"]);
    assert!(ran.status == 1 && is_one_line(&ran), "{ran:?}");
}

#[tokio::test]
async fn start_prints_the_address() {
    let app = TestApp::start().await;
    assert!(app.logs().contains(&format!("http://localhost:{}", app.port)), "{}", app.logs());
}

#[tokio::test]
async fn port_in_use_is_named() {
    let app = TestApp::start().await;
    let ran = app.run(&["serve"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.stderr.lines().last().unwrap().contains(&app.port.to_string()), "{ran:?}");
}

#[tokio::test]
async fn stop_finishes_requests_and_closes_the_database() {
    for signal in ["TERM", "INT"] {
        let mut app = TestApp::start().await;
        let requests = (0..6).map(|number| {
            let fields = [("email", format!("customer{number}@example.com")), ("password", PASSWORD.to_owned())];
            let request = app.request(reqwest::Method::POST, "/signup").form(&fields);
            tokio::spawn(async move { crate::http::send(request).await.status })
        });
        let requests: Vec<_> = requests.collect();
        tokio::time::sleep(Duration::from_millis(60)).await;
        app.signal(signal);
        for request in requests {
            assert_eq!(request.await.unwrap(), 303, "{signal}");
        }
        let status = app.wait();
        assert_eq!(status.code(), Some(0), "{signal}: {}", app.logs());
        assert!(!app.path().join("portal.db-wal").exists(), "the write-ahead log was left");
        assert!(std::net::TcpStream::connect(("127.0.0.1", app.port)).is_err());
        app.start_again().await;
        let made: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM users").fetch_one(&app.database().await).await.unwrap();
        assert_eq!(made, 6);
    }
}

#[tokio::test]
async fn idle_connection_does_not_delay_the_stop() {
    let mut app = TestApp::start().await;
    let _idle = std::net::TcpStream::connect(("127.0.0.1", app.port)).unwrap();
    app.get("/login").await;
    let began = std::time::Instant::now();
    app.stop_by("TERM");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn two_nodes_share_one_database() {
    let first = TestApp::start().await;
    let mut place = Place::new().await;
    place.set("DATABASE_URL", first.setting("DATABASE_URL"));
    place.set("PUBLIC_URL", first.setting("PUBLIC_URL"));
    let second = TestApp::start_in(place).await;
    let token = first.customer("ann@example.com").await.token();
    let on_second = async || second.get_with_cookie("/orders", &format!("__Host-session={token}")).await.status;
    assert_eq!(on_second().await, 200);
    let mut visitor = first.visitor();
    visitor.bring(&token);
    visitor.post("/logout", &[]).await;
    assert_eq!(on_second().await, 303, "a session revoked on one node lived on the other");
}

#[tokio::test]
async fn metrics_use_a_separate_listener() {
    let port = crate::place::free_port();
    let app = TestApp::start_with(&[("METRICS_ADDR", &format!("127.0.0.1:{port}"))]).await;
    app.get("/login").await;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    let answer = crate::http::send_raw(port, request.as_bytes()).unwrap();
    assert!(answer.status == 200 && answer.text().contains("# TYPE"), "{}", answer.text());
    assert!(answer.text().contains("/login") && !answer.text().contains("@example.com"));
    assert_eq!(app.get("/metrics").await.status, 404);
}
