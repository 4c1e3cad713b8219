//! How often each exchange goes to the database and back, counted on the wire, and what `DESIGN.md` says of it.

use std::collections::BTreeMap;

use crate::Problem;
use crate::client::{Client, Tokens, Told};
use crate::database::Kind;
use crate::machine::Machine;
use crate::signer::Signer;
use crate::stand::Stand;

/// Until connections are open and statements known.
const WARM_UP: usize = 20;
/// Odd, so that there is a median.
const TIMES: usize = 9;

/// Where the table is.
const DESIGN: &str = include_str!("../../DESIGN.md");

/// Every exchange, in the order of the table.
const EXCHANGES: [&str; 17] = [
    "metadata",
    "metadata of a resource",
    "registration",
    "a pushed request",
    "authorization: the page",
    "authorization: the approval",
    "token: a code",
    "token: a refresh",
    "token: a refresh, repeated in time",
    "token: a refresh with a used token, which ends the grant",
    "token: client credentials, with a secret",
    "token: client credentials, with an assertion",
    "introspection",
    "API: a token for the first time",
    "API: the same token again",
    "revocation of a grant",
    "revocation of an access token",
];

/// Prints the table; whether the documentation has the same.
pub async fn run() -> Result<bool, Problem> {
    let mut columns = Vec::new();
    for kind in [Kind::Postgres, Kind::Redis] {
        let mut stand = Stand::proxied(kind).await?;
        let configured = Client::configured(&stand.door());
        columns.push(Counted::of(&mut stand, &configured, None).await?);
        let registered = Client::register(&stand.door()).await?;
        let machine = Machine::register(&stand.door()).await?;
        let signer = Signer::register(&stand.door(), stand.program.issuer()).await?;
        columns.push(Counted::of(&mut stand, &registered, Some((&machine, &signer))).await?);
    }
    let mut good = true;
    println!("| exchange | PostgreSQL | Redis | PostgreSQL, client in the store | Redis, client in the store |");
    println!("|---|---|---|---|---|");
    for exchange in EXCHANGES {
        let [postgres, postgres_kept, redis, redis_kept] = [0, 1, 2, 3].map(|column| columns[column].median(exchange));
        let row = format!("| {exchange} | {postgres} | {redis} | {postgres_kept} | {redis_kept} |");
        let is_known = DESIGN.lines().any(|line| line == row);
        println!("{row}{}", if is_known { "" } else { " <- not so in DESIGN.md" });
        good &= is_known;
    }
    Ok(good)
}

#[derive(Default)]
struct Counted(BTreeMap<&'static str, Vec<usize>>);

impl Counted {
    async fn of(stand: &mut Stand, client: &Client, machines: Option<(&Machine, &Signer)>) -> Result<Self, Problem> {
        let mut counted = Self::default();
        for time in 0..WARM_UP + TIMES {
            if time == WARM_UP {
                counted = Self::default();
            }
            counted.walk(stand, client).await?;
            if let Some((machine, signer)) = machines {
                counted.work(stand, machine, signer).await?;
            }
        }
        Ok(counted)
    }

    /// The middle one: a task in the background may add to one or two.
    fn median(&self, exchange: &str) -> String {
        let Some(mut counts) = self.0.get(exchange).cloned() else { return "-".to_owned() };
        counts.sort_unstable();
        counts[counts.len() / 2].to_string()
    }

    /// What clients do for which nobody is asked.
    async fn work(&mut self, stand: &Stand, machine: &Machine, signer: &Signer) -> Result<(), Problem> {
        let proxy = stand.database.proxy.as_ref().ok_or("there is no proxy")?;
        let mut count = |exchange| self.0.entry(exchange).or_default().push(proxy.trips());
        let assertion = signer.assertion()?;
        proxy.trips();
        good(signer.present(&assertion).await == Some(true))?;
        count("token: client credentials, with an assertion");
        let token = machine.token().await?;
        count("token: client credentials, with a secret");
        good(machine.introspect(&token).await?)?;
        count("introspection");
        Client::register(&stand.door()).await?;
        count("registration");
        Ok(())
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
        client.metadata_of_the_resource().await?;
        count("metadata of a resource");
        good(client.push().await)?;
        count("a pushed request");
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
