//! The account page: password, sessions, audit events, data export, deletion.

use reqwest::Method;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::actions::{press, reorder};
use crate::app::{PASSWORD, TestApp};
use crate::http::{self, Answer, Visitor};
use crate::shop;
use crate::token::{Token, now};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
const NEW_PASSWORD: &str = "eleven brass owls in a row";
const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
     Version/18.0 Mobile/15E148 Safari/604.1";
const FORMS: [&str; 7] =
    ["verification", "password", "email", "sessions/end", "sessions/end-others", "export", "delete"];

/// Logs in from another browser.
async fn log_in(app: &TestApp, email: &str, user_agent: &str) -> Visitor {
    let mut visitor = app.visitor();
    let fields = [("email", email), ("password", PASSWORD)];
    let request = visitor.request(Method::POST, "/login").header("user-agent", user_agent).form(&fields);
    assert_eq!(visitor.send(request).await.leads_to(), (303, "/orders"));
    visitor
}

async fn change_password(visitor: &mut Visitor, current: &str, new: &str) -> Answer {
    visitor.post("/account/password", &[("current_password", current), ("new_password", new)]).await
}

async fn is_signed_in(visitor: &mut Visitor) -> bool {
    visitor.get("/account").await.is_page(200)
}

async fn works(app: &TestApp, token: &str) -> bool {
    app.get_with_cookie("/account", &format!("__Host-session={token}")).await.status == 200
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

async fn count(app: &TestApp, table: &'static str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&app.database().await).await.unwrap()
}

#[tokio::test]
async fn account_pages_require_a_login() {
    let app = TestApp::start().await;
    for path in ["/account", "/account/activity", "/account/delete"] {
        let login = format!("/login?next={}", path.replace('/', "%2F"));
        assert_eq!(app.get(path).await.leads_to(), (303, login.as_str()));
    }
    for form in FORMS.into_iter().chain(["stay"]) {
        let answer = app.visitor().post(&format!("/account/{form}"), &[]).await;
        assert_eq!(answer.leads_to(), (303, "/login"), "{form}");
    }
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
    assert_eq!(ours.leads_to(), (303, "/login?next=%2Faccount%3Ffrom%3Da%2520mail"));
    assert!(ours.all("set-cookie").iter().any(|cookie| cookie.contains("session-over")), "no notice");
    for elsewhere in ["http://evil.example/account", "http://localhost:1/account", "nonsense"] {
        assert_eq!(send(elsewhere.to_owned()).await.leads_to(), (303, "/login"), "{elsewhere}");
    }
    let back = [("email", ANN), ("password", PASSWORD), ("next", "/account?from=a%20mail")];
    let answer = visitor.post("/login", &back).await;
    assert_eq!(answer.leads_to(), (303, "/account?from=a%20mail"));
}

#[tokio::test]
async fn get_of_a_form_url_redirects_to_its_page() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    for (form, section) in [
        ("verification", "email"),
        ("password", "password"),
        ("email", "email"),
        ("sessions/end", "sessions"),
        ("sessions/end-others", "sessions"),
        ("export", "data"),
    ] {
        let answer = visitor.get(&format!("/account/{form}")).await;
        assert_eq!(answer.leads_to(), (303, format!("/account#{section}").as_str()), "{form}");
        assert!(visitor.get("/account").await.text().contains(&format!("<section id=\"{section}\"")), "{form}");
    }
    for form in ["delete", "time-zone"] {
        assert!(visitor.get(&format!("/account/{form}")).await.is_page(200), "{form}");
    }
}

#[tokio::test]
async fn password_change_rejects_wrong_current_password() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    let answer = change_password(&mut visitor, "not my password", NEW_PASSWORD).await;
    assert!(answer.is_page(422));
    let page = answer.text();
    assert!(page.contains("id=\"current-password-error\"") && !page.contains("id=\"new-password-error\""));
    assert!(page.contains("href=\"#current-password\""), "the summary has no link");
    assert!(!page.contains("not my password") && !page.contains(NEW_PASSWORD), "the page contains a password");
    assert_eq!(page.matches("autofocus").count(), 1);
    assert!(is_signed_in(&mut visitor).await);
    log_in(&app, ANN, FIREFOX).await;
}

