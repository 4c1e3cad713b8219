//! What holds for the clients that a store keeps.

use super::Check;
use super::record::{Names, at};
use crate::client::{Client, ClientSecret};
use crate::grant::Grant;
use crate::store::{ClientRegistry, DatabaseError, GrantStore, Holder, RegistrationTerms};
use crate::types::{ClientId, Issuer};

const SECRET: &str = "a-secret-of-32-characters-or-more";
const REDIRECT_URI: &str = "https://app.example/cb";

fn confidential(id: &str) -> Client {
    Client::confidential(id, SECRET).name("CustomApp").redirect_uri(REDIRECT_URI).scope("profile")
}

fn public(id: &str) -> Client {
    Client::public(id).redirect_uri(REDIRECT_URI)
}

impl<S: GrantStore<Error = DatabaseError> + ClientRegistry> Check<S> {
    async fn client(&self, issuer: &Issuer, id: &str) -> Option<String> {
        self.answered(self.store.client(issuer, &id.into()).await).map(|client| client.to_record())
    }

    async fn knows(&self, issuer: &Issuer, id: &str, wanted: Option<&Client>, when: &str) {
        let found = self.client(issuer, id).await;
        self.holds(found == wanted.map(Client::to_record), format_args!("client {id} {when} is {found:?}"));
    }

    /// Each as its id, whether it is disabled, and whether it registered itself.
    async fn lists(&self, issuer: &Issuer, wanted: &[(&str, bool, bool)]) {
        let listed = self.answered(self.store.clients(issuer).await);
        let listed: Vec<_> = listed
            .iter()
            .map(|listed| (listed.client.id().as_str(), listed.disabled, listed.registered_itself))
            .collect();
        self.holds(listed == wanted, format_args!("{wanted:?} is listed as {listed:?}"));
    }

    async fn creates(&self, issuer: &Issuer, client: Client) -> bool {
        self.answered(self.store.create_client(issuer, client).await)
    }
}

pub(super) async fn clients_are_kept<S>(check: Check<S>)
where
    S: GrantStore<Error = DatabaseError> + ClientRegistry,
{
    let (here, there) = (Names::new().issuer, Names::new().issuer);
    check.holds(check.creates(&here, confidential("b")).await, "a client is not created");
    check.holds(!check.creates(&here, public("b")).await, "an id is given twice");
    for id in ["a", "Z", "~"] {
        check.holds(check.creates(&here, public(id)).await, "another client is not created");
    }
    check.holds(check.creates(&there, public("b")).await, "another issuer has no client of this id");
    let order = ["Z", "a", "b", "~"].map(|id| (id, false, false));
    check.lists(&here, &order).await;
    check.lists(&there, &[("b", false, false)]).await;
    check.knows(&here, "b", Some(&confidential("b")), "as it was created").await;
    check.knows(&here, "c", None, "which nobody created").await;

    let renamed = confidential("b").name("Renamed");
    let rename = |client: Client| client.name("Renamed");
    let changed = check.answered(check.store.update_client(&here, &"b".into(), rename).await);
    check.holds(changed.is_some_and(|now| now.to_record() == renamed.to_record()), "it is not changed");
    check.knows(&here, "b", Some(&renamed), "after a change").await;
    check.knows(&there, "b", Some(&public("b")), "of another issuer after the change").await;
    let nobody = check.answered(check.store.update_client(&here, &"c".into(), rename).await);
    check.holds(nobody.is_none(), "a client is changed that is none");

    let bad = check.store.create_client(&here, Client::public("bad")).await;
    check.holds(bad.is_err(), "a client without a redirect URI is created");
    let bad = check.store.update_client(&here, &"b".into(), |client| client.scope("\u{e9}")).await;
    check.holds(bad.is_err(), "a client gets a scope that is none");
    let other = check.store.update_client(&here, &"b".into(), |_| confidential("other")).await;
    check.holds(other.is_err(), "a client gets another id");
    check.knows(&here, "b", Some(&renamed), "after changes that cannot be").await;
    check.lists(&here, &order).await;
}

/// Operators add a secret each, and none is lost.
pub(super) async fn changes_all_stay<S>(check: Check<S>)
where
    S: GrantStore<Error = DatabaseError> + ClientRegistry,
{
    const COUNT: u8 = 20;
    let issuer = Names::new().issuer;
    check.creates(&issuer, confidential("app")).await;
    let change = |check: Check<S>, _| {
        let issuer = issuer.clone();
        async move {
            let secret = ClientSecret::generate();
            let add = |client: Client| client.and_secret(&secret);
            check.answered(check.store.update_client(&issuer, &"app".into(), add).await);
        }
    };
    check.at_once(COUNT, change).await;
    let record = check.client(&issuer, "app").await.unwrap_or_default();
    let kept = record.matches("sha256").count();
    check.holds(kept == usize::from(COUNT) + 1, format_args!("of {COUNT} secrets and the first one {kept} are kept"));
}

