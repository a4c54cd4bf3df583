//! What every page shows around its own content.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use super::notice::Notice;
use super::{Site, Zone};

/// Data of `templates/layout.html`; each page's view has it in a field `layout`.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Address of the stylesheet, with the hash of its content.
    pub stylesheet: String,
    /// Address of the script, likewise.
    pub script: String,
    /// Address of the icon, likewise.
    pub icon: String,
    /// Who is signed in, if anyone.
    pub viewer: Option<Viewer>,
    /// What the last form did, shown once.
    pub notice: Option<&'static str>,
    /// Whether the site runs in development.
    pub development: bool,
}

/// The signed-in person as the layout shows them.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// Their address.
    pub email: String,
    /// Whether the address was shown to be theirs.
    pub verified: bool,
    /// Seconds from this answer until they are logged out if nothing comes from this browser.
    pub ends_in: i64,
    /// Whether staying signed in beyond that is possible without the password.
    pub can_stay: bool,
    /// In which they read times.
    pub zone: Zone,
}

impl Layout {
    /// In which the page shows times.
    pub fn zone(&self) -> Zone {
        self.viewer.as_ref().map(|viewer| viewer.zone.clone()).unwrap_or_default()
    }

    /// The layout of the answer to `request`.
    pub fn of(request: &HttpRequest) -> Self {
        let Some(site) = request.app_data::<web::Data<Site>>() else {
            return Self::default();
        };
        let viewer = request.extensions().get::<Viewer>().cloned();
        let notice = Notice::of(request).map(Notice::text);
        Self {
            stylesheet: site.assets.address("site.css"),
            script: site.assets.address("site.js"),
            icon: site.assets.address("icon.svg"),
            viewer,
            notice,
            development: site.development,
        }
    }
}

impl FromRequest for Layout {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}