#[tokio::test]
async fn password_change_applies_the_sign_up_rules() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    for new in ["", "sh0rt!q", "password123", ANN, PASSWORD] {
        let answer = change_password(&mut visitor, PASSWORD, new).await;
        assert!(answer.is_page(422) && answer.text().contains("id=\"new-password-error\""), "{new}");
        // The page always shows the account's address.
        assert!(new.is_empty() || new == ANN || !answer.text().contains(new), "{new} came back");
    }
    let both = change_password(&mut visitor, "", "short").await.text();
    assert!(both.contains("id=\"current-password-error\"") && both.contains("id=\"new-password-error\""));
}

#[tokio::test]
async fn password_change_revokes_other_sessions_and_rotates_this_one() {
    let app = TestApp::start().await;
    let mut here = app.customer(ANN).await;
    let mut elsewhere = log_in(&app, ANN, IPHONE).await;
    let api = app.api_token(ANN).await;
    let before = here.token();
    let answer = change_password(&mut here, PASSWORD, NEW_PASSWORD).await;
    assert_eq!(answer.leads_to(), (303, "/account#password"));
    assert_ne!(here.token(), before);
    assert!(here.get("/account").await.text().contains("Your password is changed"));
    assert!(!works(&app, &before).await, "the former token is valid");
    assert!(!is_signed_in(&mut elsewhere).await);
    assert_eq!(app.api_get("/api/session", &api).await.status, 403);
    let with = async |password| app.visitor().post("/login", &[("email", ANN), ("password", password)]).await.status;
    assert_eq!((with(PASSWORD).await, with(NEW_PASSWORD).await), (401, 303));
}

#[tokio::test]
async fn password_change_trusts_only_this_browser() {
    let app = TestApp::start().await;
    let mut here = app.visitor();
    let answer = here.post("/signup", &[("email", ANN), ("password", PASSWORD)]).await;
    let browser = answer.all("set-cookie").iter().find_map(|cookie| cookie.strip_prefix("__Host-browser=")).unwrap();
    let (browser, attributes) = browser.split_once("; ").unwrap();
    assert!(attributes.contains("HttpOnly") && attributes.contains("Secure") && attributes.contains("SameSite=Strict"));
    log_in(&app, ANN, IPHONE).await;
    assert_eq!(count(&app, "trusted_browsers").await, 2);
    change_password(&mut here, PASSWORD, NEW_PASSWORD).await;
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
        change_password(&mut one, PASSWORD, NEW_PASSWORD),
        change_password(&mut other, PASSWORD, "twelve tin frogs on a log"),
    )
    .await;
    let done = [&first, &second].iter().filter(|answer| answer.leads_to() == (303, "/account#password")).count();
    assert_eq!(done, 1, "{} {}", first.status, second.status);
}

#[tokio::test]
async fn account_page_lists_sessions_with_device_address_and_times() {
    let app = TestApp::start().await;
    app.customer(BOB).await;
    app.customer(ANN).await.post("/logout", &[]).await;
    let mut here = log_in(&app, ANN, FIREFOX).await;
    let elsewhere = log_in(&app, ANN, IPHONE).await;
    app.api_token(ANN).await;
    let seen = "UPDATE sessions SET created_at = 1718000000, last_seen_at = 4102444800 WHERE id = $1";
    sqlx::query(seen).bind(session_id(&elsewhere)).execute(&app.database().await).await.unwrap();
    let listed = sessions_on(&here.get("/account").await.text());
    assert_eq!(listed.len(), 3, "{listed:?}");
    let of = |device: &str| listed.iter().find(|entry| entry.contains(device)).unwrap();
    let (this, that) = (of("Firefox on Windows"), of("Safari on iPhone"));
    assert!(this.contains("This browser") && !this.contains("<button"));
    assert!(that.contains("127.0.0.1") && that.contains(">End</button>") && !that.contains("This browser"));
    assert!(that.contains("2024-06-10T06:13:20Z") && that.contains("10 June 2024, 06:13"));
    assert!(that.contains("2100-01-01T00:00:00Z"), "{that}");
    assert!(of("(an app or script)").contains(">End</button>"));
}

#[tokio::test]
async fn session_is_revoked_from_another_session() {
    let app = TestApp::start().await;
    let mut here = app.customer(ANN).await;
    let mut ended = log_in(&app, ANN, FIREFOX).await;
    let mut kept = log_in(&app, ANN, IPHONE).await;
    let answer = here.post("/account/sessions/end", &[("session", &session_id(&ended))]).await;
    assert_eq!(answer.leads_to(), (303, "/account#sessions"));
    assert!(here.get("/account").await.text().contains("That session has ended"));
    assert_eq!(ended.get("/account").await.leads_to(), (303, "/login?next=%2Faccount"));
    assert!(is_signed_in(&mut kept).await);
}

