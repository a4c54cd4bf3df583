//! What every page needs and no feature owns: the layout's data, the doors that answers leave by, errors, forms, headers,
//! the checks of where a request comes from, static files.
//!
//! Invariants: nothing here names a feature; every answer passes [`headers::secure`] and [`error::late_errors`].

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
pub mod static_files;
pub mod user_agent;
pub mod words;
pub mod zone;

pub use assets::Assets;
pub use client::Client;
pub use cookies::{cookie_value, has_cookie};
pub use error::Error;
pub use layout::{Layout, Viewer};
pub use next::NextPath;
pub use notice::Notice;
pub use origin::own_referer;
pub use page::{page, see_other};
pub use words::wait_in_words;
pub use zone::Zone;

/// What pages know of the site they belong to; in app data.
pub struct Site {
    /// The static files and their addresses.
    pub assets: Assets,
    /// Which hosts and origins are this site's.
    pub origin: origin::OwnOrigin,
    /// Proxies whose word on where a request comes from is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Whom people tell about a vulnerability.
    pub security_contact: Option<crate::config::SecurityContact>,
    /// Whether the site runs in development.
    pub development: bool,
}
