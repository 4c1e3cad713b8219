//! A wire between a node and its server on which an answer is lost, with its connection.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

#[path = "forward.rs"]
mod forward;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::forward::Forward;

pub struct Lossy {
    forward: Forward,
    /// The answer of which number is lost; none if it is not positive.
    lose: Arc<AtomicI64>,
}

impl Lossy {
    pub async fn to(server: u16) -> Self {
        let lose = Arc::new(AtomicI64::new(0));
        let shared = Arc::clone(&lose);
        let carry = move |client, server| carry(client, server, Arc::clone(&shared));
        Self { forward: Forward::start(move || server, carry).await.expect("a free port"), lose }
    }

    pub const fn port(&self) -> u16 {
        self.forward.port()
    }

    /// The answer of this number, from 1, is lost.
    pub fn lose(&self, answer: i64) {
        self.lose.store(answer, Ordering::SeqCst);
    }

    /// Loses none any more; whether one was lost.
    pub fn lost(&self) -> bool {
        self.lose.swap(0, Ordering::SeqCst) <= 0
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, lose: Arc<AtomicI64>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let (bytes, to) = tokio::select! {
            read = client.read(&mut asked) => (&asked[..read.unwrap_or(0)], &mut server),
            read = server.read(&mut answered) => {
                if lose.fetch_sub(1, Ordering::SeqCst) == 1 {
                    return;
                }
                (&answered[..read.unwrap_or(0)], &mut client)
            }
        };
        if bytes.is_empty() || to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
