//! Shared by all features: layout, pages and redirects, errors, forms, headers, host check and CSRF protection, compression, static files.
//!
//! Invariants: every response passes [`headers::secure`] and [`error::render_errors`].

mod accent;
mod assets;
pub mod body;
pub mod client;
pub mod compression;
mod cookies;
pub mod error;
pub mod escape;
pub mod headers;
mod layout;
mod next;
pub mod notice;
pub mod origin;
mod page;
mod passkey_support;
pub mod static_files;
pub mod user_agent;

pub use accent::MailColors;
pub use assets::Assets;
pub use client::Client;
pub use cookies::{cookie_value, has_cookie};
pub use error::Error;
pub use layout::{Layout, Viewer};
pub use next::NextPath;
pub use notice::{Notice, NoticeLink, NoticeText};
pub use origin::same_origin_referer;
pub use page::{page, see_other};
pub use passkey_support::PasskeySupport;

/// The site's own data, in app data.
pub struct Site {
    pub assets: Assets,
    pub origin: origin::OwnOrigin,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    pub security_contact: Option<crate::config::SecurityContact>,
    pub shop: std::sync::Arc<crate::config::Shop>,
    /// The text of a notice, by its code. Each feature has its own notices.
    pub notice_text: fn(&str) -> Option<NoticeText>,
    pub development: bool,
}
