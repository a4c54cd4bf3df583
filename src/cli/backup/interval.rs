//! The interval of scheduled backups: `30m`, `6h`, `1d`.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval(Duration);

impl Interval {
    /// # Errors
    /// What is accepted.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const TAKES: &str = "use a number and a unit, such as 30m, 6h or 1d (s, m, h, d), at most 365d";
        const LONGEST: u64 = 365 * 86_400;
        let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
        let unit = units.into_iter().find_map(|(name, seconds)| Some((text.strip_suffix(name)?, seconds)));
        let (number, seconds) = unit.ok_or(TAKES)?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = number.parse().ok().filter(|_| is_number).ok_or(TAKES)?;
        let seconds = number.checked_mul(seconds).filter(|seconds| (1..=LONGEST).contains(seconds)).ok_or(TAKES)?;
        Ok(Self(Duration::from_secs(seconds)))
    }

    pub fn duration(self) -> Duration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_is_a_number_with_a_unit() {
        let seconds = |text: &str| Interval::parse(text).unwrap().duration().as_secs();
        assert_eq!(["5s", "30m", "6h", "1d", "365d"].map(seconds), [5, 1800, 21_600, 86_400, 31_536_000]);
        for text in ["", "6", "h", "0h", "-1h", "+1h", "1.5h", "6 h", "6H", "1w", "366d", "99999999999999999999d"] {
            assert!(Interval::parse(text).is_err(), "{text}");
        }
    }
}
