//! Two providers on one store, at the same moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Client, Code, Tokens, Told};
use crate::model::GRACE;
use crate::person::{PEOPLE, Person};
use crate::signer::Signer;
use crate::stand::Stand;
use crate::tally::Tally;
use crate::{Options, Problem};

const RACERS: usize = 200;
/// How many present one assertion at once.
const PRESENTERS: usize = 64;
/// A code that comes a second time later than this may end its grant.
const DOUBLE_SUBMIT: Duration = Duration::from_secs(4);
/// So many races of a refresh against a revocation at a time.
const AT_ONCE: usize = 4;
/// How long a client refreshes until it is revoked, in milliseconds.
const WHILE: std::ops::Range<u64> = 0..200;

/// Everything that two providers can do to one grant at once.
pub async fn run(stand: &mut Stand, options: &Options) -> Result<(), Problem> {
    let beside = stand.program.start_beside(&[])?;
    let client = Client::register(&stand.door()).await?;
    let both = Both([client.at(&beside.door(&stand.tally)), client]);
    redemptions(stand, &both, options.choose(3, 20)).await?;
    refreshes(stand, &both, options.choose(3, 20)).await?;
    revocations(stand, &both, stand.database.kind.bound(), options).await?;
    if !stand.database.kind.bound().is_zero() {
        let [one, other] = [(); 2].map(|()| stand.program.start_beside(&["--cache", "0"]));
        let (one, other) = (one?, other?);
        let both = Both([&one, &other].map(|program| both.at(0).at(&program.door(&stand.tally))));
        revocations(stand, &both, Duration::ZERO, options).await?;
    }
    let signer = Signer::register(&stand.door(), stand.program.issuer()).await?;
    let both = [signer.at(&beside.door(&stand.tally)), signer];
    assertions(stand, &both, options.choose(20, 200)).await
}

/// One client at both providers.
#[derive(Clone)]
struct Both([Client; 2]);

/// What is raced with.
#[derive(Clone)]
enum Ticket {
    Code(Code),
    Token(String),
}

impl Both {
    fn at(&self, number: usize) -> &Client {
        &self.0[number % 2]
    }

    /// Presents one thing 200 times at the same moment, half of them at each provider.
    async fn race(&self, ticket: &Ticket) -> Vec<Told> {
        let barrier = Arc::new(Barrier::new(RACERS));
        let mut racers = JoinSet::new();
        for number in 0..RACERS {
            let (client, ticket, barrier) = (self.at(number).clone(), ticket.clone(), Arc::clone(&barrier));
            racers.spawn(async move {
                barrier.wait().await;
                match ticket {
                    Ticket::Code(code) => client.redeem(&code).await,
                    Ticket::Token(token) => client.refresh(&token).await,
                }
            });
        }
        racers.join_all().await
    }

    async fn takes(&self, access_token: &str) -> [Option<bool>; 2] {
        [self.0[0].call(access_token).await, self.0[1].call(access_token).await]
    }
}

/// One code, one success; with PKCE the grant lives.
async fn redemptions(stand: &mut Stand, both: &Both, rounds: usize) -> Result<(), Problem> {
    for _ in 0..rounds {
        let code = both.at(0).ask(&mut stand.people[0]).await.ok_or("a person gets no answer")?;
        let start = Instant::now();
        let told = both.race(&Ticket::Code(code)).await;
        let in_time = start.elapsed() < DOUBLE_SUBMIT;
        let won: Vec<_> = told.iter().filter_map(Told::tokens).collect();
        let refused = told.iter().filter(|told| matches!(told, Told::Refused)).count();
        let tally = &stand.tally;
        tally.check(won.len() == 1 && refused == RACERS - 1, || {
            format!("of {RACERS} redemptions {} win and {refused} are refused", won.len())
        });
        if let (Some(tokens), true) = (won.first(), in_time) {
            let taken = both.takes(&tokens.access).await;
            tally.check(taken == [Some(true); 2], || format!("the winner's access token is taken: {taken:?}"));
            let told = both.at(1).refresh(&tokens.refresh).await;
            tally.check(told.tokens().is_some(), || format!("the winner's refresh token gets {told:?}"));
        }
        tally.check(in_time, || "the redemptions took too long to show that the grant lives".to_owned());
    }
    stand.say(format_args!("{rounds} times {RACERS} redemptions of one code at two providers"));
    Ok(())
}

/// One token, one step, one successor.
async fn refreshes(stand: &mut Stand, both: &Both, rounds: usize) -> Result<(), Problem> {
    let mut successors = Vec::new();
    for tokens in stand.connect(both.at(0), rounds).await? {
        let told = both.race(&Ticket::Token(tokens.refresh)).await;
        let good: Vec<_> = told.iter().filter_map(Told::tokens).collect();
        let tally = &stand.tally;
        tally.check(good.len() == RACERS, || format!("of {RACERS} refreshes {} get on", good.len()));
        let Some(first) = good.first() else { continue };
        tally
            .check(good.iter().all(|tokens| tokens.refresh == first.refresh), || "there are two successors".to_owned());
        for tokens in &good[..good.len().min(10)] {
            let taken = both.takes(&tokens.access).await;
            tally.check(taken == [Some(true); 2], || format!("the access token of a refresh is taken: {taken:?}"));
        }
        successors.push(first.refresh.clone());
    }
    // Had it been two steps, the successor would be retired by now.
    tokio::time::sleep(GRACE + Duration::from_secs(1)).await;
    for successor in &successors {
        let told = both.at(1).refresh(successor).await;
        stand.tally.check(told.tokens().is_some(), || format!("the one successor gets {told:?}"));
    }
    stand.say(format_args!("{rounds} times {RACERS} refreshes with one token at two providers"));
    Ok(())
}

