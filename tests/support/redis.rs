//! Redis servers of one test's own, and a proxy in front of one that hears and changes what is said to it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

#[path = "forward.rs"]
pub mod forward;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};

use redis::FromRedisValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::forward::Forward;

/// A server on loopback and a free port, with its files in a folder that is gone with it.
pub struct Server {
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
}

impl Server {
    /// It writes every change to its file before it answers.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with settings as on its command line.
    pub fn with(settings: &[&str]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("tower-oauth-redis-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { folder, port: 0, settings, process: None };
        // A port that was free a moment ago may be taken by now.
        for _ in 0..10 {
            let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            server.port = free.expect("a free port").port();
            if server.run() {
                return server;
            }
        }
        panic!("redis-server does not start in {}", server.folder.display());
    }

    /// Whether it is ready; `false` where its port is taken.
    fn run(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0"])
            .arg("--dir")
            .arg(&self.folder)
            .args(&self.settings)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = command.spawn().expect("`redis-server` is missing: install the Debian package redis-server");
        let log = BufReader::new(process.stdout.take().expect("it is piped"));
        self.process = Some(process);
        let mut lines = log.lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line.contains("Ready to accept connections")));
        // Whoever writes to a pipe that nobody reads stops some day.
        std::thread::spawn(move || lines.for_each(drop));
        ready
    }

    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Another one that has what this one has.
    pub async fn replica(&self) -> Self {
        let replica = Self::with(&["--replicaof", "127.0.0.1", &self.port.to_string()]);
        self.replicated().await;
        replica
    }

    /// Waits until its replica has what it has.
    pub async fn replicated(&self) {
        let mut here = self.raw().await;
        loop {
            let _: () = here.ask(&["SET", "written", "here"]).await;
            // Within the half second that such a connection waits for an answer.
            let replicas: usize = here.ask(&["WAIT", "1", "200"]).await;
            if replicas == 1 {
                let _: () = here.ask(&["DEL", "written"]).await;
                return;
            }
        }
    }

    /// A connection as anybody has one.
    pub async fn raw(&self) -> Raw {
        let client = redis::Client::open(self.url()).expect("a good URL");
        Raw(client.get_multiplexed_async_connection().await.expect("Redis answers"))
    }

    /// Ends the process at once, as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again where it was, with what it has in its file.
    pub fn start_again(&mut self) {
        self.kill();
        assert!(self.run(), "redis-server does not start again");
    }

    pub fn pause(&self) {
        self.signal("-STOP");
    }

    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status().expect("`kill` is there");
        assert!(sent.success());
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Where it keeps everything.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/")
}

/// Commands as they are written in a terminal.
pub struct Raw(redis::aio::MultiplexedConnection);

impl Raw {
    pub async fn ask<T: FromRedisValue>(&mut self, command: &[&str]) -> T {
        self.tell(command.iter().map(|word| word.as_bytes())).await.expect("a good command")
    }

    pub async fn tell<'a, T: FromRedisValue>(
        &mut self,
        command: impl IntoIterator<Item = &'a [u8]>,
    ) -> redis::RedisResult<T> {
        let mut words = redis::Cmd::new();
        command.into_iter().for_each(|word| {
            words.arg(word);
        });
        words.query_async(&mut self.0).await
    }

    /// The names of all keys that match, in order.
    pub async fn keys(&mut self, pattern: &str) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(&["KEYS", pattern]).await;
        keys.sort();
        keys
    }
}

/// Stands between a store and a server.
pub struct Proxy {
    forward: Forward,
    upstream: Arc<AtomicU16>,
    swallow: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Proxy {
    /// Passes on what it hears.
    pub async fn before(server: &Server) -> Self {
        Self::rewriting(server, |_| {}).await
    }

    /// Passes on commands as `rewrite` makes them.
    pub async fn rewriting(server: &Server, rewrite: impl Fn(&mut Vec<Vec<u8>>) + Send + Sync + 'static) -> Self {
        let (swallow, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (rewrite, upstream) = (Arc::new(rewrite), Arc::new(AtomicU16::new(server.port)));
        let (behind, shared) = (Arc::clone(&upstream), (Arc::clone(&swallow), Arc::clone(&requests)));
        let carry = move |client, server| {
            let (rewrite, (swallow, requests)) = (Arc::clone(&rewrite), shared.clone());
            async move { carry(client, server, &*rewrite, &swallow, &requests).await }
        };
        let forward = Forward::start(move || behind.load(Ordering::SeqCst), carry).await.expect("a free port");
        Self { forward, upstream, swallow, requests }
    }

    pub fn url(&self) -> String {
        url(self.forward.port())
    }

    /// New connections lead there, as after a failover those to a name do; those that are there stay.
    pub fn lead_to(&self, server: &Server) {
        self.upstream.store(server.port, Ordering::SeqCst);
    }

    /// From now on the answer of this number, from 1, is not passed on: its connection is closed instead.
    pub fn swallow(&self, answer: usize) {
        self.swallow.store(answer, Ordering::SeqCst);
    }

    /// How often a client wrote since this was asked last: round trips, where nobody writes at the same time.
    pub fn round_trips(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }
}

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    rewrite: &(impl Fn(&mut Vec<Vec<u8>>) + Sync),
    swallow: &AtomicUsize,
    requests: &AtomicUsize,
) {
    let (mut asked, mut answered) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read_buf(&mut asked) => {
                if read.unwrap_or(0) == 0 {
                    return;
                }
                let mut passed_on = Vec::new();
                while let Some((mut words, length)) = command(&asked) {
                    asked.drain(..length);
                    rewrite(&mut words);
                    passed_on.extend(encoded(&words));
                }
                requests.fetch_add(usize::from(!passed_on.is_empty()), Ordering::SeqCst);
                if server.write_all(&passed_on).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let read = read.unwrap_or(0);
                let one_less = |left: usize| Some(left.saturating_sub(1));
                let left = swallow.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
                if read == 0 || left == Ok(1) {
                    return;
                }
                if client.write_all(&answered[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The first command, if it is whole, and its length.
fn command(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    fn number(bytes: &[u8], at: &mut usize) -> Option<usize> {
        let end = *at + bytes.get(*at..)?.windows(2).position(|two| two == b"\r\n")?;
        let number = std::str::from_utf8(&bytes[*at + 1..end]).expect("ASCII").parse().expect("a number");
        *at = end + 2;
        Some(number)
    }
    let mut at = 0;
    let count = number(bytes, &mut at)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let length = number(bytes, &mut at)?;
        words.push(bytes.get(at..at + length)?.to_vec());
        at += length + 2;
    }
    (at <= bytes.len()).then_some((words, at))
}

fn encoded(words: &[Vec<u8>]) -> Vec<u8> {
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| {
        command.arg(&**word);
    });
    command.get_packed_command()
}

/// A script with one text in place of another, wherever its source is told; `found` says whether it was.
pub fn mutation(
    from: &'static str,
    to: &'static str,
    found: Arc<AtomicBool>,
) -> impl Fn(&mut Vec<Vec<u8>>) + Send + Sync + 'static {
    move |words| {
        for word in words {
            if let Ok(text) = std::str::from_utf8(word)
                && text.contains(from)
            {
                found.store(true, Ordering::SeqCst);
                *word = text.replace(from, to).into_bytes();
            }
        }
    }
}
