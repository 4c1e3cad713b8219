//! What becomes of clients where the database fails, and where it was set back.

mod disk;
mod set_back;

use std::time::Duration;

use tokio::time::Instant;

use crate::client::{Client, Code, Tokens, Told};
use crate::stand::Stand;
use crate::{Options, Problem};

/// A store that is down is said to be within this time.
const TIMEOUT: Duration = Duration::from_secs(10);

/// All that can be done to this database, each to a new one.
pub async fn run(stand: &mut Stand, options: &Options) -> Result<(), Problem> {
    disk::is_full(stand, options).await?;
    disk::is_read_only(stand, options).await?;
    set_back::run(stand, options).await
}

/// What clients have when something goes wrong, and have to have when it is over.
struct Belongings {
    client: Client,
    grants: Vec<Tokens>,
    revoked: Tokens,
    code: Code,
}

impl Belongings {
    async fn new(stand: &mut Stand) -> Result<Self, Problem> {
        let client = Client::register(&stand.door()).await?;
        let grants = stand.connect(&client, 4).await?;
        let revoked = stand.connect(&client, 1).await?.remove(0);
        if !client.revoke(&revoked.refresh).await {
            return Err("a revocation is not answered".into());
        }
        let code = client.ask(&mut stand.people[0]).await.ok_or("a person gets no answer")?;
        Ok(Self { client, grants, revoked, code })
    }

    /// While nothing can be written, everything that has to be is 503, and in time.
    async fn is_unavailable(&self, stand: &mut Stand) {
        let tally = &stand.tally;
        let before = tally.unknown();
        let start = Instant::now();
        let Tokens { refresh, .. } = &self.grants[0];
        for told in [self.client.refresh(refresh).await, self.client.redeem(&self.code).await] {
            tally.check(matches!(told, Told::Unknown), || format!("a request for tokens gets {told:?}"));
        }
        tally.check(!self.client.revoke(refresh).await, || "a revocation is answered that cannot be kept".to_owned());
        tally.check(Client::register(self.client.door()).await.is_err(), || "a client is registered".to_owned());
        tally.check(tally.unknown() == before + 4, || "not all of it is answered with 503".to_owned());
        let asked = self.client.ask(&mut stand.people[1]).await;
        tally.check(asked.is_none(), || "a code is given that is not kept".to_owned());
        tally.check(start.elapsed() < 5 * TIMEOUT, || format!("that takes {:?}", start.elapsed()));
    }

    /// Now everything is as it was before.
    async fn are_whole(&mut self, stand: &Stand) {
        let tally = &stand.tally;
        for grant in &mut self.grants {
            let good = self.client.call(&grant.access).await;
            tally.check(good == Some(true), || "an access token is lost".to_owned());
            match self.client.refresh(&grant.refresh).await {
                Told::Tokens(tokens) => *grant = tokens,
                told => tally.wrong(format!("a client is logged out: {told:?}")),
            }
        }
        let told = self.client.refresh(&self.revoked.refresh).await;
        tally.check(matches!(told, Told::Refused), || format!("a revoked grant gets {told:?}"));
        let told = self.client.redeem(&self.code).await;
        tally.check(matches!(told, Told::Tokens(_)), || format!("a code gets {told:?}"));
    }
}
