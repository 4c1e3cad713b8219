use std::error::Error;
use std::fmt;
use std::future::Ready;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Extensions;
use pin_project_lite::pin_project;

use super::authorized::Authorized;
use crate::error::StoreError;

mod sealed {
    pub trait Sealed {}
}

/// What a resolver of users answers: `Option<User>`, or `Result<Option<User>, E>`. A user who is gone (`None`) is a 401;
/// a database that is down (`Err`) is a 503.
#[diagnostic::on_unimplemented(
    message = "a resolver of users cannot answer `{Self}`",
    note = "answer `Option<User>`, or `Result<Option<User>, E>` where looking can fail",
    note = "`User` is `Clone + Send + Sync + 'static`",
    note = "`E` is an error, such as `sqlx::Error`"
)]
pub trait UserAnswer {
    /// The app's own type of user.
    type User: Clone + Send + Sync + 'static;

    #[doc(hidden)]
    fn answer(self) -> Result<Option<Self::User>, StoreError>;
}

impl<U: Clone + Send + Sync + 'static> UserAnswer for Option<U> {
    type User = U;

    fn answer(self) -> Result<Option<U>, StoreError> {
        Ok(self)
    }
}

impl<U, E> UserAnswer for Result<Option<U>, E>
where
    U: Clone + Send + Sync + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type User = U;

    fn answer(self) -> Result<Option<U>, StoreError> {
        self.map_err(StoreError::new)
    }
}

/// Finds the user of a token; made by [`BearerLayer::user`](crate::BearerLayer::user).
pub trait ResolveUser: sealed::Sealed + Clone + Send + Sync + 'static {
    /// The app's own type of user.
    type User: Clone + Send + Sync + 'static;

    #[doc(hidden)]
    type Future: Future<Output = Result<Option<Self::User>, StoreError>> + Send;

    /// `None`: nobody asks for a user.
    #[doc(hidden)]
    fn resolve(&self, token: &Authorized) -> Result<Option<Self::Future>, NoSubject>;

    /// Takes away what was there before, so that nobody else's user stays.
    #[doc(hidden)]
    fn clear(extensions: &mut Extensions);
}

/// The token of a client that acts for itself came where a user is asked for.
#[derive(Debug)]
pub struct NoSubject;

/// No user is looked for.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoUser;

impl sealed::Sealed for NoUser {}

impl ResolveUser for NoUser {
    type User = ();
    type Future = Ready<Result<Option<()>, StoreError>>;

    fn resolve(&self, _: &Authorized) -> Result<Option<Self::Future>, NoSubject> {
        Ok(None)
    }

    fn clear(_: &mut Extensions) {}
}

/// A closure or an async function over the token.
pub(super) struct Find<F, Fut> {
    find: F,
    answer: PhantomData<fn() -> Fut>,
}

impl<F, Fut> Find<F, Fut> {
    pub(super) const fn new(find: F) -> Self {
        Self { find, answer: PhantomData }
    }
}

impl<F: Clone, Fut> Clone for Find<F, Fut> {
    fn clone(&self) -> Self {
        Self::new(self.find.clone())
    }
}

impl<F, Fut> fmt::Debug for Find<F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Find")
    }
}

impl<F, Fut> sealed::Sealed for Find<F, Fut> {}

impl<F, Fut> ResolveUser for Find<F, Fut>
where
    F: Fn(Authorized) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: UserAnswer,
{
    type User = <Fut::Output as UserAnswer>::User;
    type Future = Answering<Fut>;

    fn resolve(&self, token: &Authorized) -> Result<Option<Self::Future>, NoSubject> {
        // A client id that is equal to a user's must not become that user (RFC 9700 §4.15).
        token.user_subject().ok_or(NoSubject)?;
        Ok(Some(Answering { answer: (self.find)(token.clone()) }))
    }

    fn clear(extensions: &mut Extensions) {
        extensions.remove::<Self::User>();
    }
}

pin_project! {
    #[derive(Debug)]
    pub struct Answering<Fut> {
        #[pin]
        answer: Fut,
    }
}

impl<Fut: Future> Future for Answering<Fut>
where
    Fut::Output: UserAnswer,
{
    type Output = Result<Option<<Fut::Output as UserAnswer>::User>, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().answer.poll(cx).map(UserAnswer::answer)
    }
}
