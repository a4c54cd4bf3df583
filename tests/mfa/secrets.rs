//! Secrets of factors: in the database, in the log, in the data export, and after a new `TOKEN_SECRET`.

use super::{after_password, send_code, two_step_customer};
use crate::app::{ANN, PASSWORD, TestApp};
use crate::mailbox;
use crate::sandbox::SECRET;

const NEW_SECRET: &str = "another secret of the tests, also longer than thirty-two bytes";

async fn sealed(app: &TestApp) -> (Vec<u8>, String) {
    let database = app.database().await;
    sqlx::query_as("SELECT secret, key_id FROM totp_factors").fetch_one(&database).await.unwrap()
}

#[tokio::test]
async fn database_log_mail_and_export_contain_no_secret() {
    let app = TestApp::start_with(&[("RUST_LOG", "debug,sqlx=info")]).await;
    let (mut ann, authenticator, codes) = two_step_customer(&app, ANN).await;
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    let code = authenticator.fresh_code(&app).await;
    send_code(&mut visitor, &authenticator.wrong_code()).await;
    send_code(&mut visitor, &codes[0]).await;
    let response = ann.post("/account/export", &[("password", PASSWORD), ("code", &code)]).await;
    let export = response.json();
    assert_eq!(export["two_step_login"]["recovery_codes_left"], 9, "{export}");
    assert!(export["two_step_login"]["authenticator_app_since"].is_string(), "{export}");

    let (secret, _) = sealed(&app).await;
    let plain = totp_rs::Secret::try_from_base32(&authenticator.secret).unwrap();
    assert!(!secret.windows(20).any(|part| part == plain.as_bytes()), "the secret is stored in plain text");
    let hashes: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT hash FROM recovery_codes").fetch_all(&app.database().await).await.unwrap();
    assert!(hashes.iter().all(|hash| hash.len() == 32));
    mailbox::wait_for_empty_queue(&app).await;
    let mails: String = mailbox::mails(&app).into_iter().map(|mail| mail.raw).collect();
    for (place, text) in [("log", app.logs()), ("mail", mails), ("export", export.to_string())] {
        let secrets = codes.iter().chain([&authenticator.secret]);
        for secret in secrets.map(String::as_str).chain([&*codes[1].replace('-', "")]) {
            assert!(!text.contains(secret), "{secret} is in the {place}");
        }
    }
    assert!(!app.logs().contains(&format!("\"{code}\"")) && !app.logs().contains(&format!("code={code}")));
}

#[tokio::test]
async fn factors_survive_a_new_token_secret() {
    let mut app = TestApp::start().await;
    let (_, authenticator, codes) = two_step_customer(&app, ANN).await;
    let before = sealed(&app).await;
    app.stop_with("TERM");
    app.set("TOKEN_SECRET", NEW_SECRET);
    app.set("TOKEN_SECRET_PREVIOUS", SECRET);
    app.restart().await;
    // Maintenance at the start encrypts the secret under the new key.
    let began = std::time::Instant::now();
    while sealed(&app).await.1 == before.1 {
        assert!(began.elapsed().as_secs() < 20, "the secret is still under the previous key");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_ne!(sealed(&app).await.0, before.0);
    app.stop_with("TERM");
    app.unset("TOKEN_SECRET_PREVIOUS");
    app.restart().await;
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut visitor, &authenticator.fresh_code(&app).await).await.redirect(), (303, "/orders"));

    // With a lost secret no code can be checked. Recovery codes still work, and the log says why.
    app.stop_with("TERM");
    app.set("TOKEN_SECRET", SECRET);
    app.restart().await;
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut visitor, &authenticator.fresh_code(&app).await).await.status, 401);
    assert_eq!(send_code(&mut visitor, &codes[0]).await.redirect(), (303, "/orders"));
    assert!(app.logs().contains("the secret of a factor cannot be decrypted"), "{}", app.logs());
}

#[tokio::test]
async fn secret_copied_to_another_account_is_useless() {
    let app = TestApp::start().await;
    let (_, anns, _) = two_step_customer(&app, ANN).await;
    two_step_customer(&app, crate::app::BOB).await;
    // Somebody who can write the database puts Ann's secret into Bob's row.
    let id = |email: &str| format!("(SELECT id FROM users WHERE email = '{email}')");
    let (ann, bob) = (id(ANN), id(crate::app::BOB));
    let copy = format!(
        "UPDATE totp_factors SET secret = (SELECT f.secret FROM totp_factors f WHERE f.user_id = {ann}) WHERE user_id = {bob}"
    );
    app.execute(&copy).await;
    let mut visitor = after_password(&app, crate::app::BOB, PASSWORD).await;
    assert_eq!(send_code(&mut visitor, &anns.fresh_code(&app).await).await.status, 401);
}
