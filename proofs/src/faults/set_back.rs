//! A store that is set back: its files are those of a minute ago.

use std::time::Duration;

use crate::client::{Client, Tokens, Told};
use crate::model::GRACE;
use crate::stand::Stand;
use crate::{Options, Problem};

/// So many of each kind, of both people.
const EACH: usize = 6;

/// Who rotated at most once since stays connected; who rotated oftener, or whose grant is younger, is refused, and
/// nothing else of that user is touched. Revocations are lost.
pub(super) async fn run(stand: &mut Stand, options: &Options) -> Result<(), Problem> {
    stand.say("a store set back");
    let pause = Duration::from_secs(options.choose(1, 60)) / 2;
    let client = Client::register(&stand.door()).await?;
    let still = stand.connect(&client, EACH).await?;
    let mut once = stand.connect(&client, EACH).await?;
    let mut oftener = stand.connect(&client, EACH).await?;
    let revoked = stand.connect(&client, EACH).await?;
    let code = client.ask(&mut stand.people[0]).await.ok_or("a person gets no answer")?;

    stand.program.process().signal("STOP")?;
    stand.database.keep()?;
    stand.program.process().signal("CONT")?;
    tokio::time::sleep(pause).await;
    let before = once.clone();
    rotate(&client, &mut once).await?;
    let first = oftener.clone();
    rotate(&client, &mut oftener).await?;
    rotate(&client, &mut oftener).await?;
    let mut younger = stand.connect(&client, EACH).await?;
    younger.push(tokens(client.redeem(&code).await)?);
    for grant in &revoked {
        stand.tally.check(client.revoke(&grant.refresh).await, || "a revocation is not answered".to_owned());
    }
    tokio::time::sleep(pause).await;

    stand.tally.fault();
    stand.program.process().kill()?;
    stand.database.set_back()?;
    stand.program.restart()?;
    // On new connections.
    let client = client.at(&stand.door());
    for grant in oftener.iter().chain(&younger) {
        let told = client.refresh(&grant.refresh).await;
        stand.tally.check(matches!(told, Told::Refused), || format!("a grant that the store lost gets {told:?}"));
    }
    for grant in &first {
        let good = client.call(&grant.access).await;
        stand.tally.check(good == Some(true), || "a refusal ended a grant that the store knows".to_owned());
    }
    let mut connected = [still, once].concat();
    for _ in 0..3 {
        if let Err(told) = rotate(&client, &mut connected).await {
            stand.tally.wrong(format!("who rotated at most once is logged out: {told}"));
        }
    }
    for grant in &revoked {
        let good = client.call(&grant.access).await;
        stand
            .tally
            .check(good == Some(true), || "a revocation was not lost: what the documentation says is wrong".to_owned());
        stand.tally.check(client.revoke(&grant.refresh).await, || "a revocation is not answered".to_owned());
        let good = client.call(&grant.access).await;
        stand.tally.check(good == Some(false), || "a grant is alive that was revoked again".to_owned());
    }
    tokio::time::sleep(GRACE + Duration::from_secs(1)).await;
    for grant in &before {
        let told = client.refresh(&grant.refresh).await;
        stand.tally.check(matches!(told, Told::Refused), || {
            format!("a token used before the store was set back gets {told:?}")
        });
    }
    stand.say(format_args!(
        "{} stay connected, {} are refused, {} revocations are lost",
        connected.len(),
        oftener.len() + younger.len(),
        revoked.len()
    ));
    Ok(())
}

async fn rotate(client: &Client, grants: &mut [Tokens]) -> Result<(), Problem> {
    for grant in grants {
        *grant = tokens(client.refresh(&grant.refresh).await)?;
    }
    Ok(())
}

fn tokens(told: Told) -> Result<Tokens, Problem> {
    match told {
        Told::Tokens(tokens) => Ok(tokens),
        told => Err(format!("a client gets {told:?}").into()),
    }
}
