//! A store that is down, and keeps no secrets.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::sync::Arc;
use std::time::Duration;

use tower_oauth::grant::Revocation;
use tower_oauth::{
    Client, ClientId, ClientStore, Grant, GrantKey, GrantStore, Holder, Issuer, OnceKey, Redemption, RevocationReason,
    Rotation, UnixTime, Verdict,
};

#[derive(Clone, Copy)]
pub struct Down;

/// With a clock of its own, so far away.
#[derive(Clone, Copy)]
pub struct Apart(pub Duration);

const REFUSED: &str = "connection refused";

macro_rules! down {
    ($store:ty, $of:ident => $skew:expr) => {
        impl ClientStore for $store {
            type Error = &'static str;

            async fn client(&self, _: &Issuer, _: &ClientId) -> Result<Option<Client>, &'static str> {
                Err(REFUSED)
            }
        }

        impl GrantStore for $store {
            type Error = &'static str;

            async fn create(&self, _: Grant) -> Result<(), &'static str> {
                Err(REFUSED)
            }

            async fn find(&self, _: GrantKey) -> Result<Option<Arc<Grant>>, &'static str> {
                Err(REFUSED)
            }

            async fn redeem(&self, _: GrantKey, _: Redemption) -> Result<Verdict, &'static str> {
                Err(REFUSED)
            }

            async fn rotate(&self, _: GrantKey, _: Rotation) -> Result<Verdict, &'static str> {
                Err(REFUSED)
            }

            async fn revoke(&self, _: GrantKey, _: Revocation) -> Result<Verdict, &'static str> {
                Err(REFUSED)
            }

            async fn revoke_all(
                &self,
                _: &Issuer,
                _: &Holder,
                _: RevocationReason,
                _: UnixTime,
            ) -> Result<usize, &'static str> {
                Err(REFUSED)
            }

            async fn grants(&self, _: &Issuer, _: &Holder) -> Result<Vec<Arc<Grant>>, &'static str> {
                Err(REFUSED)
            }

            async fn once(&self, _: OnceKey, _: UnixTime, _: UnixTime) -> Result<bool, &'static str> {
                Err(REFUSED)
            }

            async fn sweep(&self, _: &Issuer, _: UnixTime, _: Duration) -> Result<usize, &'static str> {
                Err(REFUSED)
            }

            fn clock_skew(&self) -> Option<Duration> {
                let $of = self;
                $skew
            }
        }
    };
}

down!(Down, _down => None);
down!(Apart, apart => Some(apart.0));
