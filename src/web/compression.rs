//! Content codings: negotiation, and compression of pages.
//!
//! A page is complete in memory and is compressed at once, by the worker that made it. Each worker has at most one encoder, so the memory does not
//! grow with the number of clients. (actix-web's `Compress` has an encoder of 8 MiB for each response in progress.)

use std::io::Write;

use actix_web::HttpMessage;
use actix_web::body::{BodySize, EitherBody, MessageBody};
use actix_web::dev::{ResponseHead, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, AcceptEncoding, ContentEncoding, Encoding, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Smaller bodies fit into one packet uncompressed.
const MIN_BYTES: usize = 1024;
/// Larger bodies would block the worker. Only a data export is larger.
const MAX_BYTES: usize = 512 * 1024;
/// Brotli's window size, as a power of two. No page and few static files are larger.
const WINDOW: i32 = 18;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    Brotli,
    Gzip,
}

impl Coding {
    /// The coding that the client prefers. `None` also if it accepts none of them (`identity;q=0`): RFC 9110 section 12.5.3 allows an uncompressed
    /// response in place of a useless 406.
    pub fn accepted(request: &impl HttpMessage) -> Option<Self> {
        let accepted = request.get_header::<AcceptEncoding>()?;
        match accepted.negotiate([Encoding::identity(), Encoding::brotli(), Encoding::gzip()].iter())? {
            Encoding::Known(ContentEncoding::Brotli) => Some(Self::Brotli),
            Encoding::Known(ContentEncoding::Gzip) => Some(Self::Gzip),
            _ => None,
        }
    }

    /// The value of `Content-Encoding`.
    pub fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        })
    }

    /// Compresses a page; `None` if that does not pay.
    pub fn compress_page(self, plain: &[u8]) -> Option<Bytes> {
        let is_worth = (MIN_BYTES..=MAX_BYTES).contains(&plain.len());
        if is_worth { self.compress(plain, Effort::Page) } else { None }
    }

    /// Compresses `plain`; `None` if the result is not smaller.
    pub(super) fn compress(self, plain: &[u8], effort: Effort) -> Option<Bytes> {
        let compressed = match self {
            Self::Brotli => brotli(plain, effort),
            Self::Gzip => gzip(plain),
        };
        compressed.ok().filter(|compressed| compressed.len() < plain.len()).map(Bytes::from)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Effort {
    /// For responses that are sent once.
    Page,
    /// For files that are compressed once and sent often.
    File,
}

fn brotli(mut plain: &[u8], effort: Effort) -> std::io::Result<Vec<u8>> {
    // More takes 13 MB of memory and saves 1%.
    let quality = match effort {
        Effort::Page => 4,
        Effort::File => 6,
    };
    let params = BrotliEncoderParams { quality, lgwin: WINDOW, size_hint: plain.len(), ..Default::default() };
    let mut compressed = Vec::with_capacity(plain.len() / 3);
    brotli::BrotliCompress(&mut plain, &mut compressed, &params)?;
    Ok(compressed)
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 3), Compression::default());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// Middleware: compresses complete bodies. A streamed body (CSV export) is not compressed, because it would keep its encoder until the client has
/// read it; nor is a response with an `ETag`, which identifies its exact bytes.
pub async fn compress<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<Bytes, B>>, actix_web::Error> {
    let coding = Coding::accepted(&request);
    let response = next.call(request).await?;
    Ok(response.map_body(|head, body| compress_body(coding, head, body)))
}

fn compress_body<B: MessageBody>(coding: Option<Coding>, head: &mut ResponseHead, body: B) -> EitherBody<Bytes, B> {
    let has_size = matches!(body.size(), BodySize::Sized(size) if size >= MIN_BYTES as u64);
    let is_fixed = [header::CONTENT_ENCODING, header::ETAG].iter().any(|name| head.headers().contains_key(name));
    if !has_size || is_fixed || head.status == StatusCode::PARTIAL_CONTENT {
        return EitherBody::right(body);
    }
    let plain = match body.try_into_bytes() {
        Ok(plain) => plain,
        Err(body) => return EitherBody::right(body),
    };
    head.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let Some((coding, compressed)) = coding.and_then(|coding| Some((coding, coding.compress_page(&plain)?))) else {
        return EitherBody::left(plain);
    };
    head.headers_mut().insert(header::CONTENT_ENCODING, coding.name());
    EitherBody::left(compressed)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use actix_web::test::TestRequest;

    use super::*;

    fn accepted(header: &str) -> Option<Coding> {
        Coding::accepted(&TestRequest::default().insert_header(("accept-encoding", header)).to_srv_request())
    }

    #[test]
    fn client_gets_its_preferred_coding() {
        for (header, coding) in [
            ("br", Some(Coding::Brotli)),
            ("gzip, deflate, br, zstd", Some(Coding::Brotli)),
            ("gzip;q=1, br;q=0.5", Some(Coding::Gzip)),
            ("gzip;q=0, br;q=0", None),
            ("deflate", None),
            ("identity", None),
            ("identity;q=0", None),
            ("*;q=0", None),
            ("identity;q=0, br", Some(Coding::Brotli)),
            ("", None),
            (";;=,q", None),
        ] {
            assert_eq!(accepted(header), coding, "{header:?}");
        }
        assert_eq!(Coding::accepted(&TestRequest::default().to_srv_request()), None);
    }

    #[test]
    fn compressed_content_decompresses_to_the_original() {
        let plain = "One order, two orders. ".repeat(20_000).into_bytes();
        for effort in [Effort::Page, Effort::File] {
            let (mut decompressed, compressed) = (Vec::new(), Coding::Brotli.compress(&plain, effort).unwrap());
            brotli::BrotliDecompress(&mut compressed.as_ref(), &mut decompressed).unwrap();
            assert!(decompressed == plain, "{effort:?}");
        }
        let (mut decompressed, compressed) = (Vec::new(), Coding::Gzip.compress(&plain, Effort::Page).unwrap());
        flate2::read::GzDecoder::new(compressed.as_ref()).read_to_end(&mut decompressed).unwrap();
        assert!(decompressed == plain);
        assert_eq!(Coding::Gzip.compress(b"ab", Effort::Page), None);
    }
}
