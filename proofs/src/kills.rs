//! `kill -9`, again and again.

use crate::stand::Stand;
use crate::storm::storm;
use crate::{Options, Problem};

/// Nobody is logged out, no used token and no revoked grant is alive, whoever is killed and whenever.
pub async fn run(stand: &mut Stand, options: &Options) -> Result<(), Problem> {
    let times = options.choose(3, 24);
    stand.say("the provider is killed");
    storm(stand, options, times, async |stand, _| {
        stand.program.process().kill()?;
        stand.program.restart()
    })
    .await?;
    stand.tally.check(stand.tally.repeats() > 0, || "no refresh was repeated: nothing is shown".to_owned());
    if stand.database.server().is_none() {
        return Ok(());
    }
    stand.say("the database's server is killed");
    storm(stand, options, times, async |stand, _| {
        stand.database.kill();
        Ok(())
    })
    .await
}
