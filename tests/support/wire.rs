//! A wire between a node and its server that keeps the node from hearing what others revoke.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

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
    port: u16,
    state: Arc<State>,
    // Its tasks end with it.
    _tasks: JoinSet<()>,
}

impl Wire {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("an address").port();
        let state = Arc::new(State::default());
        let (mut tasks, shared) = (JoinSet::new(), Arc::clone(&state));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                connections.spawn(async move {
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                        carry(client, server, &state).await;
                    }
                });
            }
        });
        Self { port: own, state, _tasks: tasks }
    }

    pub const fn port(&self) -> u16 {
        self.port
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

async fn carry(mut client: TcpStream, mut server: TcpStream, state: &State) {
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