/// One assertion, one token, wherever it is presented.
async fn assertions(stand: &Stand, both: &[Signer; 2], rounds: usize) -> Result<(), Problem> {
    for _ in 0..rounds {
        let assertion = both[0].assertion()?;
        let barrier = Arc::new(Barrier::new(PRESENTERS));
        let mut presenters = JoinSet::new();
        for number in 0..PRESENTERS {
            let (signer, assertion, barrier) = (both[number % 2].clone(), assertion.clone(), Arc::clone(&barrier));
            presenters.spawn(async move {
                barrier.wait().await;
                signer.present(&assertion).await
            });
        }
        let told = presenters.join_all().await;
        let taken = told.iter().filter(|told| **told == Some(true)).count();
        let refused = told.iter().filter(|told| **told == Some(false)).count();
        stand.tally.check(taken == 1 && refused == PRESENTERS - 1, || {
            format!("one assertion is taken {taken} times and refused {refused} times of {PRESENTERS}")
        });
    }
    stand.say(format_args!("{rounds} times {PRESENTERS} uses of one assertion at two providers"));
    Ok(())
}

/// A client that refreshes without end is revoked at the other provider; `bound` is for how long a token may be taken then.
async fn revocations(stand: &Stand, both: &Both, bound: Duration, options: &Options) -> Result<(), Problem> {
    let rounds = options.choose(24, 200);
    let mut racing = JoinSet::new();
    for line in 0..AT_ONCE {
        let (both, tally) = (both.clone(), Arc::clone(&stand.tally));
        let mut random = StdRng::seed_from_u64(options.seed.wrapping_add(line as u64));
        racing.spawn(async move {
            let mut person = Person::new(PEOPLE[line % 2]);
            let mut raced = Raced::default();
            for _ in 0..rounds / AT_ONCE {
                let tokens = both.at(line).connect(&mut person).await?;
                let patience = Duration::from_millis(random.random_range(WHILE));
                raced.add(revocation(&both, &tally, tokens, patience, bound).await);
            }
            Ok::<_, Problem>(raced)
        });
    }
    let mut total = Raced::default();
    for raced in racing.join_all().await {
        total.add(raced?);
    }
    stand.tally.check(total.refreshes > rounds, || "hardly a refresh raced: nothing is shown".to_owned());
    stand.say(format_args!(
        "{rounds} times {} refreshes against a revocation: {} answers came after it; the last token was refused within {:?} of {bound:?}",
        total.refreshes / rounds,
        total.behind,
        total.longest
    ));
    Ok(())
}

#[derive(Default)]
struct Raced {
    refreshes: usize,
    /// Refreshes that began before the revocation was answered, and were answered after it.
    behind: usize,
    /// For how long after its revocation was answered an access token was taken.
    longest: Duration,
}

impl Raced {
    fn add(&mut self, other: Self) {
        self.refreshes += other.refreshes;
        self.behind += other.behind;
        self.longest = self.longest.max(other.longest);
    }
}

async fn revocation(both: &Both, tally: &Arc<Tally>, tokens: Tokens, patience: Duration, bound: Duration) -> Raced {
    // Each of the two has seen the grant alive, and may remember that.
    tally.check(both.takes(&tokens.access).await == [Some(true); 2], || "a new access token is refused".to_owned());
    let revoked = Arc::new(AtomicBool::new(false));
    let (mut told, mut last) = (vec![tokens.access], tokens.refresh.clone());
    let mut raced = Raced::default();
    let revoker = tokio::spawn({
        let (client, token, revoked) = (both.at(1).clone(), tokens.refresh, Arc::clone(&revoked));
        async move {
            tokio::time::sleep(patience).await;
            let answered = client.revoke(&token).await;
            revoked.store(true, Ordering::SeqCst);
            answered.then(Instant::now)
        }
    });
    loop {
        let late = revoked.load(Ordering::SeqCst);
        match both.at(raced.refreshes).refresh(&last).await {
            Told::Tokens(tokens) => {
                tally.check(!late, || "a refresh is answered that began after the revocation".to_owned());
                raced.behind += usize::from(revoked.load(Ordering::SeqCst));
                raced.refreshes += 1;
                last = tokens.refresh;
                told.push(tokens.access);
                if late {
                    break;
                }
            }
            Told::Refused => break,
            Told::Unknown => tally.wrong("a refresh is not answered"),
        }
    }
    let Ok(Some(answered)) = revoker.await else {
        tally.wrong("a revocation is not answered");
        return raced;
    };
    for access in told.iter().rev().take(10) {
        raced.longest = raced.longest.max(refused_after(both, tally, access, answered, bound).await);
    }
    raced
}

/// How long after `answered` an access token was refused by both providers at last.
async fn refused_after(both: &Both, tally: &Tally, access: &str, answered: Instant, bound: Duration) -> Duration {
    let mut taken_until = Duration::ZERO;
    loop {
        let asked = answered.elapsed();
        if both.takes(access).await == [Some(false); 2] {
            return taken_until;
        }
        if asked > bound {
            tally.wrong(format!("an access token is alive {asked:?} after its revocation was answered"));
            return asked;
        }
        taken_until = answered.elapsed();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
