//! A database whose server falls silent, and goes on.

use std::time::Duration;

use rand::RngExt;

use super::{Belongings, server};
use crate::stand::Stand;
use crate::storm::storm;
use crate::{Options, Problem};

/// How long it lasts under load, in milliseconds: some of it for longer than an answer may take, and all of it within the
/// grace of a refresh.
const WHILE: std::ops::Range<u64> = 100..6_500;

/// While it is silent: 503 in time. Then everybody gets on, whatever of it was done meanwhile.
pub(super) async fn run(stand: &mut Stand, options: &Options) -> Result<(), Problem> {
    stand.say("a silent server");
    let mut belongings = Belongings::new(stand).await?;
    stand.tally.fault();
    server(stand)?.pause(true);
    belongings.is_unavailable(stand).await;
    server(stand)?.pause(false);
    belongings.are_whole(stand, true).await;
    storm(stand, options, options.choose(2, 12), async |stand, random| {
        server(stand)?.pause(true);
        tokio::time::sleep(Duration::from_millis(random.random_range(WHILE))).await;
        server(stand)?.pause(false);
        Ok(())
    })
    .await
}
