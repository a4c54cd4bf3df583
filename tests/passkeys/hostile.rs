//! What anybody can send to the ceremonies.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reqwest::Method;
use serde_json::{Value, json};

use super::{FINISH_LOGIN, FINISH_REGISTRATION, START_LOGIN, START_REGISTRATION, login_answer, register, start};
use crate::app::{ANN, PASSWORD, TestApp};
use crate::authenticator::{Passkey, decode, encode};
use crate::http::Visitor;

const CASES: u32 = 150;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| Value::from(encode(&bytes))),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z]{1,12}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Where a valid answer is changed, and how.
#[derive(Clone, Debug)]
enum Change {
    Replace(usize, Value),
    Remove(usize),
    /// Flips a bit of the bytes of a text.
    Flip(usize, usize),
    Truncate(usize, usize),
}

fn any_change() -> impl Strategy<Value = Change> {
    let place = || 0..12_usize;
    prop_oneof![
        (place(), any_json()).prop_map(|(place, value)| Change::Replace(place, value)),
        place().prop_map(Change::Remove),
        (place(), any::<usize>()).prop_map(|(place, bit)| Change::Flip(place, bit)),
        (place(), any::<usize>()).prop_map(|(place, length)| Change::Truncate(place, length)),
    ]
}

const PLACES: [&str; 11] = [
    "/state",
    "/credential",
    "/credential/id",
    "/credential/rawId",
    "/credential/type",
    "/credential/response",
    "/credential/response/clientDataJSON",
    "/credential/response/authenticatorData",
    "/credential/response/attestationObject",
    "/credential/response/signature",
    "/credential/response/userHandle",
];

fn changed(answer: &Value, change: &Change) -> Value {
    let mut answer = answer.clone();
    let pointer = |place: &usize| PLACES[place % PLACES.len()];
    match change {
        Change::Replace(place, value) => {
            if let Some(field) = answer.pointer_mut(pointer(place)) {
                *field = value.clone();
            }
        }
        Change::Remove(place) => {
            let (parent, name) = pointer(place).rsplit_once('/').unwrap();
            if let Some(Value::Object(fields)) = answer.pointer_mut(parent) {
                fields.remove(name);
            }
        }
        Change::Flip(place, bit) => edit_bytes(&mut answer, pointer(place), |bytes| {
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }),
        Change::Truncate(place, length) => {
            edit_bytes(&mut answer, pointer(place), |bytes| bytes.truncate(length % bytes.len()));
        }
    }
    answer
}

fn edit_bytes(answer: &mut Value, pointer: &str, edit: impl FnOnce(&mut Vec<u8>)) {
    if let Some(field) = answer.pointer_mut(pointer).filter(|field| field.as_str().is_some_and(|text| text.len() > 11))
    {
        let mut bytes = decode(field);
        edit(&mut bytes);
        *field = Value::from(encode(&bytes));
    }
}

/// Random values from a fixed seed.
fn samples<T: std::fmt::Debug>(strategy: &impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..CASES).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

async fn send(visitor: &mut Visitor, path: &str, body: &Value) -> u16 {
    let request = visitor.request(Method::POST, path).json(body);
    visitor.send(request).await.status
}

#[tokio::test]
async fn malformed_json_is_a_client_error() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut visitor = app.visitor();
    for body in samples(&any_json()) {
        let body = json!({ "state": body.clone(), "credential": body.clone(), "remember": body.clone(), "next": body });
        for (visitor, path) in [(&mut visitor, FINISH_LOGIN), (&mut ann, FINISH_REGISTRATION)] {
            let status = send(visitor, path, &body).await;
            assert!((400..500).contains(&status), "{path} {status}: {body}");
        }
        assert_eq!(send(&mut visitor, START_LOGIN, &body).await, 200, "start reads no body: {body}");
    }
    assert_no_server_errors(&app);
}

#[tokio::test]
async fn changed_login_answer_never_logs_in() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    let answer = login_answer(&mut app.visitor(), &mut passkey).await;
    for change in samples(&any_change()) {
        let body = changed(&answer, &change);
        // `id` and `type` say nothing that `rawId` and the signature do not.
        if body == answer || only_differs_in(&answer, &body, &["/credential/id", "/credential/type"]) {
            continue;
        }
        let status = send(&mut app.visitor(), FINISH_LOGIN, &body).await;
        assert!((400..500).contains(&status), "{status} {change:?}: {body}");
    }
    app.execute("DELETE FROM rate_limits").await;
    assert_eq!(send(&mut app.visitor(), FINISH_LOGIN, &answer).await, 200, "the unchanged answer");
    assert_no_server_errors(&app);
}

#[tokio::test]
async fn changed_registration_answer_is_a_client_error_or_adds_one_passkey() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    for change in samples(&any_change()) {
        app.execute("DELETE FROM passkeys").await;
        let (options, state) = start(&mut ann, START_REGISTRATION, &[("password", PASSWORD)]).await;
        let passkey = Passkey::create(&options, &super::public_origin(&app));
        let body = changed(&json!({ "state": state, "credential": passkey.attestation(&options) }), &change);
        let status = send(&mut ann, FINISH_REGISTRATION, &body).await;
        let added = i64::from(status == 200);
        assert!(status == 200 || (400..500).contains(&status), "{status} {change:?}: {body}");
        assert_eq!(app.count("passkeys").await, added, "{change:?}");
    }
    assert_no_server_errors(&app);
}

fn only_differs_in(answer: &Value, body: &Value, places: &[&str]) -> bool {
    let mut body = body.clone();
    for place in places {
        match (body.pointer_mut(place), answer.pointer(place)) {
            (Some(field), Some(original)) if field.is_string() => field.clone_from(original),
            _ => {}
        }
    }
    body == *answer
}

fn assert_no_server_errors(app: &TestApp) {
    let logs = app.logs();
    assert!(!logs.contains("a request failed") && !logs.contains("panicked"), "{logs}");
}
