//! Formats times for people.

use time::macros::format_description;

use super::UnixSeconds;
use super::Zone;

/// `4 July 1996`.
pub fn format_date(at: UnixSeconds, zone: &Zone) -> String {
    zone.local(at)
        .format(format_description!("[day padding:none] [month repr:long] [year]"))
        .unwrap_or_else(|_| at.to_string())
}

/// `4 July 1996, 14:05`.
pub fn format_date_time(at: UnixSeconds, zone: &Zone) -> String {
    let format = format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute]");
    zone.local(at).format(format).unwrap_or_else(|_| at.to_string())
}

/// `in 30 seconds`, `in 5 minutes`, rounded up.
pub fn format_retry_after(seconds: i64) -> String {
    let format = |number: i64, unit: &str| match number {
        1 => format!("in 1 {unit}"),
        _ => format!("in {number} {unit}s"),
    };
    match seconds.max(1) {
        seconds @ ..120 => format(seconds, "second"),
        seconds @ ..7200 => format(rounded_up(seconds, 60), "minute"),
        seconds => format(rounded_up(seconds, 3600), "hour"),
    }
}

fn rounded_up(seconds: i64, unit: i64) -> i64 {
    (seconds + unit - 1) / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up() {
        let cases = [
            (0, "in 1 second"),
            (30, "in 30 seconds"),
            (121, "in 3 minutes"),
            (3600, "in 60 minutes"),
            (7201, "in 3 hours"),
        ];
        for (seconds, text) in cases {
            assert_eq!(format_retry_after(seconds), text);
        }
    }

    #[test]
    fn times_are_formatted_in_the_zone() {
        let at = UnixSeconds::new(836_481_900);
        let formatted = |name: &str| format_date_time(at, &Zone::parse(name).unwrap());
        assert_eq!(format_date(at, &Zone::utc()), "4 July 1996");
        assert_eq!(formatted("UTC"), "4 July 1996, 12:05");
        assert_eq!(formatted("Asia/Kolkata"), "4 July 1996, 17:35");
        assert_eq!(format_date(UnixSeconds::new(i64::MAX), &Zone::utc()), "31 December 9999");
    }
}
