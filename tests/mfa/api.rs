//! Two-step login with the JSON API.

use serde_json::{Value, json};

use super::two_step_customer;
use crate::app::{ANN, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::http::Response;

async fn log_in(app: &TestApp, password: &str, code: Value) -> Response {
    app.api_post("/api/login", &json!({ "email": ANN, "password": password, "code": code })).await
}

#[tokio::test]
async fn api_login_takes_a_code_of_the_app_or_a_recovery_code() {
    let app = TestApp::start().await;
    let (_, authenticator, codes) = two_step_customer(&app, ANN).await;
    let without = app.api_post("/api/login", &json!({ "email": ANN, "password": PASSWORD })).await;
    for response in [without, log_in(&app, PASSWORD, json!("")).await, log_in(&app, PASSWORD, Value::Null).await] {
        assert!(response.is_problem(401), "{}", response.text());
        assert_eq!(response.json()["code_required"], true, "{}", response.text());
        assert!(response.header("www-authenticate").is_some() && response.json().get("token").is_none());
    }
    let code = authenticator.fresh_code(&app).await;
    for (password, code) in
        [(WRONG_PASSWORD, &*code), (WRONG_PASSWORD, ""), (PASSWORD, &*authenticator.wrong_code()), (PASSWORD, "x")]
    {
        let response = log_in(&app, password, json!(code)).await;
        assert!(response.is_problem(401), "{code:?}: {}", response.text());
        assert!(response.json().get("code_required").is_none(), "{code:?}: {}", response.text());
    }
    assert_eq!(app.count("pending_logins").await, 0, "the API needs no row");
    for code in [&code, &codes[0]] {
        let response = log_in(&app, PASSWORD, json!(code)).await;
        assert_eq!(response.status, 200, "{}", response.text());
        let token = response.json()["token"].as_str().unwrap().to_owned();
        assert_eq!(app.api_get("/api/session", &token).await.status, 200);
        assert_eq!(log_in(&app, PASSWORD, json!(code)).await.status, 401, "the code works twice");
    }
    assert_eq!(app.count("recovery_codes").await, 9);
}

#[tokio::test]
async fn disabled_account_answers_as_wrong_credentials() {
    let app = TestApp::start().await;
    let (_, authenticator, codes) = two_step_customer(&app, ANN).await;
    app.run_ok(&["user", "disable", ANN]);
    let code = authenticator.fresh_code(&app).await;
    for code in ["", &*code, &*codes[0]] {
        let response = log_in(&app, PASSWORD, json!(code)).await;
        assert!(response.is_problem(401) && response.json().get("code_required").is_none(), "{}", response.text());
    }
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 401, "the page shows that the password is right");
    assert_eq!((app.count("pending_logins").await, app.count("recovery_codes").await), (0, 10));
}

#[tokio::test]
async fn api_login_without_two_step_login_ignores_a_code() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    assert_eq!(log_in(&app, PASSWORD, json!("123456")).await.status, 200);
    let wrong = log_in(&app, WRONG_PASSWORD, json!("123456")).await;
    assert!(wrong.is_problem(401) && wrong.json().get("code_required").is_none(), "{}", wrong.text());
    assert!(log_in(&app, PASSWORD, json!(123_456)).await.is_problem(400));
}

#[tokio::test]
async fn openapi_describes_the_code() {
    let app = TestApp::start().await;
    let document = app.get("/api/openapi.json").await.json();
    let schemas = &document["components"]["schemas"];
    let login = &document["paths"]["/api/login"]["post"];
    let schema = &login["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(*schema, "#/components/schemas/LoginCredentials");
    let properties = &schemas["LoginCredentials"];
    assert!(properties["properties"]["code"].is_object(), "{properties}");
    assert_eq!(properties["required"], json!(["email", "password"]));
    let problem = &login["responses"]["401"]["content"]["application/problem+json"]["schema"]["$ref"];
    assert_eq!(*problem, "#/components/schemas/LoginProblem");
    assert!(schemas["LoginProblem"].to_string().contains("code_required"), "{}", schemas["LoginProblem"]);
    assert!(!schemas["Credentials"].to_string().contains("code"), "a sign-up takes no code");
}
