//! The JSON API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::http::{self, Response};
use crate::shop::{self, line, order};
use crate::token::{Token, now};

fn assert_is_token(response: &Response) {
    let body = response.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 1800);
    let token = Token::read(body["token"].as_str().unwrap());
    assert_eq!(token.claims["aud"], "api");
    assert_eq!(token.time("exp") - token.time("iat"), 1800);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(response.header_values("set-cookie").is_empty(), "the API sets no cookies");
}

#[tokio::test]
async fn create_new_user_returns_a_valid_token() {
    let app = TestApp::start().await;
    let response = app.api_post("/api/createNewUser", &json!({ "email": ANN, "password": PASSWORD })).await;
    assert_eq!(response.status, 201);
    assert_is_token(&response);
    let orders = app.api_get("/api/userOrders", response.json()["token"].as_str().unwrap()).await;
    assert_eq!(orders.status, 200);
    assert_eq!(orders.header("content-type"), Some("application/json"));
    assert_eq!(orders.header("cache-control"), Some("no-store"));
    assert_eq!(orders.json(), json!({ "orders": [], "next": null }));
}

#[tokio::test]
async fn login_returns_a_token_or_401() {
    let app = TestApp::start().await;
    app.api_account(ANN).await;
    let response = app.api_post("/api/login", &json!({ "email": ANN, "password": PASSWORD })).await;
    assert_eq!(response.status, 200);
    assert_is_token(&response);
    let wrong = app.api_post("/api/login", &json!({ "email": ANN, "password": "wrong" })).await;
    let unknown = app.api_post("/api/login", &json!({ "email": BOB, "password": "wrong" })).await;
    assert!(wrong.is_problem(401) && unknown.is_problem(401));
    assert!(wrong.header("www-authenticate").unwrap().starts_with("Bearer"));
    let without_id = |response: &Response| {
        let mut body = response.json();
        body.as_object_mut().unwrap().retain(|name, _| matches!(name.as_str(), "type" | "title" | "status" | "detail"));
        body
    };
    assert_eq!(without_id(&wrong), without_id(&unknown));
}

#[tokio::test]
async fn pages_and_api_share_accounts() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    app.api_token(ANN).await;
    let taken = app.api_post("/api/createNewUser", &json!({ "email": ANN, "password": PASSWORD })).await;
    assert!(taken.is_problem(422), "{}", taken.text());
    assert_eq!(taken.json()["errors"][0]["field"], "email", "{}", taken.text());
}

#[tokio::test]
async fn invalid_fields_are_named_without_the_password() {
    let app = TestApp::start().await;
    let cases = [("no address", PASSWORD, "email"), (ANN, "sh0rt!q", "password"), ("", "", "email")];
    for (email, password, field) in cases {
        let response = app.api_post("/api/createNewUser", &json!({ "email": email, "password": password })).await;
        assert!(response.is_problem(422), "{}", response.text());
        assert!(response.text().contains(&format!("\"{field}\"")), "{}", response.text());
        assert!(password.is_empty() || !response.text().contains(password));
    }
}

#[tokio::test]
async fn invalid_bodies_are_rejected() {
    let app = TestApp::start().await;
    let bodies = [
        "",
        "{",
        "null",
        "[]",
        "\"x\"",
        "{\"email\":1,\"password\":\"sunflower-sonata\"}",
        "{\"email\":\"a@example.com\"}",
        "{\"email\":\"a@example.com\",\"password\":[\"sunflower-sonata\"]}",
        "\u{0}",
    ];
    for path in ["/api/createNewUser", "/api/login"] {
        for body in bodies {
            let request = app.request(Method::POST, path).header("content-type", "application/json").body(body);
            let response = http::send(request).await;
            assert!(response.is_problem(400), "{path} {body}: {}", response.text());
            assert!(!response.text().contains("sunflower"), "the response contains a password: {}", response.text());
        }
        let form =
            http::send(app.request(Method::POST, path).form(&[("email", "a@example.com"), ("password", PASSWORD)]))
                .await;
        assert!(form.is_problem(415), "a form: {}", form.status);
        let large = app.api_post(path, &json!({ "email": "a@example.com", "password": "x".repeat(2_000_000) })).await;
        assert!(large.is_problem(413), "a large body: {}", large.status);
        let deep = app.request(Method::POST, path).header("content-type", "application/json").body("[".repeat(8000));
        assert!(http::send(deep).await.is_problem(400));
    }
}

