//! What many wait for, and one does.

use tokio::sync::watch;

/// Something that is being found out, for all who wait for it: by a task of its own, so that nobody who goes away takes it
/// from the others. Needs a runtime of tokio.
#[derive(Clone)]
pub(crate) struct Flight<T>(watch::Receiver<Option<T>>);

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    pub(crate) fn take_off(work: impl Future<Output = T> + Send + 'static) -> Self {
        let (tell, told) = watch::channel(None);
        tokio::spawn(async move { tell.send_replace(Some(work.await)) });
        Self(told)
    }

    /// What was found out; `None` if it was broken off.
    pub(crate) async fn landed(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|found| found.clone())
    }
}

impl<T> Flight<T> {
    /// Whether anything can still be heard of it. Of one whose task is gone, with its runtime or by a panic, nothing will.
    pub(crate) fn is_under_way(&self) -> bool {
        self.0.has_changed().is_ok()
    }
}
