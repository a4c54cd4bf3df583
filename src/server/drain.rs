//! Counts what is in flight, so that a stop can wait for it: requests, from their head to the end of the response body, and connections
//! that have sent no request yet. See docs/decisions/graceful-shutdown.md.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes};
use tokio::time::{Instant, sleep};

/// A connection without traffic for this long is idle: everything it sent has been read.
const QUIET: Duration = Duration::from_millis(500);
/// Time for the first request of a new connection.
const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// The counts, shared by all workers.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    has_begun: AtomicBool,
    started: AtomicU64,
    ended: AtomicU64,
    /// Connections and TLS handshakes since the start.
    connected: AtomicU64,
    /// Connections that have sent no request.
    unused: AtomicU64,
}

impl Drain {
    /// Begins the drain: the server is not ready, and each response closes its connection.
    pub fn begin(&self) {
        self.0.has_begun.store(true, Ordering::SeqCst);
    }

    pub fn has_begun(&self) -> bool {
        self.0.has_begun.load(Ordering::SeqCst)
    }

    /// Requests whose response is not completely sent.
    pub fn in_flight(&self) -> u64 {
        // Read in this order the result is never negative.
        let ended = self.0.ended.load(Ordering::SeqCst);
        self.0.started.load(Ordering::SeqCst).saturating_sub(ended)
    }

    /// Counts a TLS handshake.
    pub fn note_handshake(&self) {
        self.0.connected.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a connection until the returned value is dropped.
    pub fn open_connection(&self) -> Connection {
        self.note_handshake();
        self.0.unused.fetch_add(1, Ordering::SeqCst);
        Connection { drain: self.clone(), is_used: AtomicBool::new(false) }
    }

    /// Waits until no request is in flight and all connections are idle.
    pub async fn quiet(&self) {
        let began = Instant::now();
        let (mut seen, mut changed_at) = (self.events(), began);
        loop {
            sleep(LOOK_EVERY).await;
            let events = self.events();
            if events != seen || self.in_flight() > 0 {
                (seen, changed_at) = (events, Instant::now());
            }
            let awaits_request = self.0.unused.load(Ordering::SeqCst) > 0 && began.elapsed() < FIRST_REQUEST_WITHIN;
            if changed_at.elapsed() >= QUIET && !awaits_request {
                return;
            }
        }
    }

    fn events(&self) -> [u64; 3] {
        [&self.0.started, &self.0.ended, &self.0.connected].map(|count| count.load(Ordering::SeqCst))
    }

    fn start_request(&self) -> InFlight {
        self.0.started.fetch_add(1, Ordering::SeqCst);
        InFlight(self.clone())
    }
}

/// One open connection.
pub struct Connection {
    drain: Drain,
    is_used: AtomicBool,
}

impl Connection {
    fn set_used(&self) {
        if !self.is_used.swap(true, Ordering::SeqCst) {
            self.drain.0.unused.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.set_used();
    }
}

struct InFlight(Drain);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// Outermost middleware: counts the request until its response body is sent or dropped. During the drain the response has
/// `Connection: close` (RFC 9112 section 9.6), so that the client does not send another request on a closing connection.
///
/// # Errors
/// Those of what it wraps.
pub async fn count<B: MessageBody>(
    drain: web::Data<Drain>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<CountedBody<B>>, actix_web::Error> {
    let in_flight = drain.start_request();
    if let Some(connection) = request.conn_data::<Connection>() {
        connection.set_used();
    }
    let mut response = next.call(request).await?;
    if drain.has_begun() {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response.map_body(|_, body| CountedBody { body: Box::pin(body), _in_flight: in_flight }))
}

/// A response body that counts as in flight until it is dropped.
pub struct CountedBody<B> {
    body: Pin<Box<B>>,
    _in_flight: InFlight,
}

impl<B: MessageBody> MessageBody for CountedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        self.body.as_mut().poll_next(context)
    }
}
