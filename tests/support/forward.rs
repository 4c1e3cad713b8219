//! A port of its own in front of a server's.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Listens on loopback until it is dropped, and with it end the connections.
pub struct Forward {
    port: u16,
    // They end with it.
    _tasks: JoinSet<()>,
}

impl Forward {
    /// `server` says to which port the next connection leads, and `carry` passes on what goes over it.
    pub async fn start<F>(
        server: impl Fn() -> u16 + Send + 'static,
        carry: impl Fn(TcpStream, TcpStream) -> F + Send + Sync + 'static,
    ) -> io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (port, carry, mut tasks) = (listener.local_addr()?.port(), Arc::new(carry), JoinSet::new());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (server, carry) = (server(), Arc::clone(&carry));
                connections.spawn(async move {
                    if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await {
                        carry(client, server).await;
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { port, _tasks: tasks })
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.port
    }
}
