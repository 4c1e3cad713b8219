//! What was revoked at one issuer, as it is known now.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};

use super::named::{Member, Named};
use super::now::Now;
use crate::clock::Clock;
use crate::fetch::{BoxError, Document, DynFetch, Source, Terms};
use crate::resource_server::metadata::{Metadata, is_json};
use crate::revoked_list::{MOST_BYTES, RevokedList, Told};
use crate::types::{UnixTime, form_encode};

const FEED: Member =
    (|metadata| metadata.revocation_feed_endpoint.as_deref(), "the metadata have no revocation_feed_endpoint");

/// So long a list is good, and while no other can be had a minute in all. Who waits for one waits no longer than a list
/// is good.
const TERMS: Terms = Terms {
    fresh_at_least: FRESH,
    fresh_at_most: FRESH,
    fresh_unsaid: FRESH,
    stale_if_error: Duration::from_secs(55),
    cooldown: FRESH,
    back_off: Duration::from_secs(2),
    down_for: Duration::from_secs(60),
    longest: FRESH,
};
const FRESH: Duration = Duration::from_secs(5);

pub(super) struct Feed {
    lists: Named<Listed>,
    now: Arc<Now>,
}

/// A list, and which one after another it is: from 1 on, so that nothing was ever found to be good by none.
pub(super) struct Listed {
    pub(super) list: Arc<RevokedList>,
    pub(super) generation: u64,
}

/// The last list, and what it is called.
type Last = Mutex<Option<(String, Arc<RevokedList>)>>;

impl Feed {
    /// The feed that the metadata name, for the client that this `Authorization` header names.
    pub(super) fn new(
        metadata: Document<Metadata>,
        authorization: HeaderValue,
        fetch: Arc<dyn DynFetch>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (now, last) = (Arc::<Now>::default(), Arc::<Last>::default());
        let known = Arc::clone(&last);
        let ask = move |url: &str| {
            let last = known.lock().unwrap_or_else(PoisonError::into_inner);
            let form = last.as_ref().map(|(digest, _)| form_encode(&[("digest", digest)])).unwrap_or_default();
            Request::post(url)
                .header(header::AUTHORIZATION, &authorization)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::ACCEPT, "application/json")
                .body(form.into())
        };
        let seen = Arc::clone(&now);
        let read = move |_: &str, response: &Response<Bytes>| read(&last, &seen, response);
        let source = Source::new(fetch, clock, TERMS, read).asking(ask, MOST_BYTES);
        Self { lists: Named::new(metadata, FEED, source), now }
    }

    /// The generation of the list that is good now, if that was asked within this second.
    pub(super) fn generation(&self, now: UnixTime) -> Option<u64> {
        self.now.looked_at(now)
    }

    /// The list, if it is known to be good without a wait.
    pub(super) fn cached(&self, now: UnixTime) -> Option<Arc<Listed>> {
        self.lists.cached().inspect(|_| self.now.looked(now))
    }

    /// The list; waited for where there is none that is good.
    pub(super) async fn get(&self) -> Result<Arc<Listed>, BoxError> {
        self.lists.get().await
    }
}

fn read(last: &Last, now: &Now, response: &Response<Bytes>) -> Result<Listed, BoxError> {
    let told = Told::parse(response.body()).filter(|_| is_json(response.headers()));
    let Told { digest, list } = told.ok_or("the answer is no list of revocations")?;
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let known = last.take();
    let list = match (list, known) {
        (Some(list), Some((_, known))) if list == *known => known,
        (Some(list), _) => {
            now.replaced();
            Arc::new(list)
        }
        (None, Some((of, known))) if of == digest => known,
        // Another time it is asked for all of it.
        (None, _) => return Err("the answer is of a list that is not known here".into()),
    };
    *last = Some((digest, Arc::clone(&list)));
    Ok(Listed { list, generation: now.generation() })
}
