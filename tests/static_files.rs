//! Static files: representations, entity tags, ranges, caching.

use reqwest::Method;

use crate::app::TestApp;
use crate::http::{self, Response, send_raw};
use crate::sandbox::Sandbox;

const CSS: &str = "/static/site.css";

async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = app.request(Method::GET, path);
    http::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

fn on_disk(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/static/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn decompressed(response: &Response) -> Vec<u8> {
    let (mut compressed, mut plain) = (response.body.as_slice(), Vec::new());
    match response.header("content-encoding") {
        Some("br") => brotli::BrotliDecompress(&mut compressed, &mut plain).unwrap(),
        Some("gzip") => drop(std::io::copy(&mut flate2::read::GzDecoder::new(compressed), &mut plain).unwrap()),
        other => panic!("{other:?}"),
    }
    plain
}

#[tokio::test]
async fn etag_identifies_one_representation() {
    let app = TestApp::start().await;
    for name in ["site.css", "site.js", "passkeys.js", "icon.svg"] {
        let path = format!("/static/{name}");
        let plain = get(&app, &path, &[]).await;
        let brotli = get(&app, &path, &[("accept-encoding", "gzip, br")]).await;
        let gzip = get(&app, &path, &[("accept-encoding", "gzip")]).await;
        assert!(plain.body == on_disk(name) && plain.header("content-encoding").is_none(), "{name}");
        assert!(decompressed(&brotli) == plain.body && decompressed(&gzip) == plain.body, "{name}");
        assert_eq!((brotli.header("content-encoding"), gzip.header("content-encoding")), (Some("br"), Some("gzip")));
        let all = [&plain, &brotli, &gzip];
        let mut tags: Vec<_> = all.iter().map(|response| response.header("etag").unwrap().to_owned()).collect();
        assert!(tags.iter().all(|tag| tag.starts_with('"')), "not strong: {tags:?}");
        for response in all {
            assert_eq!(response.header("vary"), Some("Accept-Encoding"), "{name}");
            assert_eq!(response.header("content-length"), Some(response.body.len().to_string().as_str()), "{name}");
            assert_eq!(response.header("content-type"), plain.header("content-type"));
        }
        // The tag of another representation does not match.
        for (encoding, tag) in [("identity", &tags[0]), ("br", &tags[1]), ("gzip", &tags[2])] {
            for offered in &tags {
                let headers = [("accept-encoding", encoding), ("if-none-match", offered.as_str())];
                let again = get(&app, &path, &headers).await;
                assert_eq!(again.status == 304, offered == tag, "{name} {encoding} {offered}");
                assert_eq!((again.header("etag"), again.header("vary")), (Some(tag.as_str()), Some("Accept-Encoding")));
                assert_eq!(again.body.is_empty(), again.status == 304);
            }
        }
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), 3, "{name}: {tags:?}");
    }
}

/// The tag must be equal on every node and after a deployment without changes.
#[tokio::test]
async fn etag_depends_only_on_content() {
    let (mut first, mut second) = (Sandbox::new().await, Sandbox::new().await);
    for (sandbox, pause) in [(&mut first, 0), (&mut second, 1_100)] {
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        copy_static_files(sandbox);
    }
    let (first, second) = (TestApp::start_in(first).await, TestApp::start_in(second).await);
    let tags = [get(&first, CSS, &[]).await, get(&second, CSS, &[]).await]
        .map(|response| response.header("etag").map(str::to_owned));
    assert!(tags[0].is_some() && tags[0] == tags[1], "{tags:?}");
}

fn copy_static_files(sandbox: &mut Sandbox) {
    std::fs::create_dir(sandbox.path().join("files")).unwrap();
    for name in ["site.css", "site.js", "passkeys.js", "icon.svg", "favicon.ico"] {
        sandbox.write(&format!("files/{name}"), on_disk(name));
    }
    sandbox.set("STATIC_DIR", "files");
}

