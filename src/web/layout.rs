//! The layout around the content of each page.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use super::Site;
use super::notice::{self, NoticeText};
use super::passkey_support::PasskeySupport;
use crate::config::Shop;
use crate::domain::Zone;

/// Data of `templates/layout.html`. Each page's view has it as field `layout`.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// URL of the stylesheet, with its content hash.
    pub stylesheet: String,
    pub script: String,
    pub icon: String,
    /// URL of the shop's logo.
    pub logo: Option<String>,
    pub theme_color_dark: String,
    pub shop: Arc<Shop>,
    /// The logged-in user.
    pub viewer: Option<Viewer>,
    /// Message about the last form, shown once.
    pub notice: Option<NoticeText>,
    /// The path and query of the page, for the link that dismisses the notice.
    pub here: String,
    pub passkeys: PasskeySupport,
    pub development: bool,
}

/// The logged-in user, as the layout shows them.
#[derive(Clone, Debug)]
pub struct Viewer {
    pub email: String,
    /// Whether the address is confirmed.
    pub is_verified: bool,
    pub zone: Zone,
}

impl Layout {
    /// The time zone of the page.
    pub fn zone(&self) -> Zone {
        self.viewer.as_ref().map(|viewer| viewer.zone.clone()).unwrap_or_default()
    }

    /// The layout of the response to `request`.
    pub fn of(request: &HttpRequest) -> Self {
        let Some(site) = request.app_data::<web::Data<Site>>() else {
            return Self::default();
        };
        let viewer = request.extensions().get::<Viewer>().cloned();
        let notice = notice::code(request).and_then(|code| (site.notice_text)(&code));
        Self {
            stylesheet: site.assets.url("site.css"),
            script: site.assets.url("site.js"),
            icon: site.assets.url("icon.svg"),
            logo: site.assets.logo_url(),
            theme_color_dark: site.assets.theme_color_dark(),
            shop: Arc::clone(&site.shop),
            viewer,
            notice,
            here: notice.and_then(|_| request.uri().path_and_query()).map(ToString::to_string).unwrap_or_default(),
            passkeys: PasskeySupport::of(request, site),
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
