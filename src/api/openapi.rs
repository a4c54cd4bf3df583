//! The OpenAPI 3.1 document of the API, generated from handlers and bodies.

use actix_web::{HttpResponse, web};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, ObjectBuilder, Ref, RefOr, ResponseBuilder, Server, Type};
use utoipa::{Modify, OpenApi};

use super::problem::{LoginProblem, Problem, WrongField};
use crate::web::Site;

#[derive(OpenApi)]
#[openapi(
    info(title = "order-portal", license(name = "MIT", identifier = "MIT"),
        description = "A customer's orders, for scripts and apps. Times are RFC 3339, amounts are integers in the currency's minor unit."),
    paths(super::accounts::create_new_user, super::accounts::login, super::accounts::session, super::accounts::logout,
        super::orders::list, super::orders::find, document),
    components(schemas(Problem, LoginProblem, WrongField)),
    modifiers(&CommonParts),
    tags((name = "accounts", description = "Accounts and tokens"), (name = "orders", description = "The customer's orders"),
        (name = "document", description = "This document"))
)]
struct Api;

/// What all operations have in common, so that none forgets it.
struct CommonParts;

impl Modify for CommonParts {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                add_common_parts(operation);
            }
        }
    }
}

fn add_common_parts(operation: &mut Operation) {
    // An empty list says that the operation is public.
    let is_public = operation.security.get_or_insert_default().is_empty();
    if !is_public {
        add_response(operation, "401", problem("No token"));
        add_response(operation, "403", problem("An invalid, expired or revoked token"));
    }
    add_response(operation, "421", problem("The request is for another host"));
    add_response(operation, "503", retry_after(problem("Busy or unavailable")));
    if operation.request_body.is_some() {
        add_response(operation, "400", problem("The body is not JSON of that shape"));
        add_response(operation, "408", problem("The body did not arrive in time"));
        add_response(operation, "413", problem("The body is larger than 16 KiB"));
        add_response(operation, "415", problem("The body is not application/json"));
        add_response(operation, "429", retry_after(problem("Rate limited")));
    }
}

fn add_response(operation: &mut Operation, status: &str, response: ResponseBuilder) {
    operation.responses.responses.insert(status.to_owned(), RefOr::T(response.build()));
}

fn problem(description: &str) -> ResponseBuilder {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content)
}

fn retry_after(response: ResponseBuilder) -> ResponseBuilder {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
    let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds")).build();
    response.header("Retry-After", header)
}

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", tag = "document", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)))]
pub(super) async fn document(site: web::Data<Site>) -> HttpResponse {
    let mut document = Api::openapi();
    document.servers = Some(vec![Server::new(site.origin.as_str())]);
    HttpResponse::Ok().json(document)
}