#[tokio::test]
async fn range_applies_to_the_plain_representation() {
    let app = TestApp::start().await;
    let whole = on_disk("site.css");
    let plain_tag = get(&app, CSS, &[]).await.header("etag").unwrap().to_owned();
    let brotli = get(&app, CSS, &[("accept-encoding", "br")]).await;
    let brotli_tag = brotli.header("etag").unwrap().to_owned();
    let range = ("range", "bytes=100-199");
    for headers in [
        vec![range],
        vec![range, ("accept-encoding", "br, gzip")],
        vec![range, ("accept-encoding", "br"), ("if-range", &plain_tag)],
        vec![range, ("if-range", &plain_tag), ("if-none-match", "\"another\""), ("if-match", &plain_tag)],
    ] {
        let part = get(&app, CSS, &headers).await;
        assert_eq!((part.status, part.header("content-encoding")), (206, None), "{headers:?}");
        assert!(part.body == whole[100..200], "{headers:?}");
        assert_eq!(part.header("content-range"), Some(format!("bytes 100-199/{}", whole.len()).as_str()));
        assert_eq!(part.header("etag"), Some(plain_tag.as_str()), "{headers:?}");
        assert_eq!(part.header("vary"), Some("Accept-Encoding"), "{headers:?}");
        assert_eq!(part.header("content-type"), Some("text/css; charset=utf-8"));
    }
    // A client with a part of another representation gets the whole file.
    for tag in [brotli_tag.as_str(), "\"another\"", "W/\"weak\"", "Wed, 21 Oct 2015 07:28:00 GMT", "nonsense"] {
        let response = get(&app, CSS, &[range, ("if-range", tag), ("accept-encoding", "br")]).await;
        assert_eq!((response.status, response.header("content-encoding")), (200, Some("br")), "{tag}");
        assert!(response.body == brotli.body, "{tag}");
    }
    let unchanged = get(&app, CSS, &[range, ("if-none-match", &plain_tag)]).await;
    assert_eq!(unchanged.status, 304);
    let failed = get(&app, CSS, &[("if-match", "\"another\"")]).await;
    assert_eq!((failed.status, failed.header("etag"), failed.header("content-encoding")), (412, None, None));
    let beyond = get(&app, CSS, &[("range", "bytes=999999999-")]).await;
    assert_eq!((beyond.status, beyond.header("etag")), (416, None));
    let other_unit = get(&app, CSS, &[("range", "lines=1-2")]).await;
    assert!(other_unit.status == 200 && other_unit.body == whole);
}

#[tokio::test]
async fn replaced_file_is_not_mixed_with_the_one_in_memory() {
    let mut sandbox = Sandbox::new().await;
    copy_static_files(&mut sandbox);
    let app = TestApp::start_in(sandbox).await;
    let before = get(&app, CSS, &[]).await;
    let tag = before.header("etag").unwrap().to_owned();
    app.write("files/site.css", b"replaced ".repeat(5_000));
    let response = get(&app, CSS, &[("range", "bytes=10-19"), ("if-range", &tag)]).await;
    assert!(response.status == 200 && response.body == before.body, "{}", response.status);
}

#[tokio::test]
async fn files_not_in_memory_are_served_from_disk() {
    let mut sandbox = Sandbox::new().await;
    copy_static_files(&mut sandbox);
    std::fs::create_dir(sandbox.path().join("files/fonts")).unwrap();
    sandbox.write("files/fonts/small.txt", "small text ".repeat(200));
    sandbox.write("files/large.txt", "large text ".repeat(200_000));
    let app = TestApp::start_in(sandbox).await;
    app.write("files/new.txt", "new text ".repeat(1_000));
    let br = [("accept-encoding", "br")];
    let small = get(&app, "/static/fonts/small.txt", &br).await;
    assert_eq!((small.status, small.header("content-encoding")), (200, Some("br")));
    for (path, length) in [("/static/large.txt", 2_200_000), ("/static/new.txt", 9_000)] {
        let response = get(&app, path, &br).await;
        assert_eq!((response.status, response.body.len()), (200, length), "{path}");
        assert_eq!((response.header("content-encoding"), response.header("etag")), (None, None), "{path}");
        assert_eq!(response.header("cache-control"), Some("no-cache"), "{path}");
        let part = get(&app, path, &[("range", "bytes=0-3"), ("accept-encoding", "br")]).await;
        assert_eq!((part.status, part.body.len()), (206, 4), "{path}");
        let stamp = response.header("last-modified").unwrap();
        assert_eq!(get(&app, path, &[("if-modified-since", stamp)]).await.status, 304, "{path}");
    }
}

