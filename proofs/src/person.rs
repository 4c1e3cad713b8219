//! A user of the site, with a browser.

use http::header;

use crate::door::{Answer, Door, Said};

/// Who can log in.
pub const PEOPLE: [(&str, &str); 2] = [("alice", "wonderland"), ("bob", "builder")];
/// A login that is forgotten, as after a restart, is repeated.
const TRIES: usize = 3;

/// One of [`PEOPLE`].
#[derive(Debug)]
pub struct Person {
    name: &'static str,
    password: &'static str,
    cookie: Option<String>,
}

impl Person {
    /// Who has not logged in yet.
    pub const fn new((name, password): (&'static str, &'static str)) -> Self {
        Self { name, password, cookie: None }
    }

    /// Allows what is asked for at `path`; the answer sends the browser back to the client. `None` where the site did
    /// not get that far.
    pub async fn allow(&mut self, door: &Door, path: &str) -> Option<Answer> {
        let page = self.look(door, path).await?;
        self.decide(door, path, &page).await
    }

    /// The page that asks, with a login before it where one is needed.
    pub async fn look(&mut self, door: &Door, path: &str) -> Option<Answer> {
        for _ in 0..TRIES {
            let Said::Yes(page) = door.page(path, self.cookie.as_deref()).await else { return None };
            let target = page.header(header::LOCATION);
            if !target.starts_with("/login") {
                return Some(page);
            }
            self.log_in(door, target).await?;
        }
        door.tally().wrong(format!("{} cannot log in", self.name));
        None
    }

    /// Allows what the page asks. `None` also where a provider that was started again knows of no login any more.
    pub async fn decide(&self, door: &Door, path: &str, page: &Answer) -> Option<Answer> {
        let fields = [("form_token", page.form_token()?), ("decision", "allow")];
        match door.submit(path, self.cookie.as_deref(), &fields).await {
            Said::Yes(answer) => Some(answer),
            Said::No(_) | Said::Unknown => None,
        }
    }

    async fn log_in(&mut self, door: &Door, path: &str) -> Option<()> {
        let Said::Yes(page) = door.page(path, None).await else { return None };
        let cookie = page.cookie()?;
        let fields = [("form_token", page.form_token()?), ("username", self.name), ("password", self.password)];
        if let Said::Yes(answer) = door.submit(path, Some(&cookie), &fields).await {
            self.cookie = answer.cookie();
        }
        Some(())
    }
}
