//! Times as programs write them: Shopify's, RFC 3339, without an offset, with names of months, and Excel's where day and month cannot be
//! confused.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use crate::domain::{UnixSeconds, Zone};

const EXPECTED: &str = "is not a time; write it like 2024-03-01 10:00:00 +0000";

const SERIAL: &str =
    "is a time as a spreadsheet program stores it; show the column as yyyy-mm-dd hh:mm:ss and save the file again";

/// # Errors
/// What is wrong with the value, and the valid form.
pub(super) fn parse(text: &str, zone: &Zone) -> Result<UnixSeconds, String> {
    let shopify = format_description!(
        "[year]-[month]-[day] [hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
    );
    if let Ok(time) = OffsetDateTime::parse(text, shopify).or_else(|_| OffsetDateTime::parse(text, &Rfc3339)) {
        return Ok(time.into());
    }
    if is_serial_number(text) {
        return Err(SERIAL.to_owned());
    }
    let (date, rest) = match named_date(text) {
        Some((date, rest)) => (date, rest),
        None => {
            let (date, rest) = split_date(text);
            let date = if is_iso(date) { iso_date(date) } else { excel_date(date)? };
            (date.ok_or(EXPECTED)?, rest)
        }
    };
    let (time, offset) = clock_and_offset(rest).ok_or(EXPECTED)?;
    let local = PrimitiveDateTime::new(date, time);
    Ok(offset.map_or_else(|| zone.moment_of(local), |offset| local.assume_offset(offset).into()))
}

/// The date, and the text after the space or `T` behind it.
fn split_date(text: &str) -> (&str, &str) {
    let (date, rest) = text.split_at(text.find([' ', 'T', '\u{a0}', '\u{202f}']).unwrap_or(text.len()));
    (date.trim_end_matches(','), rest.trim_start_matches([' ', 'T', '\u{a0}', '\u{202f}']))
}

/// Excel's days since 1900, of orders between 2000 and 2080: `45352.4166`.
fn is_serial_number(text: &str) -> bool {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b".,".contains(&byte));
    let days = text.split(['.', ',']).next().and_then(|days| days.parse::<u32>().ok());
    is_number && days.is_some_and(|days| (36_526..66_000).contains(&days))
}

/// The date in English with the month's name, `Fri, 01 Mar 2024`, `March 1st, 2024`, `01-Mar-24`, and the text behind it.
fn named_date(text: &str) -> Option<(Date, &str)> {
    let separators = [' ', ',', '-', '.', '/', '\u{a0}', '\u{202f}'];
    let mut rest = text;
    let mut next = || {
        rest = rest.trim_start_matches(separators);
        let (word, after) = rest.split_at(rest.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(rest.len()));
        rest = after;
        word
    };
    let mut first = next();
    if is_weekday(first) {
        first = next();
    }
    let (day, month, year) = match (first, next(), next()) {
        (day, month, year) if month_of(month).is_some() && !is_year(day) => (day, month, year),
        (year, month, day) if month_of(month).is_some() => (day, month, year),
        (month, day, year) => (day, month, year),
    };
    let day = day.trim_end_matches(char::is_alphabetic).parse().ok()?;
    let year = full_year(year.parse().ok()?)?;
    let date = Date::from_calendar_date(i32::from(year), month_of(month)?, day).ok()?;
    Some((date, rest.trim_start_matches([' ', ',', '\u{a0}', '\u{202f}']).trim_start_matches("at ")))
}