/// A client of this issuer with a grant, and another with one.
async fn connected<S>(check: &Check<S>) -> (Names, Grant, Grant)
where
    S: GrantStore<Error = DatabaseError> + ClientRegistry,
{
    let names = Names::new();
    for id in ["app", "other"] {
        check.holds(check.creates(&names.issuer, confidential(id)).await, "a client is not created");
    }
    let ours = check.redeemed(names.pending()).await;
    let theirs = check.redeemed(names.with("other", "alice").pending()).await;
    (names, ours, theirs)
}

async fn only_ours_ended<S>(check: &Check<S>, ours: &Grant, theirs: &Grant)
where
    S: GrantStore<Error = DatabaseError> + ClientRegistry,
{
    let found = check.found(ours.key).await;
    check.holds(found.is_some_and(|grant| grant.revoked().is_some()), "the client's grant lives on");
    check.finds(theirs, "another client's grant").await;
}

pub(super) async fn disabled_is_unknown<S>(check: Check<S>)
where
    S: GrantStore<Error = DatabaseError> + ClientRegistry,
{
    let (names, ours, theirs) = connected(&check).await;
    let (issuer, id) = (&names.issuer, ClientId::from("app"));
    let ended = check.answered(check.store.disable_client(issuer, &id, at(20)).await);
    check.holds(ended == 1, format_args!("one grant was alive, {ended} are ended"));
    check.knows(issuer, "app", None, "that is disabled").await;
    check.lists(issuer, &[("app", true, false), ("other", false, false)]).await;
    only_ours_ended(&check, &ours, &theirs).await;
    check.holds(!check.creates(issuer, confidential("app")).await, "the id of a disabled client is given out");

    check.holds(check.answered(check.store.enable_client(issuer, &id).await), "it is not enabled");
    check.holds(!check.answered(check.store.enable_client(issuer, &"nobody".into()).await), "nobody is enabled");
    check.knows(issuer, "app", Some(&confidential("app")), "that is enabled again").await;
    only_ours_ended(&check, &ours, &theirs).await;
}

pub(super) async fn deleted_is_gone<S>(check: Check<S>)
where
    S: GrantStore<Error = DatabaseError> + ClientRegistry,
{
    let (names, ours, theirs) = connected(&check).await;
    let (issuer, id) = (&names.issuer, ClientId::from("app"));
    let ended = check.answered(check.store.delete_client(issuer, &id, at(20)).await);
    check.holds(ended == 1, format_args!("one grant was alive, {ended} are ended"));
    only_ours_ended(&check, &ours, &theirs).await;
    for when in ["at first", "after a sweep"] {
        check.knows(issuer, "app", None, when).await;
        check.lists(issuer, &[("other", false, false)]).await;
        check.holds(!check.creates(issuer, confidential("app")).await, format_args!("its id is given out {when}"));
        check.holds(!check.answered(check.store.enable_client(issuer, &id).await), "it is enabled");
        let changed = check.answered(check.store.update_client(issuer, &id, |client| client).await);
        check.holds(changed.is_none(), "it is changed");
        check.sweep(issuer, 1_000_000).await;
    }
    let ended = check.answered(check.store.delete_client(issuer, &id, at(30)).await);
    check.holds(ended == 0, format_args!("deleted again, it ends {ended} grants"));
    let elsewhere = Names::new().issuer;
    check.holds(check.creates(&elsewhere, confidential("app")).await, "its id is taken at another issuer");
}

pub(super) async fn registrations_are_counted<S>(check: Check<S>)
where
    S: GrantStore<Error = DatabaseError> + ClientRegistry,
{
    const ROOM: usize = 5;
    let names = Names::new();
    let issuer = &names.issuer;
    check.creates(issuer, confidential("by hand")).await;
    let register = |check: Check<S>, racer: u8| {
        let (issuer, client) = (names.issuer.clone(), public(&format!("self-{racer}")));
        let terms = RegistrationTerms { limit: ROOM, keep_until: at(100) };
        async move { check.answered(check.store.register(&issuer, client, terms).await).then_some(racer) }
    };
    let mut kept: Vec<u8> = check.at_once(20, register).await.into_iter().flatten().collect();
    kept.sort_unstable();
    check.holds(kept.len() == ROOM, format_args!("there is room for {ROOM}, {} are kept", kept.len()));
    let listed = check.answered(check.store.clients(issuer).await);
    let themselves = listed.iter().filter(|listed| listed.registered_itself).count();
    check.holds((listed.len(), themselves) == (ROOM + 1, ROOM), format_args!("{} are listed", listed.len()));

    // One is connected, all others of them are forgotten when their time has come.
    let id = format!("self-{}", kept[0]);
    let grant = names.with(&id, "alice").pending();
    check.create(&Grant { expires_at: at(1_000), ..grant.clone() }).await;
    for (now, left) in [(99, ROOM + 1), (100, 2)] {
        check.sweep(issuer, now).await;
        let listed = check.answered(check.store.clients(issuer).await).len();
        check.holds(listed == left, format_args!("at {now} s {listed} clients are left instead of {left}"));
    }
    check.knows(issuer, &id, Some(&public(&id)), "that a user connected").await;
    let holder = Holder::Client(id.as_str().into());
    check.holds(check.keys(issuer, &holder).await == [grant.key], "its grant is gone");
    check.holds(register(check.clone(), 100).await.is_some(), "there is no room again");
}
