//! How often others are asked for what a stranger names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::clock::Clock;

/// Of one host: 10 at once, and then one a second.
const OF_ONE_HOST: Rate = Rate { every: Duration::from_secs(1), at_once: 10 };
/// In all: 100 at once, and then 20 a second.
const IN_ALL: Rate = Rate { every: Duration::from_millis(50), at_once: 100 };

/// Lets so many pass at once, and then one every so often; each host by itself, and all of them together.
pub(crate) struct Pace {
    clock: Arc<dyn Clock>,
    turns: Mutex<Turns>,
}

#[derive(Default)]
struct Turns {
    all: Turn,
    /// Those that were asked of late: no more than pass in all in the time in which one of them is as if it had never been.
    hosts: HashMap<Box<str>, Turn>,
}

struct Rate {
    every: Duration,
    at_once: u32,
}

/// When all that was let through would be over, one after the other; since 1970.
#[derive(Clone, Copy, Default)]
struct Turn(Duration);

impl Pace {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, turns: Mutex::default() }
    }

    /// Whether this host may be asked now. Then that is counted.
    pub(crate) fn lets(&self, host: &str) -> bool {
        let now = self.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.hosts.retain(|_, turn| turn.0 > now);
        let own = turns.hosts.get(host).copied().unwrap_or_default();
        let (Some(own), Some(all)) = (own.next(now, &OF_ONE_HOST), turns.all.next(now, &IN_ALL)) else { return false };
        turns.all = all;
        turns.hosts.insert(host.into(), own);
        true
    }
}

impl Turn {
    /// What it becomes by one more, if that is let through.
    fn next(self, now: Duration, rate: &Rate) -> Option<Self> {
        let longest = rate.every * rate.at_once;
        // A clock that stepped back would have everybody wait for it.
        let over = if self.0 > now + longest { now } else { self.0.max(now) };
        let next = over + rate.every;
        (next <= now + longest).then_some(Self(next))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Clone, Default)]
    struct Millis(Arc<AtomicU64>);

    impl Millis {
        fn pass(&self, millis: u64) {
            self.0.fetch_add(millis, Ordering::SeqCst);
        }
    }

    impl Clock for Millis {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
                + Duration::from_secs(1_800_000_000)
                + Duration::from_millis(self.0.load(Ordering::SeqCst))
        }
    }

    fn pace() -> (Pace, Millis) {
        let clock = Millis::default();
        (Pace::new(Arc::new(clock.clone())), clock)
    }

    fn passes(pace: &Pace, host: &str, tries: usize) -> usize {
        (0..tries).filter(|_| pace.lets(host)).count()
    }

    #[test]
    fn a_host_is_asked_ten_times_at_once_and_then_once_a_second() {
        let (pace, clock) = pace();
        assert_eq!(passes(&pace, "a.example", 50), 10);
        for _ in 0..3 {
            clock.pass(999);
            assert_eq!(passes(&pace, "a.example", 5), 0);
            clock.pass(1);
            assert_eq!(passes(&pace, "a.example", 5), 1);
        }
        clock.pass(60_000);
        assert_eq!(passes(&pace, "a.example", 50), 10, "no more than ten, however long nobody came");
    }

    #[test]
    fn what_one_host_used_up_no_other_lacks_until_it_is_too_much_for_all() {
        let (pace, clock) = pace();
        let hosts: Vec<_> = (0..20).map(|host| format!("{host}.example")).collect();
        let all: usize = hosts.iter().map(|host| passes(&pace, host, 50)).sum();
        assert_eq!(all, 100);
        assert_eq!(passes(&pace, "other.example", 5), 0);
        clock.pass(50);
        assert_eq!(passes(&pace, "other.example", 5), 1);
    }

    #[test]
    fn what_is_kept_of_hosts_is_bounded_and_a_clock_that_steps_back_stops_nobody() {
        let (pace, clock) = pace();
        for host in 0..10_000 {
            pace.lets(&format!("{host}.example"));
            clock.pass(10);
        }
        assert!(pace.turns.lock().unwrap().hosts.len() <= 300);
        passes(&pace, "a.example", 50);
        clock.0.store(0, Ordering::SeqCst);
        assert!(pace.lets("a.example"));
    }
}
