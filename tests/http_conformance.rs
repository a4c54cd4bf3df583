//! HTTP/1 as RFC 9110 and RFC 9112 have it, from the socket: requests that are malformed, odd or hostile, and what comes back. None hangs,
//! none is a 500.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::app::TestApp;
use crate::http::{Answer, send_raw};

/// A case: what it is about, the request, the statuses that are right. `@H` stands for the right `Host` and a `Connection: close`, `@P` for the port.
struct Case(&'static str, String, &'static [u16]);

fn case(what: &'static str, request: impl Into<String>, right: &'static [u16]) -> Case {
    Case(what, request.into(), right)
}

/// Refused before or by the app, and the connection is closed.
const REFUSED: &[u16] = &[400];

fn request_lines() -> Vec<Case> {
    vec![
        case("nothing but line ends", "\r\n\r\nGET / HTTP/1.1\r\n@H\r\n", &[200, 400]),
        case("no target", "GET\r\n@H\r\n", REFUSED),
        case("no version", "GET /\r\n@H\r\n", REFUSED),
        case("HTTP/0.9", "GET /\r\n\r\n", REFUSED),
        case("unknown major version", "GET / HTTP/9.1\r\n@H\r\n", REFUSED),
        case("unknown minor version", "GET / HTTP/1.9\r\n@H\r\n", REFUSED),
        case("HTTP/2 without agreement", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REFUSED),
        case("version in lower case", "GET / http/1.1\r\n@H\r\n", REFUSED),
        case("version with a space", "GET / HTTP/ 1.1\r\n@H\r\n", REFUSED),
        case("space in the target", "GET /a b HTTP/1.1\r\n@H\r\n", REFUSED),
        case("control character in the target", "GET /\x01 HTTP/1.1\r\n@H\r\n", REFUSED),
        case("bytes above ASCII in the target", "GET /\u{fc} HTTP/1.1\r\n@H\r\n", &[400, 404]),
        case("fragment in the target", "GET /login#top HTTP/1.1\r\n@H\r\n", &[200, 400]),
        case("target without a slash", "GET login HTTP/1.1\r\n@H\r\n", &[400, 404, 421]),
        case("method in lower case", "get / HTTP/1.1\r\n@H\r\n", &[400, 405, 501]),
        case("method that is no token", "G<T / HTTP/1.1\r\n@H\r\n", REFUSED),
        case("unknown method", "BREW / HTTP/1.1\r\n@H\r\n", &[405, 501]),
        case("TLS without TLS_CERT", "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03", REFUSED),
        case("lines ended by LF", "GET / HTTP/1.1\nHost: localhost\nConnection: close\n\n", &[200, 400, 421]),
        case("CR alone within a line", "GET / HTTP/1.1\r\n@HX: a\rb\r\n\r\n", REFUSED),
    ]
}

fn targets() -> Vec<Case> {
    vec![
        case("absolute form", "GET http://localhost:@P/login HTTP/1.1\r\n@H\r\n", &[200]),
        case("absolute form of another host", "GET http://evil.example/ HTTP/1.1\r\n@H\r\n", &[421]),
        case("asterisk form", "OPTIONS * HTTP/1.1\r\n@H\r\n", &[200, 204, 404, 405]),
        case("authority form", "CONNECT localhost:@P HTTP/1.1\r\n@H\r\n", &[400, 404, 405, 501]),
        case(
            "authority form of another host",
            "CONNECT evil.example:443 HTTP/1.1\r\n@H\r\n",
            &[400, 404, 405, 421, 501],
        ),
        case("long target", format!("GET /{} HTTP/1.1\r\n@H\r\n", "a".repeat(10_000)), &[404, 414, 431]),
        case("long query", format!("GET /login?{} HTTP/1.1\r\n@H\r\n", "a".repeat(10_000)), &[200, 414, 431]),
    ]
}

