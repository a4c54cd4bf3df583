//! Metrics of sessions.

use std::sync::LazyLock;

use prometheus::IntGaugeVec;
use strum::VariantArray;

use super::{Audience, Sessions, store};
use crate::database::Error;
use crate::metrics::gauges;

static ACTIVE: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("sessions_active", "Sessions that can still be used.", &["audience"]));

pub fn register_metrics() {
    Audience::VARIANTS.iter().for_each(|audience| ACTIVE.with_label_values(&[audience.code()]).set(0));
}

impl Sessions {
    /// Records the number of sessions that can still be used.
    pub async fn read_metrics(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let counts = store::count_active(&self.database, now, now - self.lifetimes.token).await?;
        for audience in Audience::VARIANTS {
            let count = counts.iter().find(|(counted, _)| counted == audience.code()).map_or(0, |(_, count)| *count);
            ACTIVE.with_label_values(&[audience.code()]).set(count);
        }
        Ok(())
    }
}
