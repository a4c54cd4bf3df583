//! The account page: password, sessions, audit events, data export, deletion.

use reqwest::Method;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::actions::{reorder, submit};
use crate::app::{ANN, BOB, NEW_PASSWORD, PASSWORD, TestApp};
use crate::http::{self, Visitor};
use crate::shop;
use crate::token::{Token, now};

const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
     Version/18.0 Mobile/15E148 Safari/604.1";

/// Logs in with another browser.
async fn log_in(app: &TestApp, email: &str, user_agent: &str) -> Visitor {
    let mut visitor = app.visitor();
    let fields = [("email", email), ("password", PASSWORD)];
    let request = visitor.request(Method::POST, "/login").header("user-agent", user_agent).form(&fields);
    assert_eq!(visitor.send(request).await.redirect(), (303, "/orders"));
    visitor
}

async fn is_logged_in(visitor: &mut Visitor) -> bool {
    visitor.get("/account").await.is_page(200)
}

async fn is_valid_token(app: &TestApp, token: &str) -> bool {
    app.get_with_token("/account", token).await.status == 200
}

fn session_id(visitor: &Visitor) -> String {
    Token::read(&visitor.token()).claims["sid"].as_str().unwrap().to_owned()
}

/// The list entries below a heading.
fn entries(page: &str, heading: &str) -> Vec<String> {
    let list = page.split(&format!(">{heading}</h")).nth(1).unwrap().split("</ul>").next().unwrap();
    list.split("<li>").skip(1).map(str::to_owned).collect()
}

fn sessions_on(page: &str) -> Vec<String> {
    entries(page, "Where you are logged in")
}

#[tokio::test]
async fn form_after_session_end_leads_to_login_and_back_to_its_page() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    let send = |referer: String| {
        let cookie = format!("__Host-session={}", visitor.token());
        let request = app.request(Method::POST, "/account/password").header("cookie", cookie);
        http::send(request.header("referer", referer).form(&[("current_password", "x"), ("new_password", "y")]))
    };
    sqlx::query("UPDATE sessions SET expires_at = $1").bind(now()).execute(&app.database().await).await.unwrap();
    let ours = send(format!("{}/account?from=a%20mail", app.origin())).await;
    assert_eq!(ours.redirect(), (303, "/login?next=%2Faccount%3Ffrom%3Da%2520mail"));
    assert!(ours.header_values("set-cookie").iter().any(|cookie| cookie.contains("session-over")), "no notice");
    for other in ["http://evil.example/account", "http://localhost:1/account", "nonsense"] {
        assert_eq!(send(other.to_owned()).await.redirect(), (303, "/login?next=%2Faccount%2Fpassword"), "{other}");
    }
    let back = [("email", ANN), ("password", PASSWORD), ("next", "/account?from=a%20mail")];
    let response = visitor.post("/login", &back).await;
    assert_eq!(response.redirect(), (303, "/account?from=a%20mail"));
}

#[tokio::test]
async fn password_change_applies_the_sign_up_rules() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    for new in ["", "sh0rt!q", "password123", ANN, PASSWORD] {
        let response = visitor.change_password(PASSWORD, new).await;
        assert!(response.is_page(422) && response.text().contains("id=\"new-password-error\""), "{new}");
        // The page always contains the account's address.
        assert!(new.is_empty() || new == ANN || !response.text().contains(new), "the page contains the password {new}");
    }
    let both = visitor.change_password("", "short").await.text();
    assert!(both.contains("id=\"current-password-error\"") && both.contains("id=\"new-password-error\""));
}

#[tokio::test]
async fn password_change_revokes_other_sessions_and_rotates_this_one() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    let mut other = log_in(&app, ANN, IPHONE).await;
    let api = app.api_token(ANN).await;
    let before = visitor.token();
    let response = visitor.change_password(PASSWORD, NEW_PASSWORD).await;
    assert_eq!(response.redirect(), (303, "/account#password"));
    assert_ne!(visitor.token(), before);
    assert!(visitor.get("/account").await.text().contains("Your password was changed"));
    assert!(!is_valid_token(&app, &before).await, "the former token is valid");
    assert!(!is_logged_in(&mut other).await);
    assert_eq!(app.api_get("/api/session", &api).await.status, 403);
    let with = async |password| app.log_in(ANN, password).await.status;
    assert_eq!((with(PASSWORD).await, with(NEW_PASSWORD).await), (401, 303));
}