fn hosts() -> Vec<Case> {
    vec![
        case("no Host", "GET /login HTTP/1.1\r\nConnection: close\r\n\r\n", &[400, 421]),
        case("no Host in HTTP/1.0", "GET /login HTTP/1.0\r\n\r\n", &[400, 421]),
        case("two Hosts", "GET /login HTTP/1.1\r\n@HHost: evil.example\r\n\r\n", &[400, 421]),
        case("the same Host twice", "GET /login HTTP/1.1\r\n@HHost: localhost:@P\r\n\r\n", &[400, 421]),
        case("empty Host", "GET /login HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", &[400, 421]),
        case("Host with user", "GET /login HTTP/1.1\r\nHost: a@localhost:@P\r\nConnection: close\r\n\r\n", &[400, 421]),
        case("Host with path", "GET /login HTTP/1.1\r\nHost: localhost:@P/x\r\nConnection: close\r\n\r\n", &[400, 421]),
        case(
            "two hosts in one",
            "GET /login HTTP/1.1\r\nHost: localhost:@P, x\r\nConnection: close\r\n\r\n",
            &[400, 421],
        ),
    ]
}

fn headers() -> Vec<Case> {
    vec![
        case("space before the colon", "GET / HTTP/1.1\r\n@HX : a\r\n\r\n", REFUSED),
        case("space in a name", "GET / HTTP/1.1\r\n@HX Y: a\r\n\r\n", REFUSED),
        case("no name", "GET / HTTP/1.1\r\n@H: a\r\n\r\n", REFUSED),
        case("no colon", "GET / HTTP/1.1\r\n@HX\r\n\r\n", REFUSED),
        case("control character in a name", "GET / HTTP/1.1\r\n@HX\x00Y: a\r\n\r\n", REFUSED),
        case("bytes above ASCII in a name", "GET / HTTP/1.1\r\n@H\u{fc}: a\r\n\r\n", REFUSED),
        case("NUL in a value", "GET / HTTP/1.1\r\n@HX: a\x00b\r\n\r\n", REFUSED),
        case("folded line", "GET / HTTP/1.1\r\n@HX: a\r\n b\r\n\r\n", REFUSED),
        case("folded first line", "GET / HTTP/1.1\r\n X: a\r\n@H\r\n", REFUSED),
        case("empty value", "GET / HTTP/1.1\r\n@HX:\r\n\r\n", &[200]),
        case("bytes above ASCII in a value", "GET / HTTP/1.1\r\n@HX: \u{fc}\r\n\r\n", &[200]),
        case("90 headers", format!("GET / HTTP/1.1\r\n@H{}\r\n", "X: a\r\n".repeat(90)), &[200]),
        case("too many headers", format!("GET / HTTP/1.1\r\n@H{}\r\n", "X: a\r\n".repeat(500)), &[400, 431]),
        case("many different names", format!("GET / HTTP/1.1\r\n@H{}\r\n", many_names(3_000)), &[400, 431]),
        case("long value", format!("GET / HTTP/1.1\r\n@HX: {}\r\n\r\n", "a".repeat(200_000)), &[431]),
        case("Upgrade", "GET /login HTTP/1.1\r\n@HUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", &[200]),
        case(
            "unknown expectation",
            "POST /login HTTP/1.1\r\n@HExpect: 200-maybe\r\nContent-Length: 0\r\n\r\n",
            &[400, 415, 417],
        ),
    ]
}

fn many_names(count: usize) -> String {
    (0..count).map(|number| format!("X-{number}: a\r\n")).collect()
}

