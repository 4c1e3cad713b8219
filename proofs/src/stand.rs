//! What a proof is about: a provider on a database, people, and the counts.

use std::fmt::Display;
use std::sync::Arc;

use crate::Problem;
use crate::client::{Client, Tokens};
use crate::database::{Database, Kind};
use crate::door::Door;
use crate::person::{PEOPLE, Person};
use crate::program::Program;
use crate::tally::Tally;

/// One of each.
pub struct Stand {
    /// The provider, as a process.
    pub program: Program,
    /// Its database.
    pub database: Database,
    /// Who can log in.
    pub people: [Person; 2],
    /// The counts.
    pub tally: Arc<Tally>,
}

impl Stand {
    /// Starts both.
    pub fn start(kind: Kind) -> Result<Self, Problem> {
        Self::on(kind.start()?)
    }

    /// Starts both, with a proxy before the database's server, if it has one.
    pub async fn proxied(kind: Kind) -> Result<Self, Problem> {
        Self::on(kind.start()?.proxied().await?)
    }

    fn on(mut database: Database) -> Result<Self, Problem> {
        let program = Program::start(database.args())?;
        Ok(Self { program, database, people: PEOPLE.map(Person::new), tally: Arc::default() })
    }

    /// Tells something about this database's proof.
    pub fn say(&self, what: impl Display) {
        println!("{}: {what}", self.database.kind.name());
    }

    /// The way to the provider.
    pub fn door(&self) -> Door {
        self.program.door(&self.tally)
    }

    /// As many grants, of one person after the other.
    pub async fn connect(&mut self, client: &Client, count: usize) -> Result<Vec<Tokens>, Problem> {
        let mut grants = Vec::with_capacity(count);
        for number in 0..count {
            grants.push(client.connect(&mut self.people[number % 2]).await?);
        }
        Ok(grants)
    }
}
