//! Finished responses of order lists, kept in memory.
//!
//! A response is stored under the version of the customer's orders and everything else that it shows, so a change of any of them leads to
//! another key and the old response is never found again. The session is still checked in the database for each request. Responses are stored
//! as the client receives them, compressed if that makes them smaller.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use prometheus::{IntCounter, IntGauge};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::metrics::{counter, gauge};
use crate::sessions::CurrentUser;
use crate::web::compression::Coding;

/// Responses that the cache expects at first; it grows.
const EXPECTED_RESPONSES: usize = 1_000;
/// Bytes of an entry besides its key and its response.
const ENTRY_BYTES: u64 = 200;

static HITS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("response_cache_hits_total", "Lists answered from memory."));
static MISSES: LazyLock<IntCounter> =
    LazyLock::new(|| counter("response_cache_misses_total", "Lists that were not in memory."));
static BYTES: LazyLock<IntGauge> = LazyLock::new(|| gauge("response_cache_bytes", "Size of the lists in memory."));

pub(super) fn register_metrics() {
    LazyLock::force(&HITS);
    LazyLock::force(&MISSES);
    LazyLock::force(&BYTES);
}

/// What a stored response depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    user_id: String,
    version: i64,
    /// Separated by NUL.
    context: String,
    coding: Option<Coding>,
}

impl CacheKey {
    /// `context` is everything that the response shows besides the user's orders.
    pub fn new(user: &CurrentUser, context: &[&str], coding: Option<Coding>) -> Self {
        let (user_id, version) = (user.user_id.as_str().to_owned(), user.orders_version);
        Self { user_id, version, context: context.join("\0"), coding }
    }
}

/// A finished response.
#[derive(Clone, Debug)]
pub struct StoredResponse {
    content: Bytes,
    /// `None` also if compression did not make it smaller.
    coding: Option<Coding>,
}

impl StoredResponse {
    /// 200 with the stored content.
    pub fn respond(self, content_type: &'static str) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.insert_header((header::CONTENT_TYPE, content_type)).insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(coding) = self.coding {
            response.insert_header((header::CONTENT_ENCODING, coding.name()));
            response.insert_header((header::VARY, "Accept-Encoding"));
        }
        response.body(self.content)
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<CacheKey, StoredResponse> for ByBytes {
    fn weight(&self, key: &CacheKey, response: &StoredResponse) -> u64 {
        (key.user_id.len() + key.context.len() + response.content.len()) as u64 + ENTRY_BYTES
    }
}

/// The stored responses, up to a number of bytes. All workers share them.
pub struct ResponseCache(Cache<CacheKey, StoredResponse, ByBytes>);

impl ResponseCache {
    pub fn new(megabytes: u64) -> Self {
        Self(Cache::with_weighter(EXPECTED_RESPONSES, megabytes * 1024 * 1024, ByBytes))
    }

    pub fn find(&self, key: &CacheKey) -> Option<StoredResponse> {
        let found = self.0.get(key);
        if found.is_some() {
            HITS.inc();
        } else {
            MISSES.inc();
        }
        found
    }

    /// Compresses a response and stores it under the version at which its orders were read.
    pub fn store(&self, key: CacheKey, version: i64, plain: Vec<u8>) -> StoredResponse {
        let packed = key.coding.and_then(|coding| Some((coding, coding.compress_page(&plain)?)));
        let stored = match packed {
            Some((coding, content)) => StoredResponse { content, coding: Some(coding) },
            None => StoredResponse { content: plain.into(), coding: None },
        };
        self.0.insert(CacheKey { version, ..key }, stored.clone());
        BYTES.set(self.0.weight().cast_signed());
        stored
    }
}