/// The ways in which two programs could take one request for two (RFC 9112 sections 6.3 and 11.2).
fn framing() -> Vec<Case> {
    let post = |headers: &str, body: &str| {
        let kind = "Content-Type: application/x-www-form-urlencoded";
        format!("POST /login HTTP/1.1\r\n@H{kind}\r\n{headers}\r\n\r\n{body}")
    };
    let smuggled = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    vec![
        case("length and chunks", post("Content-Length: 4\r\nTransfer-Encoding: chunked", smuggled), REFUSED),
        case("chunks and length", post("Transfer-Encoding: chunked\r\nContent-Length: 4", smuggled), REFUSED),
        case("two lengths", post("Content-Length: 4\r\nContent-Length: 5", "a=bcd"), REFUSED),
        case("two lengths in one", post("Content-Length: 4, 5", "a=bcd"), REFUSED),
        case("negative length", post("Content-Length: -1", ""), REFUSED),
        case("length with a sign", post("Content-Length: +4", "a=bc"), REFUSED),
        case("length in hex", post("Content-Length: 0x4", "a=bc"), REFUSED),
        case("length that is no number", post("Content-Length: four", "a=bc"), REFUSED),
        case("length beyond 64 bits", post("Content-Length: 99999999999999999999", ""), REFUSED),
        case("huge length", post("Content-Length: 9999999999", "a=b"), &[413]),
        case("unknown coding", post("Transfer-Encoding: gzip", "a=b"), &[400, 501]),
        case("chunked is not last", post("Transfer-Encoding: chunked, gzip", smuggled), &[400, 501]),
        case("chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), REFUSED),
        case("chunked, misspelt", post("Transfer-Encoding: xchunked", smuggled), &[400, 501]),
        case("chunked, with a control character", post("Transfer-Encoding: \x0bchunked", smuggled), REFUSED),
        case(
            "chunks in HTTP/1.0",
            post("Transfer-Encoding: chunked", "0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0"),
            REFUSED,
        ),
        case("chunk size that is no number", post("Transfer-Encoding: chunked", "zz\r\n\r\n0\r\n\r\n"), REFUSED),
        case("negative chunk size", post("Transfer-Encoding: chunked", "-1\r\na\r\n0\r\n\r\n"), REFUSED),
        case("chunk size with prefix", post("Transfer-Encoding: chunked", "0x1\r\na\r\n0\r\n\r\n"), REFUSED),
        case("no chunk size", post("Transfer-Encoding: chunked", "\r\na\r\n0\r\n\r\n"), REFUSED),
        case("chunk size beyond 64 bits", post("Transfer-Encoding: chunked", "fffffffffffffffff\r\na\r\n"), REFUSED),
        case("longer than its chunk size", post("Transfer-Encoding: chunked", "1\r\nabc\r\n0\r\n\r\n"), REFUSED),
        case("huge chunk", post("Transfer-Encoding: chunked", "fffffff\r\nabc"), &[400, 408, 413]),
        case("chunk extension", post("Transfer-Encoding: chunked", "3;a=b\r\na=b\r\n0\r\n\r\n"), &[400, 401, 422]),
        case("trailer", post("Transfer-Encoding: chunked", "3\r\na=b\r\n0\r\nX: a\r\n\r\n"), &[400, 401, 422]),
        case("body of a GET", "GET /login HTTP/1.1\r\n@HContent-Length: 3\r\n\r\nabc", &[200, 400]),
    ]
}

/// The status of the first answer. Closing without one refuses, too: what was still on its way resets the connection.
fn status_of(port: u16, request: &[u8]) -> u16 {
    let mut stream = connect(port);
    stream.write_all(request).ok();
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    while received.len() < 16 {
        match stream.read(&mut buffer) {
            Ok(read) if read > 0 => received.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("no answer to {}", String::from_utf8_lossy(request))
            }
            _ => return 400,
        }
    }
    std::str::from_utf8(&received[9..12]).unwrap().parse().unwrap()
}