fn is_year(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// From three letters on.
fn is_start_of(text: &str, name: &str) -> bool {
    text.len() >= 3 && name.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
}

fn is_weekday(text: &str) -> bool {
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    days.into_iter().any(|day| is_start_of(text, day))
}

fn month_of(text: &str) -> Option<Month> {
    (1..=12_u8).filter_map(|number| Month::try_from(number).ok()).find(|month| is_start_of(text, &month.to_string()))
}

/// `24` is 2024.
fn full_year(year: u16) -> Option<u16> {
    match year {
        0..100 => Some(2000 + year),
        1000..10_000 => Some(year),
        _ => None,
    }
}

/// The year comes first.
fn is_iso(date: &str) -> bool {
    date.split(['-', '/', '.']).next().is_some_and(is_year)
}

/// `2024-03-01`, `2024/3/1`, `2024.03.01`.
fn iso_date(text: &str) -> Option<Date> {
    let [year, month, day] = numbers(text)?;
    Date::from_calendar_date(i32::from(year), month_number(month)?, u8::try_from(day).ok()?).ok()
}

fn month_number(number: u16) -> Option<Month> {
    Month::try_from(u8::try_from(number).ok()?).ok()
}

fn numbers(text: &str) -> Option<[u16; 3]> {
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let numbers: Option<Vec<u16>> =
        text.split(['-', '/', '.']).map(|part| Some(part).filter(|part| is_number(part))?.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// `3/25/2024`, `25.03.24`: a date that is another one when day and month are exchanged is an error.
fn excel_date(text: &str) -> Result<Option<Date>, String> {
    let Some([first, second, year]) = numbers(text) else { return Ok(None) };
    // 24-03-25 may begin with the year, too.
    let Some(year) = full_year(year).filter(|known| !text.contains('-') || *known == year) else { return Ok(None) };
    let date = |day: u16, month: u16| {
        Date::from_calendar_date(i32::from(year), month_number(month)?, u8::try_from(day).ok()?).ok()
    };
    match (date(first, second), date(second, first)) {
        (Some(one), Some(other)) if one != other => {
            let words = |date: Date| format!("{} {} {year}", date.day(), date.month());
            Err(format!("is {} or {}; write it like 2024-03-01 10:00:00 +0000", words(one), words(other)))
        }
        (one, other) => Ok(one.or(other)),
    }
}

/// `10:00`, `10:00:05.25`, `9:05 PM`, each with an offset or without; nothing is midnight.
fn clock_and_offset(text: &str) -> Option<(Time, Option<UtcOffset>)> {
    if text.is_empty() {
        return Some((Time::MIDNIGHT, None));
    }
    let end = text.find(|letter: char| !(letter.is_ascii_digit() || ":.".contains(letter))).unwrap_or(text.len());
    let (clock, rest) = (&text[..end], text[end..].trim());
    let half_of_day = ["AM", "PM", "A.M.", "P.M."]
        .into_iter()
        .find(|half| rest.get(..half.len()).is_some_and(|start| start.eq_ignore_ascii_case(half)));
    let (time, rest) = match half_of_day {
        Some(half) => (clock_of_12_hours(clock, half.starts_with('P'))?, rest[half.len()..].trim()),
        None => (clock_of_24_hours(clock)?, rest),
    };
    if rest.is_empty() { Some((time, None)) } else { Some((time, Some(parse_offset(rest)?))) }
}

fn clock_of_24_hours(text: &str) -> Option<Time> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    if text.ends_with('.') || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let numbers: Vec<u8> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match numbers[..] {
        [hour, minute] => Time::from_hms(hour, minute, 0).ok(),
        [hour, minute, second] => Time::from_hms(hour, minute, second).ok(),
        _ => None,
    }
}

fn clock_of_12_hours(text: &str, is_afternoon: bool) -> Option<Time> {
    let time = clock_of_24_hours(text)?;
    let hour = Some(time.hour()).filter(|hour| (1..=12).contains(hour))? % 12;
    time.replace_hour(if is_afternoon { hour + 12 } else { hour }).ok()
}

/// `UTC`, `Z`, `+0100`, `-05:30`, `+2`.
fn parse_offset(text: &str) -> Option<UtcOffset> {
    if ["UTC", "GMT", "Z"].iter().any(|utc| text.eq_ignore_ascii_case(utc)) {
        return Some(UtcOffset::UTC);
    }
    let text = text.trim_start_matches("UTC").trim_start_matches("GMT").trim();
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits = text[1..].replace(':', "");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = if digits.len() <= 2 { (digits.as_str(), "0") } else { digits.split_at(digits.len() - 2) };
    let (hours, minutes): (i8, i8) = (hours.parse().ok()?, minutes.parse().ok()?);
    (minutes < 60).then(|| UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Result<String, String> {
        parse(text, &Zone::parse("Europe/Berlin").unwrap()).map(|at| at.to_string())
    }

    #[test]
    fn time_has_an_offset_or_is_in_the_zone_of_the_shop() {
        for (text, expected) in [
            ("2024-03-01 10:00:00 +0100", "2024-03-01T09:00:00Z"),
            ("2024-03-01 10:00:00 +0530", "2024-03-01T04:30:00Z"),
            ("2024-03-01T10:00:00+01:00", "2024-03-01T09:00:00Z"),
            ("2024-03-01T09:00:00.123Z", "2024-03-01T09:00:00Z"),
            ("2024-03-01 10:00:00+01:00", "2024-03-01T09:00:00Z"),
            ("2024-03-01 10:00:00 UTC", "2024-03-01T10:00:00Z"),
            ("2024-03-01 10:00:00 GMT+2", "2024-03-01T08:00:00Z"),
            ("2024-03-01 10:00:00", "2024-03-01T09:00:00Z"),
            ("2024-07-01T10:00", "2024-07-01T08:00:00Z"),
            ("2024-03-01", "2024-02-29T23:00:00Z"),
            ("3/25/2024 9:05 PM", "2024-03-25T20:05:00Z"),
            ("25.03.2024 12:00", "2024-03-25T11:00:00Z"),
            ("25.03.24 12:00", "2024-03-25T11:00:00Z"),
            ("3/25/24 9:05 p.m.", "2024-03-25T20:05:00Z"),
            ("2024/03/01 10:00:00", "2024-03-01T09:00:00Z"),
            ("03/03/2024", "2024-03-02T23:00:00Z"),
            ("2024-3-1 9:05", "2024-03-01T08:05:00Z"),
            ("2024.03.01 10:00", "2024-03-01T09:00:00Z"),
            ("25-03-2024 10:00", "2024-03-25T09:00:00Z"),
            ("Mar 1, 2024 10:00 AM", "2024-03-01T09:00:00Z"),
            ("1 March 2024 10:00", "2024-03-01T09:00:00Z"),
            ("MARCH 1st, 2024 at 10:00", "2024-03-01T09:00:00Z"),
            ("01-Mar-24", "2024-02-29T23:00:00Z"),
            ("2024-Mar-01 10:00", "2024-03-01T09:00:00Z"),
            ("Fri, 01 Mar 2024 10:00:00 +0000", "2024-03-01T10:00:00Z"),
            ("Friday, 1 March 2024 10:00:00 GMT", "2024-03-01T10:00:00Z"),
            ("1. Sept 2024", "2024-08-31T22:00:00Z"),
            ("3/25/2024 12:30:15 AM", "2024-03-24T23:30:15Z"),
        ] {
            assert_eq!(utc(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn date_with_two_readings_is_rejected_with_both() {
        for text in ["3/1/2024 10:00", "03.01.2024", "3/1/24"] {
            let problem = utc(text).unwrap_err();
            assert!(problem.contains("3 January 2024") && problem.contains("1 March 2024"), "{problem}");
        }
    }

    #[test]
    fn serial_number_of_a_spreadsheet_program_is_named() {
        for text in ["45352", "45352.4166666667", "45352,4166"] {
            assert!(utc(text).unwrap_err().contains("as a spreadsheet program stores it"), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_time() {
        for text in [
            "",
            "yesterday",
            "2024-02-30 10:00:00 +0000",
            "2024-03-01 25:00",
            "2024-03-01 10",
            "2024-03-01 10:00:00 +9999",
            "2024-03-01 10:00:00 CET",
            "13/13/2024",
            "2024/30/01",
            "45352.5",
            "3/25/124",
            "1/2/3/2024",
            "2024-03-01 13:00 PM",
            "2024-03-01 0:30 AM",
            "2024-03-01 10:00:00 +",
            "2024-03-01 10:00:00 +1é",
            "２０２４-03-01",
            "10:00",
            "25-03-24",
            "32 Mar 2024",
            "Mar 2024",
            "1 Ma 2024",
            "1 March 124",
            "Friday",
            "March",
            "1 March 2024 10",
            "2024-+3-1",
        ] {
            assert!(utc(text).is_err(), "{text}: {:?}", utc(text));
        }
    }
}
