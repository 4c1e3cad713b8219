//! What the client asks of the operating system.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use tokio::net::{TcpStream, lookup_host};

pub(super) type Answer<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Names and connections. Only tests have another one than the [`System`]'s.
pub(super) trait Network: Send + Sync {
    fn resolve<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<IpAddr>>;
    fn connect(&self, address: SocketAddr) -> Answer<'_, TcpStream>;
}

pub(super) struct System;

impl Network for System {
    fn resolve<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<IpAddr>> {
        Box::pin(async move { Ok(lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }

    fn connect(&self, address: SocketAddr) -> Answer<'_, TcpStream> {
        Box::pin(TcpStream::connect(address))
    }
}
