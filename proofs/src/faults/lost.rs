//! Answers of the database that are lost on the wire, after it has done what it was asked.

use crate::client::{Client, Told};
use crate::proxy::Proxy;
use crate::stand::Stand;
use crate::storm::storm;
use crate::{Options, Problem};

/// No exchange waits for more answers of its database.
const ANSWERS: i64 = 6;
/// So many at once under load.
const AT_ONCE: i64 = 3;

/// The store's repetition knows what it did before; where it gives up, the client's does.
pub(super) async fn run(stand: &mut Stand, options: &Options) -> Result<(), Problem> {
    stand.say("answers lost after the commit");
    let client = Client::register(&stand.door()).await?;
    let mut lost = Lost::default();
    for number in 1..=ANSWERS {
        refresh(stand, &client, number, &mut lost).await?;
        redeem(stand, &client, number, &mut lost).await?;
        revoke(stand, &client, number, &mut lost).await?;
    }
    stand.say(format_args!(
        "{} exchanges lost an answer of the database, and {} of them were answered",
        lost.total, lost.answered
    ));
    stand.tally.check(lost.total > 0, || "no answer was lost: nothing is shown".to_owned());
    stand.tally.check(lost.answered > 0, || "the store never repeats a step".to_owned());
    storm(stand, options, options.choose(4, 100), async |stand, _| {
        proxy(stand)?.lose(AT_ONCE);
        Ok(())
    })
    .await
}

#[derive(Default)]
struct Lost {
    total: usize,
    answered: usize,
}

impl Lost {
    fn add(&mut self, stand: &Stand, answered: bool) -> Result<(), Problem> {
        if proxy(stand)?.lost() {
            stand.tally.fault();
            self.total += 1;
            self.answered += usize::from(answered);
        }
        Ok(())
    }
}

fn proxy(stand: &Stand) -> Result<&Proxy, Problem> {
    stand.database.proxy.as_ref().ok_or_else(|| "there is no proxy".into())
}

/// One generation step, whoever repeats it.
async fn refresh(stand: &mut Stand, client: &Client, number: i64, lost: &mut Lost) -> Result<(), Problem> {
    let token = stand.connect(client, 1).await?.remove(0).refresh;
    proxy(stand)?.lose(number);
    let first = client.refresh(&token).await;
    lost.add(stand, first.tokens().is_some())?;
    let again = client.refresh(&token).await;
    let tally = &stand.tally;
    let Some(successor) = again.tokens().map(|tokens| &tokens.refresh) else {
        tally.wrong(format!("a refresh whose answer was lost gets {again:?} when it is repeated"));
        return Ok(());
    };
    if let Some(tokens) = first.tokens() {
        tally.check(tokens.refresh == *successor, || "there are two successors".to_owned());
    }
    let on = client.refresh(successor).await;
    tally
        .check(on.tokens().is_some_and(|tokens| tokens.refresh != *successor), || format!("the successor gets {on:?}"));
    Ok(())
}

/// Once; and who hears nothing of it starts again.
async fn redeem(stand: &mut Stand, client: &Client, number: i64, lost: &mut Lost) -> Result<(), Problem> {
    let code = client.ask(&mut stand.people[0]).await.ok_or("a person gets no answer")?;
    proxy(stand)?.lose(number);
    let first = client.redeem(&code).await;
    lost.add(stand, first.tokens().is_some())?;
    let again = client.redeem(&code).await;
    let good = match (&first, &again) {
        (Told::Tokens(_), Told::Refused) => true,
        // The answer that was lost said that nothing was done, or that it was.
        (Told::Unknown, Told::Tokens(_) | Told::Refused) => true,
        _ => false,
    };
    stand.tally.check(good, || format!("a code gets {first:?}, and then {again:?}"));
    if let Some(tokens) = first.tokens().or(again.tokens()) {
        let told = client.refresh(&tokens.refresh).await;
        stand.tally.check(told.tokens().is_some(), || format!("the refresh token of a code gets {told:?}"));
    }
    stand.connect(client, 1).await.map(drop)
}

async fn revoke(stand: &mut Stand, client: &Client, number: i64, lost: &mut Lost) -> Result<(), Problem> {
    let tokens = stand.connect(client, 1).await?.remove(0);
    proxy(stand)?.lose(number);
    let first = client.revoke(&tokens.refresh).await;
    lost.add(stand, first)?;
    let tally = &stand.tally;
    tally.check(first || client.revoke(&tokens.refresh).await, || "a revocation is not answered".to_owned());
    let told = client.refresh(&tokens.refresh).await;
    tally.check(matches!(told, Told::Refused), || format!("a revoked grant gets {told:?}"));
    let good = client.call(&tokens.access).await;
    tally.check(good == Some(false), || "the access token of a revoked grant is alive".to_owned());
    Ok(())
}
