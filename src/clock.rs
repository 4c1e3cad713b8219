//! The one place that asks what time it is.
//!
//! ```
//! use std::time::SystemTime;
//! use tower_oauth::{Clock, SystemClock};
//!
//! assert!(SystemClock.now() > SystemTime::UNIX_EPOCH);
//! ```

use std::fmt;
use std::time::SystemTime;

/// Tells the time to a provider. Every expiry is measured by it, so a test that sets the clock needs no sleep.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The time of the operating system.
#[derive(Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

impl fmt::Debug for SystemClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemClock")
    }
}
