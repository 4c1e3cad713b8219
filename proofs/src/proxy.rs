//! The wire between a provider and its database's server: what goes over it is counted, and an answer can be lost there.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Problem;
use crate::database::Forward;

/// Passes on what it hears, until it is dropped.
pub struct Proxy {
    forward: Forward,
    wire: Arc<Wire>,
}

#[derive(Default)]
struct Wire {
    trips: AtomicUsize,
    /// The answer of which number, from now on, is lost; none if it is not positive.
    lose: AtomicI64,
}

impl Proxy {
    /// Listens in front of the port of a server.
    pub async fn before(server: u16) -> Result<Self, Problem> {
        let wire = Arc::<Wire>::default();
        let heard = Arc::clone(&wire);
        let carry = move |client, server| {
            let heard = Arc::clone(&heard);
            async move { heard.carry(client, server).await }
        };
        Ok(Self { forward: Forward::start(move || server, carry).await?, wire })
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.forward.port()
    }

    /// Loses one answer, of this number from now on: its connection is closed in its place.
    pub fn lose(&self, number: i64) {
        self.wire.lose.store(number, Ordering::SeqCst);
    }

    /// Loses none any more; whether one was lost.
    pub fn lost(&self) -> bool {
        self.wire.lose.swap(0, Ordering::SeqCst) <= 0
    }

    /// How often a question went over the wire, and its answer came back, since this was asked last.
    pub fn trips(&self) -> usize {
        self.wire.trips.swap(0, Ordering::SeqCst)
    }
}

impl Wire {
    async fn carry(&self, mut client: TcpStream, mut server: TcpStream) {
        if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
            return;
        }
        let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut asks = false;
        loop {
            let passed = tokio::select! {
                read = client.read(&mut asked) => match read {
                    Ok(read @ 1..) => {
                        self.trips.fetch_add(usize::from(!asks), Ordering::SeqCst);
                        asks = true;
                        server.write_all(&asked[..read]).await
                    }
                    _ => return,
                },
                read = server.read(&mut answered) => match read {
                    // What comes in several pieces is one answer.
                    Ok(read @ 1..) if !(asks && self.is_lost()) => {
                        asks = false;
                        client.write_all(&answered[..read]).await
                    }
                    _ => return,
                },
            };
            if passed.is_err() {
                return;
            }
        }
    }

    fn is_lost(&self) -> bool {
        self.lose.fetch_sub(1, Ordering::SeqCst) == 1
    }
}
