//! The list, one order, and the list as JSON.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Json, Response};
use axum_login::AuthSession;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, SqlitePool};

use crate::AppState;
use crate::login::Backend;

/// The program's own page around the orders, so that pages have about the same size.
pub struct Shells {
    list_head: String,
    list_foot: String,
    order_head: String,
    order_foot: String,
}

impl Shells {
    pub fn read(directory: &str) -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("{directory}/{name}.html")).unwrap();
        Self {
            list_head: read("list_head"),
            list_foot: read("list_foot"),
            order_head: read("order_head"),
            order_foot: read("order_foot"),
        }
    }
}

#[derive(FromRow, Serialize)]
struct Order {
    #[serde(skip)]
    id: i64,
    number: i64,
    placed_at: String,
    status: String,
    currency: String,
    total: i64,
    line_count: i64,
    ship_name: String,
    ship_address: String,
    ship_city: String,
}

impl Order {
    fn placed_on(&self) -> &str {
        &self.placed_at[..10]
    }

    fn total(&self) -> String {
        money(self.total)
    }
}

#[derive(FromRow)]
struct Line {
    sku: String,
    name: String,
    quantity: i64,
    unit_price: i64,
}

impl Line {
    fn unit_price(&self) -> String {
        money(self.unit_price)
    }

    fn amount(&self) -> String {
        money(self.quantity * self.unit_price)
    }
}

fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage<'a> {
    shells: &'a Shells,
    orders: Vec<Order>,
}

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage<'a> {
    shells: &'a Shells,
    order: Order,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
pub struct Page {
    after: Option<i64>,
}

pub async fn list(
    auth: AuthSession<Backend>,
    State(state): State<AppState>,
    Query(page): Query<Page>,
) -> Result<Html<String>, StatusCode> {
    let orders = orders_of(&state.pool, auth.user.unwrap().id, &page).await?;
    render(&ListPage { shells: &state.shells, orders })
}

pub async fn one(
    auth: AuthSession<Backend>,
    State(state): State<AppState>,
    Path(number): Path<i64>,
) -> Result<Html<String>, StatusCode> {
    let select = sqlx::query_as("SELECT * FROM orders WHERE user_id = ? AND number = ?");
    let order = select.bind(auth.user.unwrap().id).bind(number).fetch_optional(&state.pool).await;
    let order: Order = order.map_err(internal)?.ok_or(StatusCode::NOT_FOUND)?;
    let select =
        sqlx::query_as("SELECT sku, name, quantity, unit_price FROM order_lines WHERE order_id = ? ORDER BY position");
    let lines = select.bind(order.id).fetch_all(&state.pool).await.map_err(internal)?;
    render(&OrderPage { shells: &state.shells, order, lines })
}

pub async fn api(
    auth: AuthSession<Backend>,
    State(state): State<AppState>,
    Query(page): Query<Page>,
) -> Result<Response, StatusCode> {
    let user = auth.user.ok_or(StatusCode::UNAUTHORIZED)?;
    let orders = orders_of(&state.pool, user.id, &page).await?;
    let next = orders.last().map(|order| order.number);
    Ok(Json(serde_json::json!({ "orders": orders, "next": next })).into_response())
}

async fn orders_of(pool: &SqlitePool, user: i64, page: &Page) -> Result<Vec<Order>, StatusCode> {
    let select = sqlx::query_as("SELECT * FROM orders WHERE user_id = ? AND number < ? ORDER BY number DESC LIMIT 20");
    select.bind(user).bind(page.after.unwrap_or(i64::MAX)).fetch_all(pool).await.map_err(internal)
}

fn render(page: &impl Template) -> Result<Html<String>, StatusCode> {
    page.render().map(Html).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

fn internal(_: sqlx::Error) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}
