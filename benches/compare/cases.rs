//! What is measured.

use std::cell::Cell;
use std::net::SocketAddr;

use clap::ValueEnum;

use crate::data::{self, PASSWORD, SMALL_CUSTOMERS};
use crate::load::Load;
use crate::options::Name;
use crate::server::Cache;
use crate::site::Site;

/// What Chromium sends.
const BROWSER: &str = "Accept-Encoding: gzip, deflate, br, zstd\r\n";
const CONNECTIONS: usize = 32;
pub const STORM_CONNECTIONS: usize = 64;
const STORM_LIST_CONNECTIONS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Case {
    /// Each request is another customer's, with 20 orders
    ListFirst,
    /// One customer's list of 20 orders, again and again
    ListAgain,
    /// The same, with a browser's Accept-Encoding
    ListBrowser,
    /// Each request is another page of customers with 2,000 orders
    LargeFirst,
    /// The first page of one customer with 2,000 orders, again and again
    LargeAgain,
    /// One order; 20 in turn
    Order,
    /// The list as JSON, each time another customer's
    ApiFirst,
    /// One customer's list as JSON, again and again
    ApiAgain,
    /// `/api/session`: a guarded request without orders
    Session,
    /// The account page
    Account,
    /// Logins of customers in turn
    Login,
    /// The stylesheet
    Static,
    /// The list with a browser's Accept-Encoding, one request at a time
    ListAlone,
    /// The stylesheet with a browser's Accept-Encoding, one request at a time
    StaticAlone,
    /// One customer's list while 64 clients log in without a pause
    Storm,
}

impl Case {
    pub fn label(self) -> String {
        self.to_possible_value().unwrap().get_name().to_owned()
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::ListFirst => "list of 20 orders, first visit",
            Self::ListAgain => "list of 20 orders, again",
            Self::ListBrowser => "list of 20 orders, again, compressed",
            Self::LargeFirst => "list of 2,000 orders, first visit",
            Self::LargeAgain => "list of 2,000 orders, again",
            Self::Order => "one order",
            Self::ApiFirst => "API list, first visit",
            Self::ApiAgain => "API list, again",
            Self::Session => "API session",
            Self::Account => "account page",
            Self::Login => "login",
            Self::Static => "stylesheet",
            Self::ListAlone => "list, compressed, one request at a time",
            Self::StaticAlone => "stylesheet, compressed, one request at a time",
            Self::Storm => "list while 64 clients log in",
        }
    }

    /// Not every server has every page.
    pub fn applies_to(self, name: Name) -> bool {
        match self {
            Self::Session | Self::Account => name.is_program(),
            Self::Login | Self::Storm | Self::ListFirst | Self::ApiFirst | Self::LargeFirst | Self::LargeAgain => {
                name != Name::Bare
            }
            _ => true,
        }
    }

    pub fn cache(self) -> Cache {
        match self {
            Self::ListFirst | Self::LargeFirst | Self::ApiFirst => Cache::Small,
            _ => Cache::Default,
        }
    }

    pub fn load(self, site: &Site, address: SocketAddr) -> Load {
        let requests = Requests { site, port: address.port() };
        let connections = match self {
            Self::ListAlone | Self::StaticAlone => 1,
            Self::Storm => STORM_LIST_CONNECTIONS,
            Self::Login => 8,
            _ => CONNECTIONS,
        };
        let is_success = if self == Self::Login { is_redirection } else { is_ok };
        Load { address, requests: requests.of(self), is_success, connections, next: Cell::new(0) }
    }
}

fn is_ok(status: u16) -> bool {
    status == 200
}

fn is_redirection(status: u16) -> bool {
    matches!(status, 302 | 303)
}

struct Requests<'a> {
    site: &'a Site,
    port: u16,
}

impl Requests<'_> {
    fn of(&self, case: Case) -> Vec<Vec<u8>> {
        let (small, large) = (0..SMALL_CUSTOMERS, SMALL_CUSTOMERS);
        match case {
            Case::ListFirst => small.map(|customer| self.page("/orders", customer, "")).collect(),
            Case::ListAgain | Case::Storm => vec![self.page("/orders", 0, "")],
            Case::ListBrowser | Case::ListAlone => vec![self.page("/orders", 0, BROWSER)],
            Case::LargeFirst => self.large_pages(),
            Case::LargeAgain => vec![self.page("/orders", large, "")],
            Case::Order => data::numbers(0).map(|number| self.page(&format!("/orders/{number}"), 0, "")).collect(),
            Case::ApiFirst => small.map(|customer| self.api("/api/userOrders", customer)).collect(),
            Case::ApiAgain => vec![self.api("/api/userOrders", 0)],
            Case::Session => vec![self.api("/api/session", 0)],
            Case::Account => vec![self.page("/account", 0, "")],
            Case::Login => small.map(|customer| self.login(customer)).collect(),
            Case::Static => vec![self.get("/static/site.css", "")],
            Case::StaticAlone => vec![self.get("/static/site.css", BROWSER)],
        }
    }

    /// Neighbouring requests are of different customers.
    fn large_pages(&self) -> Vec<Vec<u8>> {
        let pages = self.site.cursors.iter().map(Vec::len).max().unwrap_or(0);
        let customers = || self.site.cursors.iter().zip(SMALL_CUSTOMERS..);
        let page = |(cursors, customer): (&Vec<String>, u32), page: usize| {
            let after = page.checked_sub(1).map(|page| format!("?after={}", cursors[page])).unwrap_or_default();
            self.page(&format!("/orders{after}"), customer, "")
        };
        (0..=pages).flat_map(|number| customers().map(move |customer| page(customer, number))).collect()
    }

    fn page(&self, path: &str, customer: u32, headers: &str) -> Vec<u8> {
        let session = self.site.sessions.get(customer as usize);
        let cookie = session.map(|session| format!("Cookie: {}\r\n", session.cookie)).unwrap_or_default();
        self.get(path, &format!("{cookie}{headers}"))
    }

    fn api(&self, path: &str, customer: u32) -> Vec<u8> {
        let Some(session) = self.site.sessions.get(customer as usize) else { return self.get(path, "") };
        match &session.bearer {
            Some(bearer) => self.get(path, &format!("Authorization: Bearer {bearer}\r\n")),
            None => self.page(path, customer, ""),
        }
    }

    fn get(&self, path: &str, headers: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n{headers}\r\n", self.port).into_bytes()
    }

    fn login(&self, customer: u32) -> Vec<u8> {
        let body =
            format!("email={}&password={}", data::email(customer).replace('@', "%40"), PASSWORD.replace(' ', "+"));
        format!(
            "POST /login HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .into_bytes()
    }
}
