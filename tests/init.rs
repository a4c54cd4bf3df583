//! `order-portal init`.

use crate::sandbox::Sandbox;

#[tokio::test]
async fn init_writes_private_settings_with_a_new_secret() {
    let mut sandbox = Sandbox::new().await;
    for setting in ["TOKEN_SECRET", "STATIC_DIR"] {
        sandbox.unset(setting);
    }
    let output = sandbox.run_ok(&["init"]);
    let file = sandbox.path().join(".env");
    assert!(output.contains(&file.display().to_string()), "{output}");
    let settings = std::fs::read_to_string(&file).unwrap();
    let secret_of = |settings: &str| {
        let line = settings.lines().find_map(|line| line.strip_prefix("TOKEN_SECRET="));
        line.unwrap_or_else(|| panic!("{settings}")).to_owned()
    };
    let secret = secret_of(&settings);
    assert!(secret.len() == 128 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "{secret}");
    assert!(!output.contains(&secret) && !settings.contains("replace-this"));
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).unwrap();
    assert_eq!(settings.lines().count(), example.lines().count());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let again = sandbox.run(&["init"]);
    assert!(again.status == 1 && again.stderr.contains("not changed"), "{again:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), settings);
    sandbox.run_ok(&["init", "--env-file", "other.env"]);
    assert_ne!(secret_of(&std::fs::read_to_string(sandbox.path().join("other.env")).unwrap()), secret);
    let missing = sandbox.run(&["init", "--env-file", "missing/.env"]);
    assert!(missing.status == 1 && missing.stderr.lines().count() == 1, "{missing:?}");

    // The program takes the secret from the file: in development it would create one.
    sandbox.run_ok(&["migrate"]);
    let check = sandbox.run(&["check"]);
    assert!(check.status == 0 && check.stderr.is_empty(), "{check:?}");
    assert!(!sandbox.path().join("data/token-secret").exists());
}