#[tokio::test]
async fn all_other_sessions_are_revoked_at_once() {
    let app = TestApp::start().await;
    let mut bob = app.customer(BOB).await;
    let mut here = app.customer(ANN).await;
    let mut others = [log_in(&app, ANN, FIREFOX).await, log_in(&app, ANN, IPHONE).await];
    let api = app.api_token(ANN).await;
    assert_eq!(here.post("/account/sessions/end-others", &[]).await.leads_to(), (303, "/account#sessions"));
    for other in &mut others {
        assert!(!is_signed_in(other).await);
    }
    assert_eq!(app.api_get("/api/session", &api).await.status, 403);
    let page = here.get("/account").await.text();
    assert_eq!(sessions_on(&page).len(), 1);
    assert!(!page.contains("End all others"), "there is only one session");
    assert!(is_signed_in(&mut bob).await);
}

#[tokio::test]
async fn session_of_another_customer_cannot_be_revoked() {
    let app = TestApp::start().await;
    let mut bob = app.customer(BOB).await;
    let mut here = app.customer(ANN).await;
    for id in [session_id(&bob).as_str(), "", "nonsense", "a\0b", "' OR 1=1 --"] {
        let answer = here.post("/account/sessions/end", &[("session", id)]).await;
        assert_eq!(answer.leads_to(), (303, "/account#sessions"), "{id:?}");
        let page = here.get("/account").await.text();
        assert!(!page.contains("That session has ended"), "{id:?}");
    }
    assert!(is_signed_in(&mut bob).await && is_signed_in(&mut here).await);
}

#[tokio::test]
async fn audit_events_are_listed_with_time_and_address() {
    let app = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let mut visitor = app.customer(ANN).await;
    app.customer(BOB).await;
    let fields = [("email", ANN), ("password", "a wrong guess")];
    let guess = app.request(Method::POST, "/login").header("x-forwarded-for", "203.0.113.9").form(&fields);
    assert_eq!(http::send(guess).await.status, 401);
    change_password(&mut visitor, "a wrong one", NEW_PASSWORD).await;
    change_password(&mut visitor, PASSWORD, NEW_PASSWORD).await;
    let listed = entries(&visitor.get("/account").await.text(), "Recent activity");
    let words = ["Password changed", "Wrong password in the account", "Wrong password at login", "Signed up"];
    assert_eq!(listed.len(), words.len(), "{listed:?}");
    for (entry, words) in listed.iter().zip(words) {
        assert!(entry.contains(words), "{words} is not where it belongs: {listed:?}");
        assert!(entry.contains("<time datetime=\"20"), "{entry}");
        let address = if words == "Wrong password at login" { "203.0.113.9" } else { "127.0.0.1" };
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
    let held = visitor.post("/account/export", &[("password", PASSWORD)]).await.text();
    assert!(held.contains("password-changed") && !held.contains("password-reset"));
}

#[tokio::test]
async fn data_export_contains_all_data_of_the_customer() {
    let app = TestApp::start().await;
    let refunded = shop::order("#7001", ANN).with("Refunded Amount", "4.90");
    let waiting = shop::order("#7003", ANN).with("Fulfillment Status", "unfulfilled").with("Fulfilled at", "");
    let exported = [refunded, shop::line("#7001", ANN, "Ink"), shop::order("#7002", BOB), waiting];
    app.write("export.csv", shop::export(&exported));
    app.done(&["import", "export.csv"]);
    let mut visitor = app.verified_customer(ANN).await;
    assert_eq!(visitor.post("/account/time-zone", &[("zone", "Asia/Tokyo")]).await.status, 303);
    let copy = reorder(&mut visitor, "7001").await;
    assert_eq!(press(&mut visitor, "7003", "cancel").await.status, 303);
    let answer = visitor.post("/account/export", &[("password", PASSWORD)]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"order-portal-data.json\""));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let held = answer.json();
    assert_eq!(held["account"]["email"], ANN);
    assert!(held["account"]["email_verified_at"].is_string());
    assert_eq!(held["sessions"][0]["address"], "127.0.0.1");
    assert_eq!(held["account"]["time_zone"], "Asia/Tokyo");
    for name in ["trusted_browsers", "trusted_networks"] {
        let known = held[name].as_array().unwrap();
        assert!(known.len() == 1 && known[0]["last_used_at"].as_str().unwrap().ends_with('Z'), "{name}: {known:?}");
    }
    let events: Vec<_> = held["activity"].as_array().unwrap().iter().map(|entry| &entry["event"]).collect();
    assert_eq!(events, ["address-verified", "signed-up"]);
    let orders = held["orders"].as_array().unwrap();
    assert_eq!(orders.len(), 3);
    let order = |number: &str| orders.iter().find(|order| order["number"] == number).unwrap();
    let first = order("7001");
    assert_eq!(first["lines"][1]["name"], "Ink");
    assert_eq!(first["shipping_address"]["city"], "Reims");
    assert_eq!((&first["refunded"], &first["total"]), (&json!(490), &json!(2990)));
    assert!(first["cancellation_asked_at"].is_null() && first["copy_of"].is_null());
    assert_eq!(order(&copy)["copy_of"], "7001");
    assert_eq!(order(&copy)["lines"], first["lines"]);
    assert!(order("7003")["cancellation_asked_at"].as_str().unwrap().ends_with('Z'));
    let text = answer.text();
    for secret in ["argon2", "hash", "token", "secret", "__Host", &visitor.token(), &session_id(&visitor), BOB] {
        assert!(!text.contains(secret), "{secret} is in the download");
    }
}

