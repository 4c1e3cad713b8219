//! What a token costs that is seen for the first time, one that was seen before, and one that is made: run by
//! `scripts/measure jwt`.

mod hand_written;
mod issuer;
mod peers;
mod signing;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use hand_written::HandWritten;
use http::StatusCode;
use issuer::{API, ISSUER, Issuer};
use measure::counting::Counting;
use measure::service::Bare;
use measure::timing::{Case, ROUNDS, run as take_turns};
use measure::tokens::Tokens;
use measure::verdict::Verdict;
use tower::Layer;
use tower_oauth::jwt::Algorithm;
use tower_oauth::resource_server::TrustedIssuer;
use tower_oauth::{AccessTokenFormat, JwtVerifier};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Ours by hand-written, a token that is seen for the first time.
const FIRST: f64 = 1.05;
/// Nanoseconds over the bare service, a token that was seen before.
const AGAIN: f64 = 400.0;
/// More tokens than are remembered in that case: each is as good as new.
const MANY: usize = 10_000;
const FEW: usize = 8;
const HOT: usize = 1_000;

/// Seconds since 1970.
#[allow(clippy::disallowed_methods, reason = "the others ask the machine too")]
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}

fn ours(issuer: &Issuer, remember: usize, tokens: Tokens) -> Case {
    let keys = issuer.jwks().to_string().parse().expect("public keys");
    let issuer = TrustedIssuer::from(ISSUER).jwks(keys);
    let verifier = JwtVerifier::builder(API).issuer(issuer).leeway(Duration::ZERO).remember(remember);
    let verifier = verifier.build().expect("it is configured");
    Case::new(verifier.bearer().layer(Bare), tokens, StatusCode::OK)
}

/// The cases of one algorithm.
struct Cases {
    algorithm: &'static str,
    hand: Case,
    first: Case,
    one: Case,
    hot: Case,
    peers: [(&'static str, Case); 3],
    /// By hand, as a JWT and as a handle.
    made: [(&'static str, Case); 3],
}

impl Cases {
    fn new(issuer: &Issuer) -> Self {
        let (algorithm, own) = match issuer {
            Issuer::Es256(_) => (Algorithm::Es256, Issuer::es256()),
            Issuer::EdDsa(_) => (Algorithm::EdDsa, Issuer::eddsa()),
        };
        let tokens = issuer.tokens(MANY);
        let all = || tokens.spread(MANY);
        let ok = StatusCode::OK;
        Self {
            algorithm: issuer.algorithm(),
            hand: Case::new(HandWritten::new(Bare, issuer), all(), ok),
            first: ours(issuer, FEW, all()),
            one: ours(issuer, MANY, tokens.spread(1)),
            hot: ours(issuer, MANY, tokens.spread(HOT)),
            peers: [
                ("tower-oauth2-resource-server", { Case::new(peers::tower_oauth2_resource_server(issuer), all(), ok) }),
                ("jwt-authorizer", Case::new(peers::jwt_authorizer(issuer), all(), ok)),
                ("axum-jwt-auth", Case::new(peers::axum_jwt_auth(issuer), all(), ok)),
            ],
            made: [
                ("made by hand", Case::new(signing::by_hand(own), tokens.spread(1), ok)),
                ("issued", Case::new(signing::issued(AccessTokenFormat::Jwt, algorithm), tokens.spread(1), ok)),
                (
                    "issued, a handle in its place",
                    Case::new(signing::issued(AccessTokenFormat::Handle, algorithm), tokens.spread(1), ok),
                ),
            ],
        }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Case> {
        let others = self.peers.iter_mut().chain(&mut self.made).map(|(_, case)| case);
        [&mut self.hand, &mut self.first, &mut self.one, &mut self.hot].into_iter().chain(others)
    }

    fn show(&self, bare: &Case, verdict: &mut Verdict) {
        let over = |case: &Case| case.nanoseconds() - bare.nanoseconds();
        let (hand, made) = (over(&self.hand), over(&self.made[0].1));
        let mut row = |name: &str, case: &Case, by: f64, bar: Option<(f64, f64, &str)>| {
            let (time, allocations) = (over(case), case.allocations() - bare.allocations());
            let (name, ratio) = (format!("{} {name}", self.algorithm), time / by);
            let shown = format!("{name:<50} {time:>9.0} ns {allocations:>4.0} allocs {ratio:>7.3}x");
            match bar {
                Some((measured, bar, unit)) => verdict.row(&format!("{shown}{bar:>10} {unit:<2}"), measured <= bar),
                None => println!("{shown}"),
            }
        };
        row("by hand", &self.hand, hand, None);
        row("seen for the first time", &self.first, hand, Some((over(&self.first) / hand, FIRST, "x")));
        row("seen before", &self.one, hand, Some((over(&self.one), AGAIN, "ns")));
        row("seen before, one of 1,000", &self.hot, hand, None);
        for (name, case) in &self.peers {
            row(name, case, hand, None);
        }
        for (name, case) in &self.made {
            row(name, case, made, None);
        }
    }
}

fn main() -> ExitCode {
    let mut bare = Case::new(Bare, Issuer::eddsa().tokens(1), StatusCode::OK);
    let mut all = [Cases::new(&Issuer::es256()), Cases::new(&Issuer::eddsa())];
    eprintln!("measuring: {ROUNDS} rounds ..");
    let mut cases = vec![&mut bare];
    cases.extend(all.iter_mut().flat_map(Cases::all));
    take_turns(&mut cases);

    println!();
    println!(
        "Time per request over the bare service ({:.0} ns), and allocations; medians of {ROUNDS} interleaved",
        bare.nanoseconds()
    );
    println!(
        "rounds. Ratio: by the same checks written by hand, with the same arithmetic, and of what is made by one that"
    );
    println!("is made by hand; what is issued comes with its grant.");
    println!();
    let mut verdict = Verdict::default();
    for cases in &all {
        cases.show(&bare, &mut verdict);
    }
    verdict.exit_code()
}
