//! A wire between a node and its server that keeps the node from hearing what others revoke.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::servers::forward::Forward;

/// With these words a node begins to listen.
const LISTENS: [&[u8]; 2] = [b"LISTEN", b"SUBSCRIBE"];
/// What the names of channels have in them, and what they get in its place.
const CHANNELS: [(&[u8], &[u8]); 2] = [(b"tower_oauth_", b"nobody_hears"), (b"revoked:", b"nothing:")];

#[derive(Default)]
struct State {
    deaf: AtomicBool,
    mute: AtomicBool,
}

pub struct Wire {
    forward: Forward,
    state: Arc<State>,
}

impl Wire {
    pub async fn to(server: u16) -> Self {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let carry = move |client, server| carry(client, server, Arc::clone(&shared));
        Self { forward: Forward::start(move || server, carry).await.expect("a free port"), state }
    }

    pub const fn port(&self) -> u16 {
        self.forward.port()
    }

    /// From now on whoever begins to listen does so where nobody speaks, as behind a pooler, and does not know.
    pub fn deafen(&self) {
        self.state.deaf.store(true, Ordering::SeqCst);
    }

    /// From now on nothing passes on the connections on which somebody listens, and they stay open.
    pub fn mute(&self, mute: bool) {
        self.state.mute.store(mute, Ordering::SeqCst);
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, state: Arc<State>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut listens = false;
    loop {
        let (bytes, to) = tokio::select! {
            read = client.read(&mut asked) => (&mut asked[..read.unwrap_or(0)], &mut server),
            read = server.read(&mut answered) => (&mut answered[..read.unwrap_or(0)], &mut client),
        };
        if bytes.is_empty() {
            return;
        }
        listens |= LISTENS.iter().any(|word| bytes.windows(word.len()).any(|bytes| bytes == *word));
        if listens && state.mute.load(Ordering::SeqCst) {
            continue;
        }
        if listens && state.deaf.load(Ordering::SeqCst) {
            CHANNELS.iter().for_each(|(name, other)| replace(bytes, name, other));
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    for at in 0..bytes.len().saturating_sub(from.len() - 1) {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
}
