//! The configuration.

use crate::app::TestApp;
use crate::place::{Place, SECRET};

const HIDDEN: &str = "sunflower-sonata-in-b-flat";

/// A certificate that nobody has signed, and its key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn refused(place: &Place, names: &[&str]) -> String {
    for command in ["serve", "check"] {
        let ran = place.run(&[command]);
        assert_eq!(ran.status, 2, "{command}: {ran:?}");
        for name in names {
            assert!(ran.stderr.contains(name), "{command} does not name {name}: {}", ran.stderr);
        }
    }
    place.run(&["serve"]).stderr
}

#[tokio::test]
async fn invalid_values_are_reported_together() {
    let mut place = Place::new().await;
    let wrong = [
        ("APP_ENV", "staging"),
        ("BIND_ADDR", "somewhere"),
        ("PUBLIC_URL", "shop.example"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("TOKEN_TTL_SECONDS", "-5"),
        ("SESSION_MAX_HOURS", "zero"),
        ("REMEMBER_ME_DAYS", "1e9"),
        ("MAIL_URL", "carrier-pigeon://x"),
        ("MAIL_FROM", "a@@b"),
        ("DEMO_ORDERS", "perhaps"),
        ("TRUSTED_PROXIES", "everyone"),
        ("METRICS_ADDR", "nowhere"),
        ("SECURITY_CONTACT", "http://shop.example"),
        ("LOG_FORMAT", "xml"),
    ];
    wrong.iter().for_each(|(name, value)| place.set(name, value));
    let names: Vec<&str> = wrong.iter().map(|(name, _)| *name).collect();
    let said = refused(&place, &names);
    for value in ["staging", "somewhere", "carrier-pigeon", "everyone", "xml"] {
        assert!(said.contains(value), "what it holds is not said: {value}\n{said}");
    }
}

#[tokio::test]
async fn each_invalid_value_stops_the_start() {
    let wrong = [
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
        ("DRAIN_SECONDS", "301"),
        ("DRAIN_SECONDS", "-1"),
        ("DRAIN_SECONDS", "1.5"),
    ];
    for (name, value) in wrong {
        let mut place = Place::new().await;
        place.set(name, value);
        let ran = place.run(&["check"]);
        assert!(ran.status == 2 && ran.stderr.contains(name), "{name}={value}: {ran:?}");
    }
}

#[tokio::test]
async fn empty_variable_counts_as_not_set() {
    let mut place = Place::new().await;
    for (name, default) in [("DATABASE_URL", "sqlite://data/portal.db"), ("TOKEN_TTL_SECONDS", "1800")] {
        place.set(name, "");
        let ran = place.run(&["check"]);
        let line = ran.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{ran:?}"));
        assert!(line.ends_with(default), "{line}");
    }
}

#[tokio::test]
async fn secrets_are_never_printed() {
    let mut place = Place::new().await;
    place.set("TOKEN_SECRET", &HIDDEN[..20]);
    place.set("TOKEN_SECRET_PREVIOUS", &format!("short-{}", &HIDDEN[..12]));
    place.set("DATABASE_URL", &format!("mysql://portal:{HIDDEN}@localhost/x"));
    place.set("MAIL_URL", &format!("pigeon://portal:{HIDDEN}@localhost"));
    let said = refused(&place, &["TOKEN_SECRET", "TOKEN_SECRET_PREVIOUS", "DATABASE_URL", "MAIL_URL"]);
    assert!(!said.contains(&HIDDEN[..12]), "{said}");
}

#[tokio::test]
async fn check_prints_settings_without_secrets() {
    let place = Place::new().await;
    place.done(&["migrate"]);
    let said = place.done(&["check"]);
    assert!(said.contains(&format!("127.0.0.1:{}", place.port)) && said.contains("http://localhost"), "{said}");
    assert!(!said.contains(crate::place::SECRET), "{said}");
}

#[tokio::test]
async fn drain_seconds_default_to_0_and_in_production_to_5() {
    let mut place = Place::new().await;
    let drain_seconds = |said: &str| {
        let line =
            said.lines().find_map(|line| line.strip_prefix("DRAIN_SECONDS")).map(|value| value.trim().to_owned());
        line.unwrap_or_else(|| panic!("{said}"))
    };
    assert_eq!(drain_seconds(&place.run(&["check"]).stdout), "0");
    place.set("APP_ENV", "production");
    place.set("PUBLIC_URL", "https://orders.shop.example");
    assert_eq!(drain_seconds(&place.run(&["check"]).stdout), "5");
    place.set("DRAIN_SECONDS", "300");
    assert_eq!(drain_seconds(&place.run(&["check"]).stdout), "300");
}

#[tokio::test]
async fn check_reports_an_unreachable_database() {
    let mut place = Place::new().await;
    place.set("DATABASE_URL", &format!("postgres://portal:{HIDDEN}@127.0.0.1:1/portal"));
    let ran = place.run(&["check"]);
    assert!(ran.status == 1 && !ran.output().contains(HIDDEN) && ran.stderr.contains("DATABASE_URL"), "{ran:?}");
    assert!(ran.stderr.contains("portal:***@") && ran.stderr.contains("Connection refused"), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
}

#[tokio::test]
async fn check_names_why_the_database_cannot_be_opened() {
    let mut place = Place::new().await;
    let (url, reason) = if place.is_postgres() {
        (format!("{}_that_nobody_made", place.setting("DATABASE_URL")), "does not exist")
    } else {
        place.write("notes.db", "no database at all, whatever its name says\n".repeat(100));
        ("sqlite://notes.db".to_owned(), "file is not a database")
    };
    place.set("DATABASE_URL", &url);
    let ran = place.run(&["check"]);
    assert!(ran.status == 1 && ran.stderr.contains(reason), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
}

#[tokio::test]
async fn check_fails_whenever_serve_would() {
    let mut place = Place::new().await;
    place.set("STATIC_DIR", "/nope");
    for command in ["serve", "check"] {
        let ran = place.run(&[command]);
        assert!(ran.status == 1 && ran.stderr.contains("STATIC_DIR"), "{command}: {ran:?}");
    }
    let ((other, _), (_, key)) = (certificate(), certificate());
    let mut place = Place::new().await;
    place.write("cert.pem", other);
    place.write("key.pem", key);
    place.write("nothing.pem", "");
    for (cert, key) in [("missing.pem", "key.pem"), ("nothing.pem", "key.pem"), ("cert.pem", "key.pem")] {
        place.set("TLS_CERT", cert);
        place.set("TLS_KEY", key);
        for command in ["serve", "check"] {
            let ran = place.run(&[command]);
            assert!(ran.status == 1 && ran.stderr.contains("TLS_CERT"), "{command} with {cert}: {ran:?}");
        }
    }
}

#[tokio::test]
async fn check_prints_the_origin_of_serve() {
    let (cert, key) = certificate();
    let mut place = Place::new().await;
    place.done(&["migrate"]);
    place.unset("PUBLIC_URL");
    place.done(&["migrate"]);
    let url = |said: String| said.lines().find(|line| line.starts_with("PUBLIC_URL")).unwrap().to_owned();
    assert!(url(place.done(&["check"])).ends_with(&format!("http://localhost:{}", place.port)));
    place.write("cert.pem", cert);
    place.write("key.pem", key);
    place.set("TLS_CERT", "cert.pem");
    place.set("TLS_KEY", "key.pem");
    assert!(url(place.done(&["check"])).ends_with(&format!("https://localhost:{}", place.port)));
}

#[tokio::test]
async fn production_with_file_mail_is_a_warning() {
    let mut place = Place::new().await;
    place.done(&["migrate"]);
    assert!(!place.run(&["check"]).stderr.contains("MAIL_URL"), "development keeps its mail in a folder");
    place.set("APP_ENV", "production");
    place.set("PUBLIC_URL", "https://shop.example");
    let ran = place.run(&["check"]);
    assert!(ran.status == 0 && ran.stderr.contains("warning") && ran.stderr.contains("set MAIL_URL"), "{ran:?}");
    let app = TestApp::start_in(place).await;
    let logs = app.logs();
    assert!(logs.lines().any(|line| line.contains("\"WARN\"") && line.contains("set MAIL_URL")), "{logs}");
}

/// The warnings of `check` that name the variable.
fn warnings_about(place: &Place, variable: &str) -> Vec<String> {
    let ran = place.run(&["check"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.stderr.lines().filter(|line| line.contains("warning") && line.contains(variable)).map(str::to_owned).collect()
}

#[tokio::test]
async fn production_behind_an_unnamed_proxy_is_a_warning() {
    let mut place = Place::new().await;
    place.done(&["migrate"]);
    place.set("APP_ENV", "production");
    place.set("PUBLIC_URL", "https://shop.example");
    assert_eq!(warnings_about(&place, "TRUSTED_PROXIES"), [""; 0], "a loopback address");
    place.set("BIND_ADDR", &format!("0.0.0.0:{}", place.port));
    assert!(warnings_about(&place, "TRUSTED_PROXIES").concat().contains("set TRUSTED_PROXIES"));
    place.set("TRUSTED_PROXIES", "192.0.2.1");
    assert_eq!(warnings_about(&place, "TRUSTED_PROXIES"), [""; 0]);
    place.unset("TRUSTED_PROXIES");
    let app = TestApp::start_in(place).await;
    let logs = app.logs();
    assert!(logs.lines().any(|line| line.contains("\"WARN\"") && line.contains("set TRUSTED_PROXIES")), "{logs}");
}

#[tokio::test]
async fn trusting_every_address_as_a_proxy_is_a_warning() {
    let mut place = Place::new().await;
    place.done(&["migrate"]);
    for everybody in ["0.0.0.0/0", "10.0.0.1,::/0"] {
        place.set("TRUSTED_PROXIES", everybody);
        let warnings = warnings_about(&place, "TRUSTED_PROXIES");
        assert!(warnings.len() == 1 && warnings[0].contains("/0"), "{warnings:?}");
    }
    let app = TestApp::start_in(place).await;
    let logs = app.logs();
    assert!(logs.lines().any(|line| line.contains("WARN") && line.contains("TRUSTED_PROXIES holds ::/0")), "{logs}");
}

#[tokio::test]
async fn development_accepts_only_loopback_addresses() {
    let mut place = Place::new().await;
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        place.set("BIND_ADDR", address);
        refused(&place, &["BIND_ADDR"]);
    }
}

#[tokio::test]
async fn production_requires_secret_and_https() {
    let mut place = Place::new().await;
    place.set("APP_ENV", "production");
    place.unset("TOKEN_SECRET");
    refused(&place, &["TOKEN_SECRET", "PUBLIC_URL"]);
    assert!(!place.path().join("data").exists(), "a secret was made in production");
}

#[tokio::test]
async fn placeholder_secret_is_rejected() {
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).unwrap();
    let line = example
        .lines()
        .map(|line| line.trim_start_matches(['#', ' ']))
        .find_map(|line| line.strip_prefix("TOKEN_SECRET="));
    let mut place = Place::new().await;
    place.set("TOKEN_SECRET", line.expect("the example has no TOKEN_SECRET").trim_matches(['"', '\'']));
    refused(&place, &["TOKEN_SECRET"]);
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
    let mut place = Place::new().await;
    place.unset("TOKEN_TTL_SECONDS");
    place.write(".env", "TOKEN_TTL_SECONDS=never\nSESSION_MAX_HOURS=often\n");
    place.set("SESSION_MAX_HOURS", "3");
    let ran = place.run(&["check"]);
    assert!(
        ran.status == 2 && ran.stderr.contains("TOKEN_TTL_SECONDS") && !ran.stderr.contains("SESSION_MAX_HOURS"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn env_file_of_a_parent_directory_is_not_read() {
    let mut place = Place::new().await;
    place.unset("TOKEN_TTL_SECONDS");
    place.write(".env", "TOKEN_TTL_SECONDS=never\n");
    let below = place.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let ran = place.command(&["migrate"]).current_dir(&below).output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert_eq!(place.run(&["migrate"]).status, 2);
}

#[tokio::test]
async fn env_file_option_names_another_file_and_a_missing_one_is_an_error() {
    let mut place = Place::new().await;
    place.unset("TOKEN_TTL_SECONDS");
    place.write(".env", "SESSION_MAX_HOURS=never\n");
    place.write("shop.env", "TOKEN_TTL_SECONDS=77\n");
    place.done(&["migrate", "--env-file", "shop.env"]);
    for command in [["check", "--env-file", "shop.env"], ["--env-file", "shop.env", "check"]] {
        let said = place.done(&command);
        assert!(said.lines().any(|line| line.starts_with("TOKEN_TTL_SECONDS") && line.ends_with(" 77")), "{said}");
    }
    let ran = place.run(&["check", "--env-file", "nowhere.env"]);
    assert!(ran.status == 2 && ran.stderr.lines().count() == 1, "{ran:?}");
    assert!(ran.stderr.contains(place.path().join("nowhere.env").to_str().unwrap()), "{ran:?}");
}

fn set_mode(place: &Place, name: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(place.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn settings_file_that_others_can_read_is_a_warning() {
    let place = Place::new().await;
    place.done(&["migrate"]);
    for (name, arguments) in [(".env", &["check"][..]), ("shop.env", &["check", "--env-file", "shop.env"])] {
        place.write(name, "TOKEN_TTL_SECONDS=77\n");
        for mode in [0o644, 0o640, 0o606] {
            set_mode(&place, name, mode);
            let ran = place.run(arguments);
            assert!(ran.status == 0 && ran.stderr.contains(&format!("chmod 600 {name}")), "{mode:o}: {ran:?}");
        }
        set_mode(&place, name, 0o600);
        let ran = place.run(arguments);
        assert!(ran.status == 0 && !ran.stderr.contains("chmod"), "{ran:?}");
    }
}

#[tokio::test]
async fn repeated_secret_is_refused() {
    let mut place = Place::new().await;
    for weak in ["a".repeat(64), "ab".repeat(32), "changeme-".repeat(5), "secret".repeat(7)[..40].to_owned()] {
        place.set("TOKEN_SECRET", &weak);
        let said = refused(&place, &["TOKEN_SECRET"]);
        assert!(said.contains("order-portal secret") && !said.contains(&weak[..8]), "{said}");
        place.set("TOKEN_SECRET", SECRET);
        place.set("TOKEN_SECRET_PREVIOUS", &format!("{HIDDEN}{HIDDEN}x, {weak}"));
        let said = refused(&place, &["TOKEN_SECRET_PREVIOUS"]);
        assert!(!said.contains(&weak[..8]), "{said}");
        place.unset("TOKEN_SECRET_PREVIOUS");
    }
}

#[tokio::test]
async fn unknown_variable_is_a_warning_with_the_closest_name() {
    let mut place = Place::new().await;
    place.write(".env", "MAIL_FORM=shop@shop.example\nSSL_CERT_DIR=/etc/ssl/certs\n");
    set_mode(&place, ".env", 0o600);
    place.done(&["migrate"]);
    for command in [&["check"][..], &["user", "list"], &["migrate"]] {
        let ran = place.run(command);
        assert_eq!(ran.status, 0, "{ran:?}");
        let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("warning")).collect();
        assert_eq!(warnings.len(), 1, "{command:?}: {ran:?}");
        assert!(warnings[0].contains("MAIL_FORM") && warnings[0].contains("MAIL_FROM"), "{warnings:?}");
    }
    place.set("BIND_ADDR", "nowhere");
    let ran = place.run(&["check"]);
    assert!(ran.status == 2 && ran.stderr.contains("MAIL_FORM") && ran.stderr.contains("BIND_ADDR"), "{ran:?}");
    place.set("BIND_ADDR", &format!("127.0.0.1:{}", place.port));
    let app = TestApp::start_in(place).await;
    assert!(app.logs().lines().any(|line| line.contains("WARN") && line.contains("MAIL_FORM")), "{}", app.logs());
}

#[tokio::test]
async fn development_creates_and_keeps_a_secret() {
    let mut place = Place::new().await;
    place.unset("TOKEN_SECRET");
    let mut app = TestApp::start_in(place).await;
    let mut visitor = app.customer("ann@example.com").await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let files = std::fs::read_dir(app.path().join("data")).unwrap().map(Result::unwrap);
        let secrets: Vec<_> = files.filter(|file| file.file_name().to_string_lossy().contains("secret")).collect();
        assert_eq!(secrets.len(), 1, "no file of that name in data/");
        assert_eq!(secrets[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let kept = std::fs::read_to_string(secrets[0].path()).unwrap();
        assert!(!app.logs().contains(kept.trim()));
    }
    app.stop_by("TERM");
    app.start_again().await;
    assert!(visitor.get("/orders").await.is_page(200));
}