#[tokio::test]
async fn api_ignores_cookies() {
    let app = TestApp::start().await;
    let token = app.customer(ANN).await.token();
    assert!(app.get_with_token("/api/userOrders", &token).await.is_problem(401));
    let api_token = app.api_token(ANN).await;
    assert!(app.get_with_token("/api/userOrders", &api_token).await.is_problem(401));
}

#[tokio::test]
async fn orders_are_paginated() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    app.import(&shop::orders(25, ANN));
    let token = app.api_token(ANN).await;
    let first = app.api_get("/api/userOrders", &token).await.json();
    assert_eq!(first["orders"].as_array().unwrap().len(), 20);
    let next = first["next"].as_str().unwrap();
    assert!(
        next.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
        "{next} must be escaped in a URL"
    );
    let second = app.api_get(&format!("/api/userOrders?after={next}"), &token).await.json();
    assert_eq!(second["orders"].as_array().unwrap().len(), 5);
    assert_eq!(second["next"], Value::Null);
    let page = app.api_get("/api/userOrders?limit=5", &token).await.json();
    let numbers = page["orders"].as_array().unwrap().iter().map(|order| order["number"].as_str().unwrap());
    assert_eq!(numbers.collect::<Vec<_>>(), ["5024", "5023", "5022", "5021", "5020"]);
    assert!(page["next"].is_string());
}

#[tokio::test]
async fn limit_accepts_1_to_100() {
    let app = TestApp::start().await;
    let token = app.api_account(ANN).await;
    for limit in ["1", "100"] {
        assert_eq!(app.api_get(&format!("/api/userOrders?limit={limit}"), &token).await.status, 200, "{limit}");
    }
    for query in [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=1.5",
        "limit=99999999999999999999",
        "after=",
        "after=x",
        "after=%00",
        "after=%ff",
        "limit=1&limit=2",
    ] {
        let response = app.api_get(&format!("/api/userOrders?{query}"), &token).await;
        assert!(response.is_problem(400), "{query}: {} {}", response.status, response.text());
    }
}

#[tokio::test]
async fn order_json_has_exactly_the_documented_members() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    app.import(&[order("#10248", ANN), line("#10248", ANN, "Pen")]);
    let token = app.api_token(ANN).await;
    let members = |value: &Value| {
        let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    };
    let mut documented = vec![
        "number",
        "status",
        "payment_status",
        "fulfillment_status",
        "placed_at",
        "paid_at",
        "fulfilled_at",
        "cancelled_at",
        "currency",
        "subtotal",
        "shipping",
        "taxes",
        "discount",
        "total",
        "refunded",
        "line_count",
        "cancellation_answer",
        "cancellation_requested_at",
    ];
    documented.sort_unstable();
    let list = app.api_get("/api/userOrders", &token).await.json();
    assert_eq!(members(&list["orders"][0]), documented);
    documented.extend(["lines", "shipping_address", "shipping_province_name", "billing_address", "shipping_method"]);
    documented.push("billing_province_name");
    documented.extend(["payment_method", "discount_code", "tax_lines", "duties", "tip", "outstanding", "tracking"]);
    documented.sort_unstable();
    let one = app.api_get("/api/userOrders/10248", &token).await;
    assert_eq!(one.status, 200);
    assert_eq!(members(&one.json()), documented);
    assert_eq!(
        members(&one.json()["lines"][0]),
        ["discount", "fulfillment_status", "name", "quantity", "sku", "unit_price"]
    );
    assert!(app.api_get("/api/userOrders/10249", &token).await.is_problem(404));
}

#[tokio::test]
async fn session_endpoint_returns_user_and_expiry() {
    let app = TestApp::start().await;
    let token = app.api_account(ANN).await;
    let response = app.api_get("/api/session", &token).await;
    assert_eq!(response.status, 200);
    let (body, claims) = (response.json(), Token::read(&token).claims);
    assert_eq!((&body["user_id"], &body["session_id"]), (&claims["sub"], &claims["sid"]));
    assert_eq!((&body["email"], &body["email_verified"]), (&json!(ANN), &json!(false)));
    let end = time::OffsetDateTime::from_unix_timestamp(claims["exp"].as_i64().unwrap()).unwrap();
    let end = end.format(&time::format_description::well_known::Rfc3339).unwrap();
    assert_eq!(body["expires_at"], end.as_str());
}