/// A login that commits beside the change is not among the sessions that the change revokes, and a copy of the cookie would stay valid.
#[tokio::test]
async fn session_of_the_former_password_ends_without_revocation() {
    let app = TestApp::start().await;
    let mut ann = app.customer(ANN).await;
    let token = app.api_token(ANN).await;
    let mut other = app.new_session(ANN, PASSWORD).await;
    let fields = [("current_password", PASSWORD), ("new_password", NEW_PASSWORD)];
    assert_eq!(ann.post("/account/password", &fields).await.redirect(), (303, "/account#password"));
    app.execute("UPDATE sessions SET revoked_at = NULL, expires_at = created_at + 10000").await;
    assert_eq!(other.get("/orders").await.redirect().0, 303, "the former password's session");
    assert!(!is_valid_token(&app, &token).await, "the former password's API token");
    assert!(is_logged_in(&mut ann).await, "the session that changed the password");
    assert_eq!(app.new_session(ANN, NEW_PASSWORD).await.get("/orders").await.status, 200);
}

#[tokio::test]
async fn password_change_trusts_only_this_browser() {
    let app = TestApp::start().await;
    let mut visitor = app.visitor();
    let response = visitor.post("/signup", &[("email", ANN), ("password", PASSWORD)]).await;
    let browser =
        response.header_values("set-cookie").iter().find_map(|cookie| cookie.strip_prefix("__Host-browser=")).unwrap();
    let (browser, attributes) = browser.split_once("; ").unwrap();
    assert!(attributes.contains("HttpOnly") && attributes.contains("Secure") && attributes.contains("SameSite=Strict"));
    log_in(&app, ANN, IPHONE).await;
    assert_eq!(app.count("trusted_browsers").await, 2);
    visitor.change_password(PASSWORD, NEW_PASSWORD).await;
    let known = sqlx::query_scalar("SELECT hash FROM trusted_browsers");
    let known: Vec<Vec<u8>> = known.fetch_all(&app.database().await).await.unwrap();
    assert_eq!(known, [Sha256::digest(browser).to_vec()]);
}

#[tokio::test]
async fn concurrent_password_changes_succeed_once() {
    let app = TestApp::start().await;
    let mut one = app.customer(ANN).await;
    let mut other = log_in(&app, ANN, IPHONE).await;
    let (first, second) = futures_util::future::join(
        one.change_password(PASSWORD, NEW_PASSWORD),
        other.change_password(PASSWORD, "twelve tin frogs on a log"),
    )
    .await;
    let done = [&first, &second].iter().filter(|response| response.redirect() == (303, "/account#password")).count();
    assert_eq!(done, 1, "{} {}", first.status, second.status);
}

#[tokio::test]
async fn account_page_lists_sessions_with_device_address_and_times() {
    let app = TestApp::start().await;
    app.customer(BOB).await;
    app.customer(ANN).await.post("/logout", &[]).await;
    let mut visitor = log_in(&app, ANN, FIREFOX).await;
    let other = log_in(&app, ANN, IPHONE).await;
    app.api_token(ANN).await;
    let seen = "UPDATE sessions SET created_at = 1718000000, last_seen_at = 4102444800 WHERE id = $1";
    sqlx::query(seen).bind(session_id(&other)).execute(&app.database().await).await.unwrap();
    let shown = sessions_on(&visitor.get("/account").await.text());
    assert_eq!(shown.len(), 3, "{shown:?}");
    let of = |device: &str| shown.iter().find(|entry| entry.contains(device)).unwrap();
    let (this, that) = (of("Firefox on Windows"), of("Safari on iPhone"));
    assert!(this.contains("This browser") && !this.contains("<button"));
    assert!(that.contains("127.0.0.1") && that.contains(">Log out</button>") && !that.contains("This browser"));
    assert!(that.contains("2024-06-10T06:13:20Z") && that.contains("10 June 2024, 06:13"));
    assert!(that.contains("2100-01-01T00:00:00Z"), "{that}");
    assert!(of("(an app or script)").contains(">Log out</button>"));
}

#[tokio::test]
async fn session_is_revoked_from_another_session() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    let mut ended = log_in(&app, ANN, FIREFOX).await;
    let mut unaffected = log_in(&app, ANN, IPHONE).await;
    let response = visitor.post("/account/sessions/end", &[("session", &session_id(&ended))]).await;
    assert_eq!(response.redirect(), (303, "/account#sessions"));
    assert!(visitor.get("/account").await.text().contains("That browser or app was logged out"));
    assert_eq!(ended.get("/account").await.redirect(), (303, "/login?next=%2Faccount"));
    assert!(is_logged_in(&mut unaffected).await);
}