#[tokio::test]
async fn odd_requests_get_the_right_status() {
    let app = TestApp::start().await;
    let cases = [request_lines(), targets(), hosts(), headers(), framing()].into_iter().flatten();
    let mut wrong = Vec::new();
    for Case(what, request, right) in cases {
        let host = format!("Host: localhost:{}\r\nConnection: close\r\n", app.port);
        let request = request.replace("@H", &host).replace("@P", &app.port.to_string());
        let status = status_of(app.port, request.as_bytes());
        if !right.contains(&status) {
            wrong.push(format!("{what}: {status}, not {right:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(app.get("/healthz").await.status, 200);
    assert!(!app.logs().contains("panicked"), "{}", app.logs());
}

/// Reads from a connection that is kept, until `end` has come.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> String {
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    while !received.windows(end.len()).any(|bytes| bytes == end) {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "closed after {}", String::from_utf8_lossy(&received));
        received.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&received).into_owned()
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    stream
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let app = TestApp::start().await;
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n{more}\r\n", app.port);
    let paths = ["/login", "/healthz", "/nothing", "/static/site.css", "/robots.txt", "/orders"];
    let mut requests: String = paths.iter().map(|path| get(path, "")).collect();
    requests.push_str(&get("/readyz", "Connection: close\r\n"));
    let mut stream = connect(app.port);
    stream.write_all(requests.as_bytes()).unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    let received = String::from_utf8_lossy(&received);
    let statuses: Vec<_> = received.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "404", "200", "200", "303", "200"]);
    assert!(received.ends_with("ready\n"), "{received}");
}

#[tokio::test]
async fn nothing_after_a_malformed_request_is_answered() {
    let app = TestApp::start().await;
    let host = format!("Host: localhost:{}\r\n", app.port);
    let good = format!("GET /healthz HTTP/1.1\r\n{host}\r\n");
    for bad in
        ["GET\r\n\r\n", "POST /login HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]
    {
        let mut stream = connect(app.port);
        stream.write_all(format!("{good}{bad}{good}").as_bytes()).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).ok();
        let received = String::from_utf8_lossy(&received);
        let statuses: Vec<_> = received.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        assert!(statuses == ["200", "400"] || statuses == ["200"], "{bad:?}: {statuses:?}");
    }
}

#[tokio::test]
async fn connection_is_kept_unless_told_otherwise() {
    let app = TestApp::start().await;
    let ask = |version: &str, more: &str| {
        let mut stream = connect(app.port);
        write!(stream, "GET /healthz HTTP/{version}\r\nHost: localhost:{}\r\n{more}\r\n", app.port).unwrap();
        let head = read_until(&mut stream, b"ok\n").to_lowercase();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        // The read fails for lack of time when the connection is kept.
        (stream.read(&mut [0; 16]).is_err(), head)
    };
    for (version, more, kept) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Close, x\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
    ] {
        let (is_kept, head) = ask(version, more);
        assert_eq!(is_kept, kept, "HTTP/{version} {more:?}: {head}");
        assert_eq!(head.contains("connection: close"), version == "1.1" && !kept, "{head}");
        assert_eq!(head.contains("connection: keep-alive"), version == "1.0" && kept, "{head}");
    }
}

#[tokio::test]
async fn body_is_asked_for_with_100_continue() {
    let app = TestApp::start().await;
    let body = "email=a%40example.com&password=x";
    let mut stream = connect(app.port);
    write!(
        stream,
        "POST /login HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        app.port,
        body.len()
    )
    .unwrap();
    assert!(read_until(&mut stream, b"\r\n\r\n").starts_with("HTTP/1.1 100 "));
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

/// What actix-http refuses before the app sees it has no body, and closes.
#[tokio::test]
async fn refusal_before_the_app_is_empty_and_closes() {
    let app = TestApp::start().await;
    for request in ["GET\r\n\r\n".to_owned(), format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(140_000))] {
        // Reading to the end shows that it closes.
        let Some(answer) = send_raw(app.port, request.as_bytes()) else { continue };
        let Answer { status, body, .. } = &answer;
        assert!(matches!(status, 400 | 431) && body.is_empty(), "{answer:?}");
        assert_eq!((answer.header("content-length"), answer.header("server")), (Some("0"), None));
    }
}
