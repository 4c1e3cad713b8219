//! What a node knows of the revocations of others.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::{GrantCache, Which};
use crate::handle::GrantKey;
use crate::store::database::DatabaseError;

/// A connection on which a store tells of revocations.
pub(in crate::store) trait Feed: Send {
    /// The next that is told: the number of the revocation and the keys of its grants, or no key where there are too many
    /// to name, with a space between each. Whoever drops this future loses nothing that is told.
    fn told(&mut self) -> impl Future<Output = Result<String, DatabaseError>> + Send;

    /// The number of the last revocation, or of the last one of each lane: see [`Listener`].
    fn numbers(&mut self) -> impl Future<Output = Result<Vec<u64>, DatabaseError>> + Send;
}

/// Follows the revocations of one store until it is dropped.
///
/// The store counts them, and tells each with its number; and it is asked for the number now and then. So what was not
/// told is missed when the next one is told or at the next question, whichever is first, and then everything is
/// forgotten. A store may count in several lanes, each for its share of the keys, by their first byte.
pub(in crate::store) struct Following(Option<JoinHandle<()>>);

impl Following {
    /// Where the cache is off there is nothing to follow.
    pub(in crate::store) fn start<F, C>(
        cache: &Arc<GrantCache>,
        connect: impl Fn() -> C + Send + Sync + 'static,
    ) -> Self
    where
        F: Feed,
        C: Future<Output = Result<F, DatabaseError>> + Send,
    {
        let Some(pace) = cache.pace() else { return Self(None) };
        let cache = Arc::clone(cache);
        Self(Some(tokio::spawn(async move {
            let mut listener = Listener::default();
            loop {
                // Whatever is wrong: without answers the cache is out of contact, and every check asks the store.
                let _ = listen(&cache, &mut listener, pace, &connect).await;
                tokio::time::sleep(pace / 4).await;
            }
        })))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Ends with an error, some day.
async fn listen<F, C>(
    cache: &GrantCache,
    listener: &mut Listener,
    pace: Duration,
    connect: impl Fn() -> C,
) -> Result<(), DatabaseError>
where
    F: Feed,
    C: Future<Output = Result<F, DatabaseError>>,
{
    // A connection that fell silent is not waited for any longer than what is kept is believed.
    let late = |_| DatabaseError::refused("no answer");
    let mut feed = timeout(cache.lifetime, connect()).await.map_err(late)??;
    listener.reconnected();
    let mut next = Instant::now();
    loop {
        if Instant::now() >= next {
            next = Instant::now() + pace;
            let question = listener.asking();
            let numbers = timeout(cache.lifetime, feed.numbers()).await.map_err(late)??;
            // What came before the answer is behind it in no queue.
            while let Ok(told) = timeout(Duration::ZERO, feed.told()).await {
                listener.told(cache, &told?);
            }
            listener.answered(cache, &question, numbers);
        }
        if let Ok(told) = timeout_at(next, feed.told()).await {
            listener.told(cache, &told?);
        }
    }
}

#[derive(Default)]
pub(super) struct Listener {
    /// Of each lane, everything up to this number was heard of; empty before the first question.
    heard: Vec<u64>,
}

/// A question that was asked at its time.
pub(super) struct Question {
    at: Instant,
    heard: Vec<u64>,
}

impl Listener {
    pub(super) fn told(&mut self, cache: &GrantCache, message: &str) {
        let mut words = message.split(' ');
        let number = words.next().and_then(|number| number.parse().ok());
        let keys = words.map(|key| key.parse().ok()).collect::<Option<Vec<GrantKey>>>();
        let (Some(number), Some(keys)) = (number, keys) else { return cache.forget(Which::All) };
        keys.iter().for_each(|key| cache.forget(Which::One(*key)));
        let first = keys.first().map_or(0, |key| usize::from(key.as_bytes()[0]));
        let lane = first * self.heard.len() / 256;
        let heard = self.heard.get_mut(lane).filter(|heard| **heard < number);
        let missed = heard.is_some_and(|heard| std::mem::replace(heard, number) + 1 < number);
        if keys.is_empty() || missed {
            cache.forget(Which::All);
        }
    }

    /// Revocations may have been told while nobody listened.
    pub(super) fn reconnected(&mut self) {
        self.heard.clear();
    }

    /// Call it before the numbers are asked for.
    pub(super) fn asking(&self) -> Question {
        Question { at: Instant::now(), heard: self.heard.clone() }
    }

    pub(super) fn answered(&mut self, cache: &GrantCache, question: &Question, numbers: Vec<u64>) {
        // While the answer was on its way, later ones may have been told.
        let as_heard = |((then, now), number): ((&u64, &u64), &u64)| then <= number && number <= now;
        let complete =
            question.heard.len() == numbers.len() && question.heard.iter().zip(&self.heard).zip(&numbers).all(as_heard);
        if !complete {
            cache.forget(Which::All);
            self.heard = numbers;
        }
        cache.heard(question.at);
    }
}
