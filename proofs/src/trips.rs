//! How often each exchange goes to the database and back, counted on the wire.

use std::collections::BTreeMap;

use crate::Problem;
use crate::client::{Client, Tokens, Told};
use crate::database::Kind;
use crate::stand::Stand;

/// Until connections are open and statements known.
const WARM_UP: usize = 20;
/// Odd, so that there is a median.
const TIMES: usize = 9;

/// Every exchange, in the order of the table.
const EXCHANGES: [&str; 11] = [
    "metadata",
    "authorization: the page",
    "authorization: the approval",
    "token: a code",
    "token: a refresh",
    "token: a refresh, repeated in time",
    "token: a refresh with a used token, which ends the grant",
    "API: a token for the first time",
    "API: the same token again",
    "revocation of a grant",
    "revocation of an access token",
];

/// Prints a table for the documentation.
pub async fn run() -> Result<(), Problem> {
    let mut columns = Vec::new();
    for kind in [Kind::Postgres, Kind::Redis] {
        let mut stand = Stand::proxied(kind).await?;
        let configured = Client::configured(&stand.door());
        let registered = Client::register(&stand.door()).await?;
        for client in [configured, registered] {
            columns.push(Counted::of(&mut stand, &client).await?);
        }
    }
    println!("| exchange | PostgreSQL | Redis | PostgreSQL, client in the store | Redis, client in the store |");
    println!("|---|---|---|---|---|");
    for exchange in EXCHANGES {
        let [postgres, postgres_kept, redis, redis_kept] = [0, 1, 2, 3].map(|column| columns[column].median(exchange));
        println!("| {exchange} | {postgres} | {redis} | {postgres_kept} | {redis_kept} |");
    }
    Ok(())
}

#[derive(Default)]
struct Counted(BTreeMap<&'static str, Vec<usize>>);

impl Counted {
    async fn of(stand: &mut Stand, client: &Client) -> Result<Self, Problem> {
        for _ in 0..WARM_UP {
            Self::default().walk(stand, client).await?;
        }
        let mut counted = Self::default();
        for _ in 0..TIMES {
            counted.walk(stand, client).await?;
        }
        Ok(counted)
    }

    /// The middle one: a task in the background may add to one or two.
    fn median(&self, exchange: &str) -> usize {
        let mut counts = self.0[exchange].clone();
        counts.sort_unstable();
        counts[counts.len() / 2]
    }

    /// Each exchange once, one after the other.
    async fn walk(&mut self, stand: &mut Stand, client: &Client) -> Result<(), Problem> {
        let proxy = stand.database.proxy.as_ref().ok_or("there is no proxy")?;
        let person = &mut stand.people[0];
        // Logged in.
        client.ask(person).await.ok_or("a person gets no answer")?;
        let mut count = |exchange| self.0.entry(exchange).or_default().push(proxy.trips());
        proxy.trips();
        client.metadata().await?;
        count("metadata");
        let request = client.request();
        let page = person.look(client.door(), &request.path).await.ok_or("there is no page")?;
        count("authorization: the page");
        let answer = person.decide(client.door(), &request.path, &page).await.ok_or("there is no answer")?;
        count("authorization: the approval");
        let code = request.code(&answer).ok_or("there is no code")?;
        let first = tokens(client.redeem(&code).await)?;
        count("token: a code");
        let second = tokens(client.refresh(&first.refresh).await)?;
        count("token: a refresh");
        let again = tokens(client.refresh(&first.refresh).await)?;
        count("token: a refresh, repeated in time");
        good(again.refresh == second.refresh)?;
        good(client.call(&again.access).await == Some(true))?;
        count("API: a token for the first time");
        good(client.call(&again.access).await == Some(true))?;
        count("API: the same token again");
        good(client.revoke(&again.access).await)?;
        count("revocation of an access token");
        tokens(client.refresh(&second.refresh).await)?;
        proxy.trips();
        good(matches!(client.refresh(&first.refresh).await, Told::Refused))?;
        count("token: a refresh with a used token, which ends the grant");
        let other = client.connect(person).await?;
        proxy.trips();
        good(client.revoke(&other.refresh).await)?;
        count("revocation of a grant");
        Ok(())
    }
}

fn tokens(told: Told) -> Result<Tokens, Problem> {
    told.tokens().cloned().ok_or_else(|| format!("a client gets {told:?}").into())
}

fn good(answer: bool) -> Result<(), Problem> {
    if answer { Ok(()) } else { Err("an exchange is not answered as it has to be".into()) }
}