#[tokio::test]
async fn logout_revokes_only_its_own_token() {
    let app = TestApp::start().await;
    let token = app.api_account(ANN).await;
    let other = app.api_token(ANN).await;
    let response = http::send(app.request(Method::POST, "/api/logout").bearer_auth(&token)).await;
    assert_eq!((response.status, response.body.len()), (204, 0));
    assert!(app.api_get("/api/userOrders", &token).await.is_problem(403));
    assert!(http::send(app.request(Method::POST, "/api/logout").bearer_auth(&token)).await.is_problem(403));
    assert_eq!(app.api_get("/api/userOrders", &other).await.status, 200);
}

#[tokio::test]
async fn bearer_token_is_not_renewed() {
    let app = TestApp::start().await;
    let token = Token::read(&app.api_account(ANN).await);
    let old = token.with("iat", now() - 1700).with("nbf", now() - 1700).with("exp", now() + 100).signed();
    let response = app.api_get("/api/userOrders", &old).await;
    assert_eq!(response.status, 200);
    assert!(response.header_values("set-cookie").is_empty());
}

#[tokio::test]
async fn openapi_document_describes_every_route() {
    let app = TestApp::start().await;
    let response = app.get("/api/openapi.json").await;
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
    let document = response.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let documented = [
        ("/api/createNewUser", "post", vec!["201", "422"]),
        ("/api/login", "post", vec!["200", "401"]),
        ("/api/userOrders", "get", vec!["200", "401", "403"]),
        ("/api/userOrders/{number}", "get", vec!["200", "401", "403", "404"]),
        ("/api/session", "get", vec!["200", "401", "403"]),
        ("/api/logout", "post", vec!["204", "401", "403"]),
    ];
    for (path, method, statuses) in documented {
        for status in statuses {
            assert!(document["paths"][path][method]["responses"][status].is_object(), "{method} {path} {status}");
        }
    }
    assert!(document["components"]["securitySchemes"].to_string().contains("\"bearer\""));
    assert_eq!(document["servers"], json!([{ "url": app.setting("PUBLIC_URL") }]));
    let is_public = |path: &str| ["/api/createNewUser", "/api/login", "/api/openapi.json"].contains(&path);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let security = if is_public(path) { json!([]) } else { json!([{ "bearer": [] }]) };
            assert_eq!(operation["security"], security, "{method} {path}");
            let common: &[&str] = match operation["requestBody"].is_object() {
                true => &["408", "413", "415", "421", "429", "503"],
                false => &["421", "503"],
            };
            for status in common {
                let content = &operation["responses"][status]["content"]["application/problem+json"];
                assert!(content["schema"]["$ref"].is_string(), "{method} {path} {status}");
            }
        }
    }
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["OrderSummary"]["properties"]["status"]["$ref"], "#/components/schemas/StatusWord");
    assert!(schemas["StatusWord"]["enum"].as_array().unwrap().contains(&json!("partly_sent")));
    let credentials = &schemas["Credentials"]["properties"];
    assert_eq!(
        (&credentials["email"]["format"], &credentials["password"]["maxLength"]),
        (&json!("email"), &json!(256))
    );
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} does not exist");
    }
}

fn collect_references(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect_references(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, references)),
        _ => {}
    }
}

#[tokio::test]
async fn api_errors_are_problem_documents() {
    let app = TestApp::start().await;
    assert!(app.get("/api/nothing").await.is_problem(404));
    assert!(app.get("/api/").await.is_problem(404));
    let wrong_method = http::send(app.request(Method::DELETE, "/api/login")).await;
    assert!(wrong_method.is_problem(405));
    assert!(wrong_method.header("allow").unwrap().contains("POST"));
    let forged = app.request(Method::POST, "/api/login").header("sec-fetch-site", "cross-site").json(&json!({}));
    assert!(http::send(forged).await.is_problem(403));
    let elsewhere = app.request(Method::GET, "/api/session").header("host", "evil.example");
    assert!(http::send(elsewhere).await.is_problem(421));
}
