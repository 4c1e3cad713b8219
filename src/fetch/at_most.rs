//! So many fetches at once, so many of them from one host, and the others wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{BoxError, DynFetch, Fetch};

/// How many are fetched from one host.
const FROM_ONE_HOST: usize = 4;
/// How long a fetch keeps others waiting. What takes longer goes on among those that do, or not at all.
const PROMPT: Duration = Duration::from_secs(1);

/// A client that is asked for so much at once and no more. What waits here waits within the time that a fetch may take.
///
/// Strangers say what is fetched, and may say it of servers that hold every answer back. So nobody waits for a slow server
/// but who asks for the same host: a fetch has a turn for [`PROMPT`], and then a place among the slow ones. Where there is
/// none, it is given up.
pub(crate) struct AtMost {
    turns: Semaphore,
    slow: Semaphore,
    hosts: Mutex<HashMap<Box<str>, Weak<Semaphore>>>,
    fetch: Arc<dyn DynFetch>,
}

impl AtMost {
    /// `fetches` at once, and as many slow ones beside them.
    pub(crate) fn new(fetches: usize, fetch: Arc<dyn DynFetch>) -> Self {
        let (turns, slow) = (Semaphore::new(fetches), Semaphore::new(fetches));
        Self { turns, slow, hosts: Mutex::default(), fetch }
    }

    /// Where those wait who ask for one host.
    fn line(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|_, line| line.strong_count() > 0);
        hosts.get(host).and_then(Weak::upgrade).unwrap_or_else(|| {
            let line = Arc::new(Semaphore::new(FROM_ONE_HOST));
            hosts.insert(host.into(), Arc::downgrade(&line));
            line
        })
    }
}

impl Fetch for AtMost {
    type Error = BoxError;

    async fn fetch(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        let line = self.line(request.uri().host().unwrap_or_default());
        // First, so that nobody has a turn who cannot use it.
        let _place = line.acquire().await?;
        let turn = self.turns.acquire().await?;
        let mut answer = self.fetch.fetch(request);
        if let Ok(prompt) = timeout(PROMPT, &mut answer).await {
            return prompt;
        }
        let _slow = self.slow.try_acquire().map_err(|_| "its server is slow, and so are too many others")?;
        drop(turn);
        answer.await
    }
}
