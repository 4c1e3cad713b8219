//! PostgreSQL servers of the tests' own: on loopback and a free port, in a temporary folder, stopped when they are
//! dropped, and also when the process of the tests ends in any other way.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

/// How long a server may take to start or stop on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Its superuser is `postgres`, without a password.
pub struct Server {
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    running: Mutex<Option<Child>>,
}

impl Server {
    /// A server that all tests of a file use that run at one time; it does not wait for the disk.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(&["fsync=off"]));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// A server of one test's own, with these settings (`name=value`).
    pub fn start(settings: &[&str]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("tower-oauth-pg-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        owned_by_the_server(&folder);
        let made = as_the_server(&program("initdb"))
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"])
            .arg(folder.join("data"))
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { folder, port: 0, settings, running: Mutex::new(None) };
        // Whoever else looked for a free port may have been faster.
        for _ in 0..5 {
            server.port = free_port();
            if server.starts() {
                return server;
            }
        }
        panic!("PostgreSQL does not start: {}", server.log());
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Stops it, as an operator would (`INT`), or at once and without a word to its disk (`QUIT`, as a crash).
    pub fn stop(&self, signal: &str) {
        let Some(mut running) = self.child().take() else { return };
        if signal != "INT" {
            self.signal(signal);
        }
        // Its keeper stops it when nobody holds this pipe any more.
        drop(running.stdin.take());
        let _ = running.wait();
    }

    /// Starts it again, on the same port and with what it has kept.
    pub fn start_again(&self) {
        assert!(self.starts(), "PostgreSQL does not start again: {}", self.log());
    }

    /// From its next start on it is a standby, until it is promoted.
    pub fn becomes_a_standby(&self) {
        std::fs::write(self.folder.join("data/standby.signal"), "").expect("a file");
    }

    /// Sends a signal to the server and every process of it: `STOP` makes it fall silent, `CONT` go on.
    pub fn signal(&self, signal: &str) {
        let all = self.processes();
        let sent = Command::new("kill").arg(format!("-{signal}")).args(all).stderr(Stdio::null()).status();
        sent.expect("kill runs");
    }

    /// The server itself first, so that it starts nothing new when that is sent a signal, and every process of it.
    pub fn processes(&self) -> Vec<String> {
        let pid = std::fs::read_to_string(self.data().join("postmaster.pid")).expect("it runs");
        let pid = pid.lines().next().expect("its id").to_owned();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &pid]).output().expect("ps runs");
        let children = String::from_utf8(children.stdout).expect("numbers");
        let children = children.split_whitespace().map(str::to_owned);
        std::iter::once(pid).chain(children).collect()
    }

    /// Where it keeps everything.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// False where it ended at once.
    fn starts(&self) -> bool {
        // The shell waits for the end of its input, which comes with that of this process, whatever ends it.
        let keeper = r#"exec 3<&0; "$@" >"$LOG" 2>&1 & server=$!
            (while read -r line; do :; done; kill -INT $server) <&3 3<&- >/dev/null 2>&1 & waits=$!
            wait $server; kill $waits 2>/dev/null"#;
        let mut command = as_the_server(Path::new("/bin/sh"));
        command.arg("-c").arg(keeper).arg("keeper").arg(program("postgres"));
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        let ours = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300", "autovacuum=off"];
        for setting in ours.iter().copied().chain(self.settings.iter().map(|setting| &**setting)) {
            command.args(["-c", setting]);
        }
        let child = command
            .env("LOG", self.folder.join("log"))
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell runs");
        *self.child() = Some(child);
        self.answers()
    }

    #[allow(clippy::disallowed_methods, reason = "another process is waited for")]
    fn answers(&self) -> bool {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if self.child().as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None))) {
                return false;
            }
            let ready = Command::new(program("pg_isready"))
                .args(["--quiet", "--host=127.0.0.1", "--port", &self.port.to_string()])
                .status();
            if ready.is_ok_and(|status| status.success()) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that was made silent hears nothing else.
        if self.child().is_some() && self.data().join("postmaster.pid").exists() {
            self.signal("CONT");
        }
        self.stop("INT");
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A database of one test's own.
pub struct Database {
    pub server: Arc<Server>,
    name: String,
}

impl Database {
    pub async fn new() -> Self {
        Self::on(Server::shared()).await
    }

    pub async fn on(server: Arc<Server>) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&server.url("postgres")).await.expect("the server answers");
        let create = sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")));
        create.execute(&mut connection).await.expect("a new database");
        Self { server, name }
    }

    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    pub fn port(&self) -> u16 {
        self.server.port()
    }

    pub fn options(&self) -> PgConnectOptions {
        self.url().parse().expect("an address")
    }

    /// A pool as an app would have it.
    pub fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(16).connect_lazy_with(self.options())
    }

    /// Runs statements on a connection of their own.
    pub async fn run(&self, sql: impl Into<String>) {
        let mut connection = PgConnection::connect(&self.url()).await.expect("the server answers");
        sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(&mut connection).await.expect("good SQL");
    }

    /// The one number that a query answers.
    pub async fn number(&self, sql: &'static str) -> i64 {
        let mut connection = PgConnection::connect(&self.url()).await.expect("the server answers");
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("a number")
    }
}

/// A program of PostgreSQL: from the search path, or else where Debian has it.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    folders.sort();
    folders.reverse();
    let mut all = folders.into_iter().chain(std::env::split_paths(&path)).map(|folder| folder.join(name));
    all.find(|program| program.is_file())
        .unwrap_or_else(|| panic!("`{name}` is missing: install PostgreSQL (Debian's package `postgresql`)"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// PostgreSQL refuses to be root: then it is the user that its package makes, or else `nobody`.
fn other_user() -> Option<(u32, u32)> {
    let output = Command::new("id").arg("-u").output().expect("id runs");
    if output.stdout.trim_ascii() != b"0" {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("the list of users");
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(|id| id.parse().ok());
        Some((ids.next()??, ids.next()??))
    })
}

/// A command of the user that it is.
pub fn as_the_server(program: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program);
    // What it says is for people.
    command.env("LC_ALL", "C").current_dir("/");
    if let Some((user, group)) = other_user() {
        command.uid(user).gid(group);
    }
    command
}

fn owned_by_the_server(folder: &Path) {
    if let Some((user, group)) = other_user() {
        std::os::unix::fs::chown(folder, Some(user), Some(group)).expect("root may do that");
    }
}
