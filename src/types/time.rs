use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

/// How long an access token can live, wherever its lifetime is set.
pub(crate) const ACCESS_TOKEN_LIFE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);

/// A moment as stores keep it: whole seconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_oauth::UnixTime;
///
/// let time = UnixTime::from(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500));
/// assert_eq!(time.as_secs(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The last second of the year 9999: when a grant ends that has no maximum age.
    pub const FAR_FUTURE: Self = Self(253_402_300_799);

    /// A moment from seconds since the epoch.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// Seconds since the epoch, as databases count.
    pub(crate) fn as_signed(self) -> i64 {
        self.0.try_into().unwrap_or(i64::MAX)
    }

    /// This moment and `span` later, fractions of a second dropped; never beyond [`UnixTime::FAR_FUTURE`].
    pub(crate) fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_secs()).min(Self::FAR_FUTURE.0))
    }

    /// Seconds since `earlier`. A clock that stepped back counts as no time at all.
    pub(crate) const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<SystemTime> for UnixTime {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs()))
    }
}

impl From<UnixTime> for SystemTime {
    fn from(time: UnixTime) -> Self {
        Self::UNIX_EPOCH + Duration::from_secs(time.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_whole_seconds_on_both_sides() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(86_400_999);
        let kept = UnixTime::from(moment);
        assert_eq!(kept, UnixTime::from_secs(86_400));
        assert_eq!(SystemTime::from(kept), SystemTime::UNIX_EPOCH + Duration::from_secs(86_400));
        assert_eq!(UnixTime::from(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), UnixTime::from_secs(0));
    }

    #[test]
    fn later_ends_with_the_year_9999_and_earlier_is_no_time_at_all() {
        let (early, late) = (UnixTime::from_secs(10), UnixTime::from_secs(15));
        assert_eq!(early.plus(Duration::from_millis(5_999)), late);
        assert_eq!(late.plus(Duration::MAX), UnixTime::FAR_FUTURE);
        assert_eq!((late.since(early), early.since(late)), (5, 0));
    }
}
