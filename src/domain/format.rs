//! Times in words.

use time::macros::format_description;

use super::UnixSeconds;
use super::Zone;

/// `4 July 1996`.
pub fn day(at: UnixSeconds, zone: &Zone) -> String {
    zone.local(at)
        .format(format_description!("[day padding:none] [month repr:long] [year]"))
        .unwrap_or_else(|_| at.to_string())
}

/// `4 July 1996, 14:05`.
pub fn moment(at: UnixSeconds, zone: &Zone) -> String {
    let format = format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute]");
    zone.local(at).format(format).unwrap_or_else(|_| at.to_string())
}

/// `in 30 seconds`, `in 5 minutes`: never sooner than is meant.
pub fn wait_in_words(seconds: i64) -> String {
    let said = |number: i64, one: &str| match number {
        1 => format!("in 1 {one}"),
        _ => format!("in {number} {one}s"),
    };
    match seconds.max(1) {
        seconds @ ..120 => said(seconds, "second"),
        seconds @ ..7200 => said(rounded_up(seconds, 60), "minute"),
        seconds => said(rounded_up(seconds, 3600), "hour"),
    }
}

fn rounded_up(seconds: i64, unit: i64) -> i64 {
    (seconds + unit - 1) / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_said_to_be_shorter_than_it_is() {
        let said = [
            (0, "in 1 second"),
            (30, "in 30 seconds"),
            (121, "in 3 minutes"),
            (3600, "in 60 minutes"),
            (7201, "in 3 hours"),
        ];
        for (seconds, words) in said {
            assert_eq!(wait_in_words(seconds), words);
        }
    }

    #[test]
    fn times_read_like_a_letter() {
        let at = UnixSeconds::new(836_481_900);
        let said = |name: &str| moment(at, &Zone::parse(name).unwrap());
        assert_eq!(day(at, &Zone::utc()), "4 July 1996");
        assert_eq!(said("UTC"), "4 July 1996, 12:05");
        assert_eq!(said("Asia/Kolkata"), "4 July 1996, 17:35");
        assert_eq!(day(UnixSeconds::new(i64::MAX), &Zone::utc()), "31 December 9999");
    }
}
