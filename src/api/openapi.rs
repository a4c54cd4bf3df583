//! The description of the API, generated from its handlers and bodies (OpenAPI 3.1).

use actix_web::HttpResponse;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::problem::{Problem, WrongField};

#[derive(OpenApi)]
#[openapi(
    info(title = "order-portal", description = "A customer's orders, for scripts and apps. Times are RFC 3339, amounts are integers in the currency's minor unit."),
    paths(super::accounts::create_new_user, super::accounts::login, super::accounts::session, super::accounts::logout,
        super::orders::list, super::orders::find, document),
    components(schemas(Problem, WrongField)),
    modifiers(&BearerToken),
    tags((name = "accounts", description = "Getting and ending a token"), (name = "orders", description = "What the customer bought"))
)]
struct Api;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", operation_id = "openapi", responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)))]
pub(super) async fn document() -> HttpResponse {
    HttpResponse::Ok().json(Api::openapi())
}
