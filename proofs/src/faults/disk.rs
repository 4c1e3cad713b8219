//! A disk that is full, and files that can only be read.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rand::RngExt;

use super::{Belongings, server};
use crate::stand::Stand;
use crate::storm::storm;
use crate::{Options, Problem};

/// How long it lasts under load, in milliseconds.
const WHILE: std::ops::Range<u64> = 100..1_500;

/// No file can become longer, at rest and under load: 503, and nothing is lost.
pub(super) async fn is_full(stand: &mut Stand, options: &Options) -> Result<(), Problem> {
    stand.say("a full disk");
    let mut belongings = Belongings::new(stand).await?;
    stand.tally.fault();
    stand.program.process().limit_files(Some(0))?;
    belongings.is_unavailable(stand).await;
    stand.program.process().limit_files(None)?;
    belongings.are_whole(stand, false).await;
    storm(stand, options, options.choose(2, 12), async |stand, random| {
        stand.program.process().limit_files(Some(0))?;
        tokio::time::sleep(Duration::from_millis(random.random_range(WHILE))).await;
        stand.program.process().limit_files(None)
    })
    .await
}

/// The same of a database's server, which may end by itself then: somebody makes room, and starts it again.
pub(super) async fn of_the_server_is_full(stand: &mut Stand) -> Result<(), Problem> {
    stand.say("a full disk");
    let mut belongings = Belongings::new(stand).await?;
    stand.tally.fault();
    server(stand)?.limit_files(0)?;
    belongings.is_unavailable(stand).await;
    stand.database.kill();
    belongings.are_whole(stand, false).await;
    Ok(())
}

/// The file and its folder can only be read from when a connection is next opened.
pub(super) async fn is_read_only(stand: &mut Stand, options: &Options) -> Result<(), Problem> {
    stand.say("a read-only file");
    let mut belongings = Belongings::new(stand).await?;
    stand.tally.fault();
    make_read_only(stand).await?;
    belongings.is_unavailable(stand).await;
    make_writable(stand)?;
    belongings.are_whole(stand, false).await;
    storm(stand, options, options.choose(2, 12), async |stand, random| {
        make_read_only(stand).await?;
        tokio::time::sleep(Duration::from_millis(random.random_range(WHILE))).await;
        make_writable(stand)
    })
    .await
}

/// A write that fails makes the provider open the file anew, and then it can only be read.
async fn make_read_only(stand: &mut Stand) -> Result<(), Problem> {
    set_modes(stand.database.folder(), 0o444, 0o555)?;
    stand.program.process().limit_files(Some(0))?;
    let failed = crate::client::Client::register(&stand.door()).await.is_err();
    stand.tally.check(failed, || "a client is registered on a full disk".to_owned());
    stand.program.process().limit_files(None)
}

fn make_writable(stand: &Stand) -> Result<(), Problem> {
    set_modes(stand.database.folder(), 0o644, 0o755)
}

fn set_modes(folder: &Path, file_mode: u32, folder_mode: u32) -> Result<(), Problem> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("provider.db") && !name.ends_with(".secret") {
            fs::set_permissions(path, Permissions::from_mode(file_mode))?;
        }
    }
    Ok(fs::set_permissions(folder, Permissions::from_mode(folder_mode))?)
}
