//! The limit: actix-web answers the bytes of the program's answers from memory, without any check.
//!
//! Settings: `PORT`, `BODIES`: a directory with a file per answer, and its compressed form with the extension `br`.

use actix_web::http::header;
use actix_web::web::{self, Bytes, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HTML: &str = "text/html; charset=utf-8";

/// Path, file, content type.
const ANSWERS: [(&str, &str, &str); 4] = [
    ("/orders", "list.html", HTML),
    ("/orders/{number}", "order.html", HTML),
    ("/api/userOrders", "api.json", "application/json"),
    ("/static/site.css", "site.css", "text/css; charset=utf-8"),
];

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let setting = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("set {name}"));
    let bodies = setting("BODIES");
    let read = |name: &str| Bytes::from(std::fs::read(format!("{bodies}/{name}")).unwrap());
    let answers = ANSWERS.map(|(path, file, kind)| (path, kind, read(file), read(&format!("{file}.br"))));
    let routes = move |config: &mut ServiceConfig| {
        for (path, kind, plain, compressed) in answers.clone() {
            let answer = move |request: HttpRequest| {
                let answer = answer(&request, kind, &plain, &compressed);
                async { answer }
            };
            config.route(path, web::get().to(answer));
        }
        config.route("/healthz", web::get().to(async || "ok"));
    };
    let server = HttpServer::new(move || App::new().configure(routes.clone())).tcp_nodelay(true);
    server.bind(format!("127.0.0.1:{}", setting("PORT")))?.run().await
}

fn answer(request: &HttpRequest, kind: &'static str, plain: &Bytes, compressed: &Bytes) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type(kind);
    if request.headers().contains_key(header::ACCEPT_ENCODING) {
        response.insert_header((header::CONTENT_ENCODING, "br")).body(compressed.clone())
    } else {
        response.body(plain.clone())
    }
}