#[tokio::test]
async fn head_ignores_range() {
    let app = TestApp::start().await;
    let whole = http::send(app.request(Method::HEAD, "/static/site.css")).await;
    let with_range = app.request(Method::HEAD, "/static/site.css").header("range", "bytes=0-9");
    let response = http::send(with_range).await;
    assert_eq!((response.status, response.header("content-length")), (200, whole.header("content-length")));
}

#[tokio::test]
async fn wrong_method_is_405_with_allow() {
    let app = TestApp::start().await;
    for path in ["/static/site.css", "/static/missing.css"] {
        let response = http::send(app.request(Method::POST, path)).await;
        assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD")), "{path}");
    }
}

#[tokio::test]
async fn static_files_with_content_hash_are_cached_for_a_year() {
    let app = TestApp::start().await;
    let page = app.get("/login").await.text();
    for name in ["site.css", "site.js", "icon.svg"] {
        let address = page
            .split('"')
            .find(|part| part.starts_with(&format!("/static/{name}")))
            .unwrap_or_else(|| panic!("no {name}"));
        let file = app.get(address).await;
        assert_eq!(file.status, 200);
        let cache_control = file.header("cache-control").unwrap();
        assert!(cache_control.contains("max-age=31536000") && cache_control.contains("immutable"), "{cache_control}");
        let tag = file.header("etag").unwrap().to_owned();
        let again = http::send(app.request(Method::GET, address).header("if-none-match", tag)).await;
        assert_eq!((again.status, again.body.len()), (304, 0));
    }
    for address in ["/static/site.css", "/static/site.css?v=0123456789abcdef"] {
        let cache_control = app.get(address).await.header("cache-control").unwrap().to_owned();
        assert!(!cache_control.contains("31536000"), "{address}: {cache_control}");
    }
    let css = app.get("/static/site.css").await;
    assert!(css.header("content-type").unwrap().starts_with("text/css"));
}

#[tokio::test]
async fn only_static_files_are_served() {
    let app = TestApp::start().await;
    for (path, status) in [
        ("/static/", 404),
        ("/static", 404),
        ("/static/../Cargo.toml", 404),
        ("/static/%2e%2e/Cargo.toml", 404),
        ("/static/..%2fCargo.toml", 400),
        ("/static/%2e%2e%2f%2e%2e%2fetc/passwd", 400),
        ("/static//etc/passwd", 404),
        ("/static/..\\Cargo.toml", 400),
        ("/static/%00", 404),
        ("/static/.env", 400),
        ("/.env", 404),
        ("/Cargo.toml", 404),
        ("/data/portal.db", 404),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n", app.port);
        let response = send_raw(app.port, request.as_bytes()).unwrap();
        assert!(response.is_page(status), "{path}: {} {}", response.status, response.text());
    }
}

#[tokio::test]
async fn compiled_files_are_served_without_a_directory() {
    let mut sandbox = Sandbox::new().await;
    sandbox.unset("STATIC_DIR");
    let app = TestApp::start_in(sandbox).await;
    let page = get(&app, "/login", &[]).await.text();
    for name in ["site.css", "site.js", "icon.svg"] {
        let start = page.find(&format!("/static/{name}?v=")).unwrap();
        let url: String = page[start..].chars().take_while(|letter| *letter != '"').collect();
        let file = get(&app, &url, &[]).await;
        assert_eq!(file.status, 200, "{url}");
        assert!(file.body == on_disk(name), "{url}");
        assert!(file.header("cache-control").unwrap().contains("immutable"), "{url}");
    }
    assert_eq!(get(&app, "/favicon.ico", &[]).await.status, 200);
    let range = get(&app, CSS, &[("range", "bytes=0-9")]).await;
    assert_eq!((range.status, range.body == on_disk("site.css")), (200, true));
    for path in ["/static/missing.css", "/static/", "/static/../Cargo.toml"] {
        assert_eq!(get(&app, path, &[]).await.status, 404, "{path}");
    }
    let post = app.visitor().post(CSS, &[]).await;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn directory_static_is_preferred_to_compiled_files() {
    let mut sandbox = Sandbox::new().await;
    copy_static_files(&mut sandbox);
    std::fs::rename(sandbox.path().join("files"), sandbox.path().join("static")).unwrap();
    sandbox.write("static/site.css", b"body { color: red }");
    sandbox.unset("STATIC_DIR");
    let app = TestApp::start_in(sandbox).await;
    assert_eq!(get(&app, CSS, &[]).await.body, b"body { color: red }");
}
