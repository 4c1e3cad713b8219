//! For how long an answer is fresh ([RFC 9111 §4.2](https://www.rfc-editor.org/rfc/rfc9111#section-4.2)).

use std::time::Duration;

use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderMap, HeaderName};

use crate::types::UnixTime;

/// What the headers say; `None` if they say nothing. What cannot be read counts as stale, as the standard wants it.
pub(super) fn freshness(headers: &HeaderMap, now: UnixTime) -> Option<Duration> {
    let life = cache_control(headers).or_else(|| {
        let date = text(headers, DATE).and_then(http_date).unwrap_or(now);
        text(headers, EXPIRES).map(|expires| http_date(expires).map_or(0, |expires| expires.since(date)))
    })?;
    let age = text(headers, AGE).and_then(delta_seconds).unwrap_or(0);
    Some(Duration::from_secs(life.saturating_sub(age)))
}

/// The least that its directives allow, in seconds.
fn cache_control(headers: &HeaderMap) -> Option<u64> {
    let lines = headers.get_all(CACHE_CONTROL).iter().map(|line| line.to_str().unwrap_or("no-store"));
    lines.flat_map(|line| line.split(',')).filter_map(directive).min()
}

fn directive(text: &str) -> Option<u64> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let name = name.trim();
    if name.eq_ignore_ascii_case("max-age") {
        return Some(delta_seconds(value.trim().trim_matches('"')).unwrap_or(0));
    }
    let forbids = name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache");
    forbids.then_some(0)
}

/// Digits alone; what no number holds is the largest one ([RFC 9111 §1.2.2](https://www.rfc-editor.org/rfc/rfc9111#section-1.2.2)).
fn delta_seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// A date in the form that is sent ([RFC 9110 §5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7)),
/// `Sun, 06 Nov 1994 08:49:37 GMT`. Nobody has sent the two obsolete ones for decades.
fn http_date(text: &str) -> Option<UnixTime> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = text.strip_suffix(" GMT")?.split_once(", ")?.1.split([' ', ':']).collect();
    let [day, month, year, hour, minute, second] = parts[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let (day, year) = (number(day, 1..=31)?, number(year, 1970..=9999)?);
    // Years that begin in March, so that a leap day is the last of one.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let seconds = number(hour, 0..=23)? * 3_600 + number(minute, 0..=59)? * 60 + number(second, 0..=60)?;
    // 719,468 days from the first of March of the year 0 to 1970-01-01.
    Some(UnixTime::from_secs((days - 719_468) * 86_400 + seconds))
}

fn number(digits: &str, within: std::ops::RangeInclusive<u64>) -> Option<u64> {
    digits.parse().ok().filter(|number| within.contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(784_111_777);

    fn seconds(lines: &[(HeaderName, &'static str)]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value.parse().expect("a value"));
        }
        freshness(&headers, NOW).map(|life| life.as_secs())
    }

    /// RFC 9111 §1.2.2, §5.2.2, §5.1
    #[test]
    fn an_answer_is_fresh_for_the_least_that_cache_control_says_less_its_age() {
        for (line, life) in [
            ("max-age=60", Some(60)),
            ("public, MAX-AGE=\"60\", must-revalidate", Some(60)),
            ("max-age=60, max-age=10", Some(10)),
            ("max-age=60, no-store", Some(0)),
            ("No-Cache", Some(0)),
            ("max-age=soon", Some(0)),
            ("max-age=-1", Some(0)),
            ("max-age", Some(0)),
            ("max-age=+60", Some(0)),
            ("max-age=99999999999999999999999", Some(u64::MAX)),
            ("public", None),
            ("", None),
        ] {
            assert_eq!(seconds(&[(CACHE_CONTROL, line)]), life, "{line}");
        }
        assert_eq!(seconds(&[]), None);
        assert_eq!(seconds(&[(CACHE_CONTROL, "max-age=60"), (CACHE_CONTROL, "max-age=20")]), Some(20));
        assert_eq!(seconds(&[(CACHE_CONTROL, "max-age=60"), (AGE, "15")]), Some(45));
        assert_eq!(seconds(&[(CACHE_CONTROL, "max-age=60"), (AGE, "61")]), Some(0));
        assert_eq!(seconds(&[(CACHE_CONTROL, "max-age=60"), (AGE, "old")]), Some(60));
        assert_eq!(seconds(&[(CACHE_CONTROL, "max-age=60"), (AGE, "+15")]), Some(60));
        assert_eq!(seconds(&[(CACHE_CONTROL, "max-age=60"), (AGE, "99999999999999999999999")]), Some(0));
    }

    /// RFC 9111 §5.3
    #[test]
    fn without_cache_control_it_is_fresh_until_it_expires() {
        let expires = (EXPIRES, "Sun, 06 Nov 1994 08:50:37 GMT");
        assert_eq!(seconds(std::slice::from_ref(&expires)), Some(60));
        assert_eq!(seconds(&[expires.clone(), (DATE, "Sun, 06 Nov 1994 08:50:00 GMT")]), Some(37));
        assert_eq!(seconds(&[expires.clone(), (DATE, "never")]), Some(60));
        assert_eq!(seconds(&[expires.clone(), (AGE, "10")]), Some(50));
        assert_eq!(seconds(&[expires, (CACHE_CONTROL, "max-age=5")]), Some(5));
        for past in ["0", "-1", "", "Sun, 06 Nov 1994 08:49:36 GMT", "Sunday, 06-Nov-94 08:50:37 GMT"] {
            assert_eq!(seconds(&[(EXPIRES, past)]), Some(0), "{past}");
        }
    }

    #[test]
    fn a_date_is_the_second_it_names() {
        for (text, moment) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Tue, 29 Feb 2000 23:59:59 GMT", Some(951_868_799)),
            ("Wed, 01 Mar 2000 00:00:00 GMT", Some(951_868_800)),
            ("Mon, 01 Mar 2100 00:00:00 GMT", Some(4_107_542_400)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1969 08:49:37 GMT", None),
            ("Sun, 06 Nop 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun Nov  6 08:49:37 1994", None),
        ] {
            assert_eq!(http_date(text), moment.map(UnixTime::from_secs), "{text}");
        }
    }
}
