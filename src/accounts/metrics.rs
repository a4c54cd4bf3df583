//! Metrics of logins.

use std::sync::LazyLock;

use prometheus::IntCounterVec;
use strum::{AsRefStr, VariantArray};

use crate::metrics::counters;
use crate::web::Error;

static ATTEMPTS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("login_attempts_total", "Logins, by page and API.", &["outcome"]));

/// How an attempt to log in ended.
#[derive(Clone, Copy, Debug, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(super) enum LoginOutcome {
    Success,
    WrongPassword,
    UnknownAddress,
    Disabled,
    RateLimited,
    SecondStepNeeded,
    SecondStepWrong,
    WrongPasskey,
}

impl LoginOutcome {
    pub(super) fn count(self) {
        ATTEMPTS.with_label_values(&[self]).inc();
    }

    /// Counts an attempt that was rate limited. Attempts that fail for another error have no outcome.
    pub(super) fn count_error(error: &Error) {
        if matches!(error, Error::RateLimited { .. }) {
            Self::RateLimited.count();
        }
    }
}

pub(super) fn register_metrics() {
    LoginOutcome::VARIANTS.iter().for_each(|outcome| drop(ATTEMPTS.with_label_values(&[outcome])));
}