#[tokio::test]
async fn all_other_sessions_are_revoked_at_once() {
    let app = TestApp::start().await;
    let mut bob = app.customer(BOB).await;
    let mut visitor = app.customer(ANN).await;
    let mut others = [log_in(&app, ANN, FIREFOX).await, log_in(&app, ANN, IPHONE).await];
    let api = app.api_token(ANN).await;
    assert_eq!(visitor.post("/account/sessions/end-others", &[]).await.redirect(), (303, "/account#sessions"));
    for other in &mut others {
        assert!(!is_logged_in(other).await);
    }
    assert_eq!(app.api_get("/api/session", &api).await.status, 403);
    let page = visitor.get("/account").await.text();
    assert_eq!(sessions_on(&page).len(), 1);
    assert!(!page.contains("Log out everywhere else"), "there is only one session");
    assert!(is_logged_in(&mut bob).await);
}

#[tokio::test]
async fn session_of_another_customer_cannot_be_revoked() {
    let app = TestApp::start().await;
    let mut bob = app.customer(BOB).await;
    let mut visitor = app.customer(ANN).await;
    for id in [session_id(&bob).as_str(), "", "nonsense", "a\0b", "' OR 1=1 --"] {
        let response = visitor.post("/account/sessions/end", &[("session", id)]).await;
        assert_eq!(response.redirect(), (303, "/account#sessions"), "{id:?}");
        let page = visitor.get("/account").await.text();
        assert!(!page.contains("That browser or app was logged out"), "{id:?}");
    }
    assert!(is_logged_in(&mut bob).await && is_logged_in(&mut visitor).await);
}

#[tokio::test]
async fn audit_events_are_shown_with_time_and_address() {
    let app = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let mut visitor = app.customer(ANN).await;
    app.customer(BOB).await;
    let fields = [("email", ANN), ("password", "a wrong guess")];
    let guess = app.request(Method::POST, "/login").header("x-forwarded-for", "203.0.113.9").form(&fields);
    assert_eq!(http::send(guess).await.status, 401);
    visitor.change_password("a wrong one", NEW_PASSWORD).await;
    visitor.change_password(PASSWORD, NEW_PASSWORD).await;
    let shown = entries(&visitor.get("/account").await.text(), "Recent activity");
    let words = ["Password changed", "Wrong password entered", "Failed login", "Signed up"];
    assert_eq!(shown.len(), words.len(), "{shown:?}");
    for (entry, words) in shown.iter().zip(words) {
        assert!(entry.contains(words), "{words} is not at its position: {shown:?}");
        assert!(entry.contains("<time datetime=\"20"), "{entry}");
        let address = if words == "Failed login" { "203.0.113.9" } else { "127.0.0.1" };
        assert!(entry.contains(address), "{entry}");
    }
    assert_eq!(entries(&visitor.get("/account/activity").await.text(), "Activity").len(), words.len());
}

#[tokio::test]
async fn audit_events_older_than_90_days_are_not_shown() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    let days_ago = |days: i64| now() - days * 86_400;
    let database = app.database().await;
    for (event, at) in [("password-changed", days_ago(89)), ("password-reset", days_ago(90))] {
        let insert = "INSERT INTO audit_events (id, user_id, event, client_address, user_agent, at)
                      SELECT $1, id, $2, '192.0.2.1', '', $3 FROM users";
        sqlx::query(insert).bind(event).bind(event).bind(at).execute(&database).await.unwrap();
    }
    for path in ["/account", "/account/activity"] {
        let page = visitor.get(path).await.text();
        assert!(page.contains("Password changed") && !page.contains("Password set anew"), "{path}");
    }
    let export = visitor.post("/account/export", &[("password", PASSWORD)]).await.text();
    assert!(export.contains("password-changed") && !export.contains("password-reset"));
}

