//! HTTP/1 over sockets (RFC 9110, RFC 9112): malformed and unusual requests get a response in time, and never a 500.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::app::TestApp;
use crate::http::{Response, send_raw};

/// Description, request, valid statuses. `@H` stands for the headers `Host` and `Connection: close`, `@P` for the port.
struct Case(&'static str, String, &'static [u16]);

fn case(what: &'static str, request: impl Into<String>, expected: &'static [u16]) -> Case {
    Case(what, request.into(), expected)
}

/// Rejected before or by the app; the connection is closed.
const BAD_REQUEST: &[u16] = &[400];

fn request_lines() -> Vec<Case> {
    vec![
        case("nothing but line ends", "\r\n\r\nGET / HTTP/1.1\r\n@H\r\n", &[200, 400]),
        case("no target", "GET\r\n@H\r\n", BAD_REQUEST),
        case("no version", "GET /\r\n@H\r\n", BAD_REQUEST),
        case("HTTP/0.9", "GET /\r\n\r\n", BAD_REQUEST),
        case("unknown major version", "GET / HTTP/9.1\r\n@H\r\n", BAD_REQUEST),
        case("unknown minor version", "GET / HTTP/1.9\r\n@H\r\n", BAD_REQUEST),
        case("HTTP/2 without negotiation", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD_REQUEST),
        case("version in lower case", "GET / http/1.1\r\n@H\r\n", BAD_REQUEST),
        case("version with a space", "GET / HTTP/ 1.1\r\n@H\r\n", BAD_REQUEST),
        case("space in the target", "GET /a b HTTP/1.1\r\n@H\r\n", BAD_REQUEST),
        case("control character in the target", "GET /\x01 HTTP/1.1\r\n@H\r\n", BAD_REQUEST),
        case("bytes above ASCII in the target", "GET /\u{fc} HTTP/1.1\r\n@H\r\n", &[400, 404]),
        case("fragment in the target", "GET /login#top HTTP/1.1\r\n@H\r\n", &[200, 400]),
        case("target without a slash", "GET login HTTP/1.1\r\n@H\r\n", &[400, 404, 421]),
        case("method in lower case", "get / HTTP/1.1\r\n@H\r\n", &[400, 405, 501]),
        case("method that is no token", "G<T / HTTP/1.1\r\n@H\r\n", BAD_REQUEST),
        case("unknown method", "BREW / HTTP/1.1\r\n@H\r\n", &[405, 501]),
        case("TLS without TLS_CERT", "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03", BAD_REQUEST),
        case("lines ended by LF", "GET / HTTP/1.1\nHost: localhost\nConnection: close\n\n", &[200, 400, 421]),
        case("CR without LF in a line", "GET / HTTP/1.1\r\n@HX: a\rb\r\n\r\n", BAD_REQUEST),
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
        case("no Host in HTTP/1.0", "GET /login HTTP/1.0\r\n\r\n", &[421]),
        case("two Hosts", "GET /login HTTP/1.1\r\n@HHost: evil.example\r\n\r\n", BAD_REQUEST),
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
        case("space before the colon", "GET / HTTP/1.1\r\n@HX : a\r\n\r\n", BAD_REQUEST),
        case("space in a name", "GET / HTTP/1.1\r\n@HX Y: a\r\n\r\n", BAD_REQUEST),
        case("no name", "GET / HTTP/1.1\r\n@H: a\r\n\r\n", BAD_REQUEST),
        case("no colon", "GET / HTTP/1.1\r\n@HX\r\n\r\n", BAD_REQUEST),
        case("control character in a name", "GET / HTTP/1.1\r\n@HX\x00Y: a\r\n\r\n", BAD_REQUEST),
        case("bytes above ASCII in a name", "GET / HTTP/1.1\r\n@H\u{fc}: a\r\n\r\n", BAD_REQUEST),
        case("NUL in a value", "GET / HTTP/1.1\r\n@HX: a\x00b\r\n\r\n", BAD_REQUEST),
        case("folded line", "GET / HTTP/1.1\r\n@HX: a\r\n b\r\n\r\n", BAD_REQUEST),
        case("folded first line", "GET / HTTP/1.1\r\n X: a\r\n@H\r\n", BAD_REQUEST),
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

/// Request smuggling: messages that two programs could frame differently (RFC 9112 sections 6.3 and 11.2).
fn framing() -> Vec<Case> {
    let post = |headers: &str, body: &str| {
        let kind = "Content-Type: application/x-www-form-urlencoded";
        format!("POST /login HTTP/1.1\r\n@H{kind}\r\n{headers}\r\n\r\n{body}")
    };
    let smuggled = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    vec![
        case("length and chunks", post("Content-Length: 4\r\nTransfer-Encoding: chunked", smuggled), BAD_REQUEST),
        case("chunks and length", post("Transfer-Encoding: chunked\r\nContent-Length: 4", smuggled), BAD_REQUEST),
        case("two lengths", post("Content-Length: 4\r\nContent-Length: 5", "a=bcd"), BAD_REQUEST),
        case("two lengths in one", post("Content-Length: 4, 5", "a=bcd"), BAD_REQUEST),
        case("negative length", post("Content-Length: -1", ""), BAD_REQUEST),
        case("length with a sign", post("Content-Length: +4", "a=bc"), BAD_REQUEST),
        case("length in hex", post("Content-Length: 0x4", "a=bc"), BAD_REQUEST),
        case("length that is no number", post("Content-Length: four", "a=bc"), BAD_REQUEST),
        case("length beyond 64 bits", post("Content-Length: 99999999999999999999", ""), BAD_REQUEST),
        case("huge length", post("Content-Length: 9999999999", "a=b"), &[413]),
        case("unknown coding", post("Transfer-Encoding: gzip", "a=b"), &[400, 501]),
        case("chunked is not last", post("Transfer-Encoding: chunked, gzip", smuggled), &[400, 501]),
        case(
            "chunked twice",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
            BAD_REQUEST,
        ),
        case("chunked, misspelt", post("Transfer-Encoding: xchunked", smuggled), &[400, 501]),
        case("chunked, with a control character", post("Transfer-Encoding: \x0bchunked", smuggled), BAD_REQUEST),
        case(
            "chunks in HTTP/1.0",
            post("Transfer-Encoding: chunked", "0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0"),
            BAD_REQUEST,
        ),
        case("chunk size that is no number", post("Transfer-Encoding: chunked", "zz\r\n\r\n0\r\n\r\n"), BAD_REQUEST),
        case("negative chunk size", post("Transfer-Encoding: chunked", "-1\r\na\r\n0\r\n\r\n"), BAD_REQUEST),
        case("chunk size with prefix", post("Transfer-Encoding: chunked", "0x1\r\na\r\n0\r\n\r\n"), BAD_REQUEST),
        case("no chunk size", post("Transfer-Encoding: chunked", "\r\na\r\n0\r\n\r\n"), BAD_REQUEST),
        case(
            "chunk size beyond 64 bits",
            post("Transfer-Encoding: chunked", "fffffffffffffffff\r\na\r\n"),
            BAD_REQUEST,
        ),
        case("longer than its chunk size", post("Transfer-Encoding: chunked", "1\r\nabc\r\n0\r\n\r\n"), BAD_REQUEST),
        case("huge chunk", post("Transfer-Encoding: chunked", "fffffff\r\nabc"), &[400, 408, 413]),
        case("chunk extension", post("Transfer-Encoding: chunked", "3;a=b\r\na=b\r\n0\r\n\r\n"), &[400, 401, 422]),
        case("trailer", post("Transfer-Encoding: chunked", "3\r\na=b\r\n0\r\nX: a\r\n\r\n"), &[400, 401, 422]),
        case("body of a GET", "GET /login HTTP/1.1\r\n@HContent-Length: 3\r\n\r\nabc", &[200, 400]),
    ]
}

/// Bodies, queries and header values that the app parses.
fn content() -> Vec<Case> {
    let post = |headers: &str, body: &str| format!("POST /login HTTP/1.1\r\n@H{headers}\r\n\r\n{body}");
    let form = "Content-Type: application/x-www-form-urlencoded";
    vec![
        case("invalid percent-encoding in the path", "GET /%zz HTTP/1.1\r\n@H\r\n", &[404]),
        case("invalid percent-encoding in the query", "GET /?%zz&&==&a=%ff HTTP/1.1\r\n@H\r\n", &[200]),
        case("invalid UTF-8 in a parameter", "GET /login?next=%ff HTTP/1.1\r\n@H\r\n", &[200]),
        case("path of two slashes", "GET // HTTP/1.1\r\n@H\r\n", &[404]),
        case("TRACE", "TRACE / HTTP/1.1\r\n@H\r\n", &[405]),
        case("cookie of arbitrary bytes", "GET /orders HTTP/1.1\r\n@HCookie: \u{fc}=\u{fc}; ;;=\r\n\r\n", &[303]),
        case(
            "Accept of arbitrary bytes",
            "GET /orders HTTP/1.1\r\n@HSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nAccept: */*, \u{ff}\r\n\r\n",
            &[200],
        ),
        case("multipart form", post("Content-Type: multipart/form-data\r\nContent-Length: 1", "x"), &[415]),
        case("unknown charset", post(&format!("{form}; charset=nonsense\r\nContent-Length: 1"), "x"), &[415]),
        case("invalid gzip", post(&format!("Content-Encoding: gzip\r\n{form}\r\nContent-Length: 1"), "x"), BAD_REQUEST),
        case("POST to a guarded page", "POST /orders HTTP/1.1\r\n@HContent-Length: 0\r\n\r\n", &[303]),
        case(
            "unsatisfiable ranges",
            "GET /static/site.css HTTP/1.1\r\n@HRange: bytes=9-1,-0,999999999-\r\n\r\n",
            &[416],
        ),
        case(
            "invalid conditional headers",
            "GET /static/site.css HTTP/1.1\r\n@HIf-Modified-Since: never\r\nIf-None-Match: \"\"\"\r\n\r\n",
            &[200],
        ),
    ]
}

/// The status of the first response. A close without a response counts as 400: unread data resets the connection.
fn status_of(port: u16, request: &[u8]) -> u16 {
    let mut stream = connect(port);
    stream.write_all(request).ok();
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    while received.len() < 16 {
        match stream.read(&mut buffer) {
            Ok(read) if read > 0 => received.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("no response to {}", String::from_utf8_lossy(request))
            }
            _ => return 400,
        }
    }
    std::str::from_utf8(&received[9..12]).unwrap().parse().unwrap()
}

#[tokio::test]
async fn unusual_requests_get_a_valid_status() {
    let app = TestApp::start().await;
    let cases = [request_lines(), targets(), hosts(), headers(), framing(), content()].into_iter().flatten();
    let mut wrong = Vec::new();
    for Case(what, request, expected) in cases {
        let host = format!("Host: localhost:{}\r\nConnection: close\r\n", app.port);
        let request = request.replace("@H", &host).replace("@P", &app.port.to_string());
        let status = status_of(app.port, request.as_bytes());
        if !expected.contains(&status) {
            wrong.push(format!("{what}: {status}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(app.get("/healthz").await.status, 200);
    assert!(!app.logs().contains("panicked"), "{}", app.logs());
}

/// Reads from an open connection up to `end`.
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
    let statuses: Vec<_> = received.split("HTTP/1.1 ").skip(1).map(|response| &response[..3]).collect();
    assert_eq!(statuses, ["200", "200", "404", "200", "200", "303", "200"]);
    assert!(received.ends_with("ready\n"), "{received}");
}

#[tokio::test]
async fn requests_after_a_malformed_one_get_no_response() {
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
        let statuses: Vec<_> = received.split("HTTP/1.1 ").skip(1).map(|response| &response[..3]).collect();
        assert!(statuses == ["200", "400"] || statuses == ["200"], "{bad:?}: {statuses:?}");
    }
}

#[tokio::test]
async fn connection_stays_open_unless_a_header_closes_it() {
    let app = TestApp::start().await;
    let send = |version: &str, more: &str| {
        let mut stream = connect(app.port);
        write!(stream, "GET /healthz HTTP/{version}\r\nHost: localhost:{}\r\n{more}\r\n", app.port).unwrap();
        let head = read_until(&mut stream, b"ok\n").to_lowercase();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        // The read times out on an open connection.
        (stream.read(&mut [0; 16]).is_err(), head)
    };
    for (version, more, kept) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Close, x\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
    ] {
        let (is_kept, head) = send(version, more);
        assert_eq!(is_kept, kept, "HTTP/{version} {more:?}: {head}");
        assert_eq!(head.contains("connection: close"), version == "1.1" && !kept, "{head}");
        assert_eq!(head.contains("connection: keep-alive"), version == "1.0" && kept, "{head}");
    }
}

#[tokio::test]
async fn expect_100_continue_gets_100_before_the_body() {
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
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
}

/// Requests that actix-http rejects before the app.
#[tokio::test]
async fn rejection_before_the_app_has_no_body_and_closes() {
    let app = TestApp::start().await;
    for request in ["GET\r\n\r\n".to_owned(), format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(140_000))] {
        // `send_raw` reads until the close.
        let Some(response) = send_raw(app.port, request.as_bytes()) else { continue };
        let Response { status, body, .. } = &response;
        assert!(matches!(status, 400 | 431) && body.is_empty(), "{response:?}");
        assert_eq!((response.header("content-length"), response.header("server")), (Some("0"), None));
    }
}
