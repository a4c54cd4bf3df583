//! Values without I/O that all features share. A value that exists is valid: an address, an amount in one currency, an id, a time.

mod currency;
mod email;
mod format;
mod ids;
mod money;
mod time;
mod zone;

pub use currency::Currency;
pub use email::{Email, EmailError, quote_local_part};
pub use format::{format_date, format_date_time, format_retry_after};
pub use ids::{SessionId, UserId};
pub use money::{Money, MoneyError, ParsedMoney, format_count};
pub use time::{UnixSeconds, days, whole_seconds};
pub use zone::{Zone, next_month};
