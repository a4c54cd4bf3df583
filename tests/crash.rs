//! Acknowledged writes survive SIGKILL at any moment. `CRASH_ROUNDS` sets the number of kills (3).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::app::{PASSWORD, TestApp};
use crate::http::Visitor;

/// The acknowledged writes of one customer.
struct Acknowledged {
    email: String,
    /// The token of the last login, and whether its session is revoked.
    session: Option<(String, bool)>,
}

#[tokio::test]
async fn acknowledged_writes_survive_sigkill() {
    let rounds: u64 = std::env::var("CRASH_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    let mut app = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    for round in 0..rounds {
        let answered = Arc::new(AtomicU64::new(0));
        let start = |client| tokio::spawn(customer(app.visitor(), round, client, Arc::clone(&answered)));
        let customers: Vec<_> = (0..4).map(start).collect();
        while answered.load(Ordering::SeqCst) < 4 + round % 7 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // A different delay in each round.
        tokio::time::sleep(Duration::from_millis(round * 37 % 60)).await;
        app.stop_with("KILL");
        app.restart().await;
        let mut acknowledged = Vec::new();
        for customer in customers {
            acknowledged.extend(customer.await.unwrap());
        }
        assert!(!acknowledged.is_empty(), "nothing was acknowledged in round {round}");
        for Acknowledged { email, session } in acknowledged {
            if let Some((token, is_revoked)) = session {
                let response = app.get_with_token("/orders", &token).await;
                let expected = if is_revoked { 303 } else { 200 };
                assert_eq!(response.status, expected, "{email} in round {round}: the session");
            }
            let fields = [("email", email.as_str()), ("password", PASSWORD)];
            let logged_in = session_of(&app.visitor(), "/login", &fields, &format!("203.0.{round}.9"), None).await;
            assert!(logged_in.is_some(), "{email} in round {round}: the account");
        }
    }
}

/// Signs up, logs out and logs in until the server is killed.
async fn customer(visitor: Visitor, round: u64, client: u64, answered: Arc<AtomicU64>) -> Vec<Acknowledged> {
    // A separate client address, so that no rate limit applies.
    let address = format!("203.0.{round}.{client}");
    let mut all = Vec::new();
    for number in 0.. {
        let email = format!("customer{round}-{client}-{number}@example.com");
        let fields = [("email", email.as_str()), ("password", PASSWORD)];
        let Some(token) = session_of(&visitor, "/signup", &fields, &address, None).await else { break };
        all.push(Acknowledged { email: email.clone(), session: Some((token.clone(), false)) });
        answered.fetch_add(1, Ordering::SeqCst);
        let last = all.len() - 1;
        // Without a response, the logout may or may not have happened.
        all[last].session = None;
        let Some(_) = session_of(&visitor, "/logout", &[], &address, Some(&token)).await else { break };
        all[last].session = Some((token, true));
        let Some(token) = session_of(&visitor, "/login", &fields, &address, None).await else { break };
        all[last].session = Some((token, false));
        answered.fetch_add(1, Ordering::SeqCst);
    }
    all
}

/// The session token in the response to a form, empty if the cookie is removed; `None` without a response.
async fn session_of(
    visitor: &Visitor,
    path: &str,
    fields: &[(&str, &str)],
    address: &str,
    token: Option<&str>,
) -> Option<String> {
    let mut request = visitor.request(reqwest::Method::POST, path).form(fields).header("x-forwarded-for", address);
    if let Some(token) = token {
        request = request.header("cookie", format!("__Host-session={token}"));
    }
    let response = request.send().await.ok()?;
    assert_eq!(response.status(), 303, "{path}");
    let cookies = response.headers().get_all("set-cookie");
    let session = cookies.iter().find_map(|cookie| cookie.to_str().ok()?.strip_prefix("__Host-session="));
    session.map(|cookie| cookie.split(';').next().unwrap_or_default().to_owned())
}
