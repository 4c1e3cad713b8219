use std::ops::RangeInclusive;
use std::time::Duration;

/// Whether clients can or have to push their authorization requests, and how long what they push is good.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PushedRequests {
    pub(crate) on: bool,
    pub(crate) required: bool,
    /// `None`: as long as it is by default.
    pub(crate) lifetime: Option<Duration>,
}

impl PushedRequests {
    /// What RFC 9126 §2.2 has in mind.
    pub(crate) const LIFETIMES: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(10 * 60);

    /// As long as a user may take, and less than the 10 minutes below which FAPI 2.0 stays.
    pub(crate) fn lifetime(self) -> Duration {
        self.lifetime.unwrap_or(Duration::from_secs(9 * 60))
    }
}
