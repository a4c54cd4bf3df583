//! The values of the filter by status.

use std::str::FromStr;

use strum::VariantArray;

use crate::orders::status::OrderStatus;

/// A status, or a cancellation request that the shop has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    Status(OrderStatus),
    CancellationRequested,
}

const CANCELLATION_REQUESTED: &str = "cancellation_requested";

impl StatusFilter {
    pub fn label(self) -> &'static str {
        match self {
            Self::Status(status) => status.label(),
            Self::CancellationRequested => "Cancellation requested",
        }
    }
}

impl VariantArray for StatusFilter {
    const VARIANTS: &'static [Self] = &[
        Self::Status(OrderStatus::Placed),
        Self::Status(OrderStatus::Processing),
        Self::Status(OrderStatus::PartlySent),
        Self::Status(OrderStatus::Sent),
        Self::Status(OrderStatus::Delivered),
        Self::Status(OrderStatus::Cancelled),
        Self::Status(OrderStatus::Refunded),
        Self::Status(OrderStatus::PaymentVoided),
        Self::Status(OrderStatus::Expired),
        Self::CancellationRequested,
    ];
}

impl From<StatusFilter> for &'static str {
    fn from(filter: StatusFilter) -> Self {
        match filter {
            StatusFilter::Status(status) => status.as_str(),
            StatusFilter::CancellationRequested => CANCELLATION_REQUESTED,
        }
    }
}

impl FromStr for StatusFilter {
    type Err = strum::ParseError;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        if code == CANCELLATION_REQUESTED {
            return Ok(Self::CancellationRequested);
        }
        code.parse().map(Self::Status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_filter_has_every_status_and_requests() {
        let all: Vec<&str> = StatusFilter::VARIANTS.iter().map(|filter| (*filter).into()).collect();
        let statuses: Vec<&str> = OrderStatus::VARIANTS.iter().map(|status| status.as_str()).collect();
        assert_eq!(all, [&statuses[..], &["cancellation_requested"]].concat());
        assert!(all.iter().zip(StatusFilter::VARIANTS).all(|(code, filter)| code.parse() == Ok(*filter)));
    }
}
