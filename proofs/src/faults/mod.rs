//! What becomes of clients where the database fails, and where it was set back.

mod disk;
mod lost;
mod set_back;
mod silence;

use std::time::Duration;

use tokio::time::Instant;

use crate::client::{Client, Code, Tokens, Told};
use crate::database::Server;
use crate::stand::Stand;
use crate::{Options, Problem};

/// A store that is down is said to be within this time.
const TIMEOUT: Duration = Duration::from_secs(10);

/// All that can be done to this database.
pub async fn run(stand: &mut Stand, options: &Options) -> Result<(), Problem> {
    if stand.database.server().is_some() {
        lost::run(stand, options).await?;
        silence::run(stand, options).await?;
        disk::of_the_server_is_full(stand).await?;
    } else {
        disk::is_full(stand, options).await?;
        disk::is_read_only(stand, options).await?;
    }
    set_back::run(stand, options).await
}

fn server(stand: &mut Stand) -> Result<&mut dyn Server, Problem> {
    stand.database.server().ok_or_else(|| "it has no server".into())
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

    /// While nothing can be written, everything that has to be is 503, and in time. All at once, so that the grace of a
    /// refresh is not over by then.
    async fn is_unavailable(&self, stand: &mut Stand) {
        let tally = &stand.tally;
        let before = tally.unavailable_so_far();
        let start = Instant::now();
        let (refreshed, redeemed, revoked, registered, asked) = tokio::join!(
            self.client.refresh(&self.grants[0].refresh),
            self.client.redeem(&self.code),
            self.client.revoke(&self.grants[1].refresh),
            Client::register(self.client.door()),
            self.client.ask(&mut stand.people[1]),
        );
        for told in [refreshed, redeemed] {
            tally.check(matches!(told, Told::Unknown), || format!("a request for tokens gets {told:?}"));
        }
        tally.check(!revoked, || "a revocation is answered that cannot be kept".to_owned());
        tally.check(registered.is_err(), || "a client is registered that cannot be kept".to_owned());
        tally.check(asked.is_none(), || "a code is given that is not kept".to_owned());
        let unavailable = tally.unavailable_so_far() - before;
        tally.check(unavailable >= 4, || format!("only {unavailable} of 4 are answered with 503"));
        let took = start.elapsed();
        tally.check(took < TIMEOUT, || format!("that takes {took:?}"));
    }

    /// Now everything is as it was before. What was sent to a server that was silent may have been done since.
    async fn are_whole(&mut self, stand: &Stand, done_since: bool) {
        let tally = &stand.tally;
        tally.check(self.client.revoke(&self.grants[1].refresh).await, || "a revocation is not answered".to_owned());
        let revoked = self.grants.remove(1);
        for grant in &mut self.grants {
            match self.client.refresh(&grant.refresh).await {
                Told::Tokens(tokens) => *grant = tokens,
                told => tally.wrong(format!("a client is logged out: {told:?}")),
            }
            let good = self.client.call(&grant.access).await;
            tally.check(good == Some(true), || "an access token is lost".to_owned());
        }
        for ended in [&revoked, &self.revoked] {
            let told = self.client.refresh(&ended.refresh).await;
            tally.check(matches!(told, Told::Refused), || format!("a revoked grant gets {told:?}"));
            let good = self.client.call(&ended.access).await;
            tally.check(good == Some(false), || "the access token of a revoked grant is alive".to_owned());
        }
        match self.client.redeem(&self.code).await {
            Told::Tokens(_) => {}
            Told::Refused if done_since => {}
            told => tally.wrong(format!("a code gets {told:?}")),
        }
    }
}