#[tokio::test]
async fn account_deletion_rejects_wrong_password() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    assert!(visitor.get("/account/delete").await.is_page(200));
    for password in ["", "not my password"] {
        let answer = visitor.post("/account/delete", &[("password", password)]).await;
        assert!(answer.is_page(422) && answer.text().contains("id=\"password-error\""));
        assert!(!answer.text().contains("not my password"));
    }
    assert!(is_signed_in(&mut visitor).await);
}

#[tokio::test]
async fn account_deletion_deletes_everything_except_the_shops_orders() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true"), ("MAIL_URL", "smtp://127.0.0.1:9")]).await;
    app.write("export.csv", shop::export(&[shop::order("#7001", ANN)]));
    app.done(&["import", "export.csv"]);
    let mut visitor = app.verified_customer(ANN).await;
    let mut elsewhere = log_in(&app, ANN, FIREFOX).await;
    let api = app.api_token(ANN).await;
    let database = app.database().await;
    let link = "INSERT INTO email_tokens (hash, user_id, purpose, email, created_at, expires_at)
                SELECT $1, id, 'reset', email, 0, 4102444800 FROM users";
    sqlx::query(link).bind(&b"a hash"[..]).execute(&database).await.unwrap();
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    let answer = visitor.post("/account/delete", &[("password", PASSWORD)]).await;
    assert_eq!(answer.leads_to(), (303, "/login"));
    assert_eq!(answer.session_cookie().unwrap().0, "");
    assert!(visitor.get("/login").await.text().contains("Your account is deleted"));
    for table in ["users", "sessions", "email_tokens", "audit_events", "trusted_browsers", "trusted_networks"] {
        assert_eq!(count(&app, table).await, 0, "{table}");
    }
    let waiting = sqlx::query_scalar("SELECT message FROM mail_queue").fetch_all(&database);
    let waiting: Vec<String> = waiting.await.unwrap();
    assert!(
        waiting.len() == 1 && waiting[0].contains("AccountDeleted"),
        "only word of the deletion waits: {waiting:?}"
    );
    let orders = sqlx::query_as("SELECT number, user_id FROM orders").fetch_all(&database);
    let orders: Vec<(String, Option<String>)> = orders.await.unwrap();
    assert_eq!(orders, [("7001".to_owned(), None)], "only the shop's order is kept");
    assert!(!is_signed_in(&mut elsewhere).await);
    assert_eq!(app.api_get("/api/session", &api).await.status, 403);
}

#[tokio::test]
async fn address_of_a_deleted_account_can_sign_up_again() {
    let app = TestApp::start().await;
    app.write("export.csv", shop::export(&[shop::order("#7001", ANN)]));
    app.done(&["import", "export.csv"]);
    app.verified_customer(ANN).await.post("/account/delete", &[("password", PASSWORD)]).await;
    assert_eq!(app.visitor().post("/login", &[("email", ANN), ("password", PASSWORD)]).await.status, 401);
    let mut again = app.customer(ANN).await;
    assert!(!again.get("/orders").await.text().contains("#7001"), "the address is not confirmed");
    app.done(&["user", "verify", ANN]);
    assert!(again.get("/orders").await.text().contains("#7001"));
}