#[tokio::test]
async fn data_export_contains_all_data_of_the_customer() {
    let app = TestApp::start().await;
    let refunded = shop::order("#7001", ANN).with("Refunded Amount", "4.90");
    let queued = shop::unsent("#7003", ANN);
    let exported = [refunded, shop::line("#7001", ANN, "Ink"), shop::order("#7002", BOB), queued];
    app.import(&exported);
    let mut visitor = app.verified_customer(ANN).await;
    assert_eq!(visitor.post("/account/time-zone", &[("zone", "Asia/Tokyo")]).await.status, 303);
    reorder(&mut visitor, "7001").await;
    assert_eq!(submit(&mut visitor, "7003", "cancel").await.status, 303);
    let response = visitor.post("/account/export", &[("password", PASSWORD)]).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-disposition"), Some("attachment; filename=\"order-portal-data.json\""));
    assert_eq!(response.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let export = response.json();
    assert_eq!(export["account"]["email"], ANN);
    assert!(export["account"]["email_verified_at"].is_string());
    assert_eq!(export["sessions"][0]["address"], "127.0.0.1");
    assert_eq!(export["account"]["time_zone"], "Asia/Tokyo");
    for name in ["trusted_browsers", "trusted_networks"] {
        let known = export[name].as_array().unwrap();
        assert!(known.len() == 1 && known[0]["last_used_at"].as_str().unwrap().ends_with('Z'), "{name}: {known:?}");
    }
    let events: Vec<_> = export["activity"].as_array().unwrap().iter().map(|entry| &entry["event"]).collect();
    assert_eq!(events, ["address-verified", "signed-up"]);
    let orders = export["orders"].as_array().unwrap();
    assert_eq!(orders.len(), 2);
    let order = |number: &str| orders.iter().find(|order| order["number"] == number).unwrap();
    let first = order("7001");
    assert_eq!(first["lines"][1]["name"], "Ink");
    assert_eq!(first["shipping_address"]["city"], "Reims");
    assert_eq!((&first["refunded"], &first["total"]), (&json!(490), &json!(2990)));
    assert!(first["cancellation_asked_at"].is_null() && first["copy_of"].is_null());
    let requests = export["reorder_requests"].as_array().unwrap();
    assert_eq!((requests.len(), &requests[0]["order"]), (1, &json!("#7001")));
    assert_eq!(requests[0]["lines"][1], json!({ "sku": "", "name": "Ink", "quantity": 1 }));
    assert!(order("7003")["cancellation_asked_at"].as_str().unwrap().ends_with('Z'));
    let text = response.text();
    for secret in ["argon2", "hash", "token", "secret", "__Host", &visitor.token(), &session_id(&visitor), BOB] {
        assert!(!text.contains(secret), "the export contains {secret}");
    }
}

#[tokio::test]
async fn account_deletion_deletes_everything_except_the_shops_orders() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true"), ("MAIL_URL", "smtp://127.0.0.1:9")]).await;
    app.import(&[shop::order("#7001", ANN)]);
    let mut visitor = app.verified_customer(ANN).await;
    let mut other = log_in(&app, ANN, FIREFOX).await;
    let api = app.api_token(ANN).await;
    let database = app.database().await;
    let link = "INSERT INTO email_tokens (hash, user_id, purpose, email, created_at, expires_at)
                SELECT $1, id, 'reset', email, 0, 4102444800 FROM users";
    sqlx::query(link).bind(&b"a hash"[..]).execute(&database).await.unwrap();
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    let response = visitor.post("/account/delete", &[("password", PASSWORD)]).await;
    assert_eq!(response.redirect(), (303, "/login"));
    assert_eq!(response.session_cookie().unwrap().0, "");
    assert!(visitor.get("/login").await.text().contains("Your account was deleted"));
    for table in ["users", "sessions", "email_tokens", "audit_events", "trusted_browsers", "trusted_networks"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    let queued = sqlx::query_scalar("SELECT message FROM mail_queue").fetch_all(&database);
    let queued: Vec<String> = queued.await.unwrap();
    // A thief who deletes the account must not delete the notice about the login.
    let is_notice = |mail: &String| mail.contains("AccountDeleted") || mail.contains("NewLogin");
    assert!(queued.len() == 2 && queued.iter().all(is_notice), "other mail than notices is queued: {queued:?}");
    let orders = sqlx::query_as("SELECT number, user_id FROM orders").fetch_all(&database);
    let orders: Vec<(String, Option<String>)> = orders.await.unwrap();
    assert_eq!(orders, [("7001".to_owned(), None)], "only the shop's order is kept");
    assert!(!is_logged_in(&mut other).await);
    assert_eq!(app.api_get("/api/session", &api).await.status, 403);
}

#[tokio::test]
async fn address_of_a_deleted_account_can_sign_up_again() {
    let app = TestApp::start().await;
    app.import(&[shop::order("#7001", ANN)]);
    app.verified_customer(ANN).await.post("/account/delete", &[("password", PASSWORD)]).await;
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 401);
    let mut second = app.customer(ANN).await;
    assert!(!second.get("/orders").await.text().contains("#7001"), "the address is not confirmed");
    app.run_ok(&["user", "verify", ANN]);
    assert!(second.get("/orders").await.text().contains("#7001"));
}
