//! Static files: representations, their tags, parts.

use reqwest::Method;

use crate::app::TestApp;
use crate::http::{self, Answer};
use crate::place::Place;

const CSS: &str = "/static/site.css";

async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = app.request(Method::GET, path);
    http::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

fn on_disk(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/static/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn unpacked(answer: &Answer) -> Vec<u8> {
    let (mut packed, mut plain) = (answer.body.as_slice(), Vec::new());
    match answer.header("content-encoding") {
        Some("br") => brotli::BrotliDecompress(&mut packed, &mut plain).unwrap(),
        Some("gzip") => drop(std::io::copy(&mut flate2::read::GzDecoder::new(packed), &mut plain).unwrap()),
        other => panic!("{other:?}"),
    }
    plain
}

#[tokio::test]
async fn etag_stands_for_one_representation() {
    let app = TestApp::start().await;
    for name in ["site.css", "site.js", "icon.svg"] {
        let path = format!("/static/{name}");
        let plain = get(&app, &path, &[]).await;
        let brotli = get(&app, &path, &[("accept-encoding", "gzip, br")]).await;
        let gzip = get(&app, &path, &[("accept-encoding", "gzip")]).await;
        assert!(plain.body == on_disk(name) && plain.header("content-encoding").is_none(), "{name}");
        assert!(unpacked(&brotli) == plain.body && unpacked(&gzip) == plain.body, "{name}");
        assert_eq!((brotli.header("content-encoding"), gzip.header("content-encoding")), (Some("br"), Some("gzip")));
        let all = [&plain, &brotli, &gzip];
        let mut tags: Vec<_> = all.iter().map(|answer| answer.header("etag").unwrap().to_owned()).collect();
        assert!(tags.iter().all(|tag| tag.starts_with('"')), "not strong: {tags:?}");
        for answer in all {
            assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{name}");
            assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()), "{name}");
            assert_eq!(answer.header("content-type"), plain.header("content-type"));
        }
        // A tag of another representation does not count.
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

/// Of content, so that it is the same on every node and after every deployment.
#[tokio::test]
async fn etag_is_made_of_content() {
    let (mut first, mut second) = (Place::new().await, Place::new().await);
    for (place, pause) in [(&mut first, 0), (&mut second, 1_100)] {
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        copy_static_files(place);
    }
    let (first, second) = (TestApp::start_in(first).await, TestApp::start_in(second).await);
    let tags = [get(&first, CSS, &[]).await, get(&second, CSS, &[]).await]
        .map(|answer| answer.header("etag").map(str::to_owned));
    assert!(tags[0].is_some() && tags[0] == tags[1], "{tags:?}");
}

fn copy_static_files(place: &mut Place) {
    std::fs::create_dir(place.path().join("files")).unwrap();
    for name in ["site.css", "site.js", "icon.svg", "favicon.ico"] {
        place.write(&format!("files/{name}"), on_disk(name));
    }
    place.set("STATIC_DIR", "files");
}

#[tokio::test]
async fn part_is_of_the_plain_representation() {
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
    // Who has the beginning of something else gets the whole.
    for tag in [brotli_tag.as_str(), "\"another\"", "W/\"weak\"", "Wed, 21 Oct 2015 07:28:00 GMT", "nonsense"] {
        let answer = get(&app, CSS, &[range, ("if-range", tag), ("accept-encoding", "br")]).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (200, Some("br")), "{tag}");
        assert!(answer.body == brotli.body, "{tag}");
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

/// A file that was replaced while the server runs is not mixed with what is in memory.
#[tokio::test]
async fn replaced_file_is_not_mixed_with_the_one_in_memory() {
    let mut place = Place::new().await;
    copy_static_files(&mut place);
    let app = TestApp::start_in(place).await;
    let before = get(&app, CSS, &[]).await;
    let tag = before.header("etag").unwrap().to_owned();
    app.write("files/site.css", b"replaced ".repeat(5_000));
    let answer = get(&app, CSS, &[("range", "bytes=10-19"), ("if-range", &tag)]).await;
    assert!(answer.status == 200 && answer.body == before.body, "{}", answer.status);
}

#[tokio::test]
async fn files_that_are_not_in_memory_are_served_from_disk() {
    let mut place = Place::new().await;
    copy_static_files(&mut place);
    std::fs::create_dir(place.path().join("files/fonts")).unwrap();
    place.write("files/fonts/small.txt", "small text ".repeat(200));
    place.write("files/large.txt", "large text ".repeat(200_000));
    let app = TestApp::start_in(place).await;
    app.write("files/new.txt", "new text ".repeat(1_000));
    let br = [("accept-encoding", "br")];
    let small = get(&app, "/static/fonts/small.txt", &br).await;
    assert_eq!((small.status, small.header("content-encoding")), (200, Some("br")));
    for (path, length) in [("/static/large.txt", 2_200_000), ("/static/new.txt", 9_000)] {
        let answer = get(&app, path, &br).await;
        assert_eq!((answer.status, answer.body.len()), (200, length), "{path}");
        assert_eq!((answer.header("content-encoding"), answer.header("etag")), (None, None), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
        let part = get(&app, path, &[("range", "bytes=0-3"), ("accept-encoding", "br")]).await;
        assert_eq!((part.status, part.body.len()), (206, 4), "{path}");
        let stamp = answer.header("last-modified").unwrap();
        assert_eq!(get(&app, path, &[("if-modified-since", stamp)]).await.status, 304, "{path}");
    }
}

#[tokio::test]
async fn head_ignores_range() {
    let app = TestApp::start().await;
    let whole = http::send(app.request(Method::HEAD, "/static/site.css")).await;
    let with_range = app.request(Method::HEAD, "/static/site.css").header("range", "bytes=0-9");
    let answer = http::send(with_range).await;
    assert_eq!((answer.status, answer.header("content-length")), (200, whole.header("content-length")));
}

#[tokio::test]
async fn wrong_method_names_the_right_ones() {
    let app = TestApp::start().await;
    for path in ["/static/site.css", "/static/missing.css"] {
        let answer = http::send(app.request(Method::POST, path)).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{path}");
    }
}
