//! Nanoseconds, allocations and bytes of `BearerLayer`.

use std::{process::ExitCode, time::Instant};

use http::StatusCode;
use measure::{
    counting::counts,
    flow::Site,
    hand_written::{self, HandWritten},
    service::Bare,
    timing::{Case, ROUNDS, run as take_turns},
    tokens::Tokens,
    verdict::Verdict,
};
use tower::Layer;

const MANY: usize = 100_000;
const MOST: usize = 1_000_000;
const HOT: usize = 1_000;

/// The largest quotient of our time by the hand-written time, both over the bare service.
const BARS: [(&str, f64); 6] = [
    ("1 grant", 1.7),
    ("100k grants", 1.1),
    ("1M grants", 1.1),
    ("1M tokens on 100k grants", 0.7),
    ("1000 hot of 1M grants", 1.3),
    ("refused: forged, 100k grants", 1.0),
];
const BYTES_PER_GRANT: f64 = 400.0;
const BYTES_PER_ACCESS_TOKEN: f64 = 0.0;

pub(crate) fn run() -> ExitCode {
    let mut verdict = Verdict::default();
    // The hand-written ones first, on a heap without holes.
    let (by_hand_one, tokens_one) = hand_written::store(1);
    let (by_hand_many, tokens_many) = hand_written::store(MANY);
    let (by_hand_most, tokens_most) = hand_written::store(MOST);
    let one = Load::new(1);
    let mut many = Load::new(MANY);
    let most = Load::new(MOST);
    let (more, growth) = many.refresh(MOST / MANY);

    let ours = |load: &Load, tokens: Tokens, status| Case::new(load.site.provider.bearer().layer(Bare), tokens, status);
    let hand = |store: &hand_written::Store, tokens: Tokens, status| {
        Case::new(HandWritten::new(Bare, store.clone()), tokens, status)
    };
    let (ok, unauthorized) = (StatusCode::OK, StatusCode::UNAUTHORIZED);
    let forged = many.access.map(MANY, forge);
    let unknown = tokens_many.map(MANY, |_| hand_written::token());
    let hot = most.access.spread(HOT);
    let hot_by_hand = tokens_most.spread(HOT);

    let mut bare = Case::new(Bare, one.access.spread(1), ok);
    let mut pairs = [
        (hand(&by_hand_one, tokens_one, ok), ours(&one, one.access.spread(1), ok)),
        (hand(&by_hand_many, tokens_many, ok), ours(&many, many.access.spread(MANY), ok)),
        (hand(&by_hand_most, tokens_most.spread(MOST), ok), ours(&most, most.access.spread(MOST), ok)),
        (hand(&by_hand_most, tokens_most, ok), ours(&many, more, ok)),
        (hand(&by_hand_most, hot_by_hand, ok), ours(&most, hot, ok)),
        (hand(&by_hand_many, unknown, unauthorized), ours(&many, forged, unauthorized)),
    ];
    eprintln!("measuring: {ROUNDS} rounds of {} cases ..", 1 + 2 * pairs.len());
    let mut cases = vec![&mut bare];
    cases.extend(pairs.iter_mut().flat_map(|(hand, ours)| [hand, ours]));
    take_turns(&mut cases);

    println!();
    println!(
        "Time per request over the bare service ({:.0} ns), and allocations; medians of {ROUNDS} interleaved",
        bare.nanoseconds()
    );
    println!("rounds. Ratio: ours by hand-written, the latter with the same number of live tokens.");
    println!();
    println!("{:<30} {:>20} {:>20} {:>7} {:>7}", "bearer", "hand-written", "ours", "ratio", "bar");
    for ((name, bar), (hand, ours)) in BARS.iter().zip(&pairs) {
        let over = |case: &Case| case.nanoseconds() - bare.nanoseconds();
        let cell = |case: &Case| format!("{:.0} ns {:>2} allocs", over(case), case.allocations() - bare.allocations());
        let ratio = over(ours) / over(hand);
        let shown = format!("{name:<30} {:>20} {:>20} {ratio:>6.2}x {bar:>6.2}x", cell(hand), cell(ours));
        verdict.row(&shown, ratio <= *bar);
    }
    println!();
    println!("{:<72} {:>7} {:>7}", "memory", "bytes", "bar");
    for (name, load) in [("per live grant, of 100k", &many), ("per live grant, of 1M", &most)] {
        let shown = format!("{name:<72} {:>7.0} {BYTES_PER_GRANT:>7.0}", load.bytes_per_grant);
        verdict.row(&shown, load.bytes_per_grant <= BYTES_PER_GRANT);
    }
    let name = "per live access token, of 900k got by refreshing";
    let shown = format!("{name:<72} {growth:>7.1} {BYTES_PER_ACCESS_TOKEN:>7.0}");
    verdict.row(&shown, growth <= BYTES_PER_ACCESS_TOKEN);
    verdict.exit_code()
}

/// A provider with live grants, made by the whole flow.
struct Load {
    site: Site,
    access: Tokens,
    refresh: Tokens,
    bytes_per_grant: f64,
}

impl Load {
    fn new(count: usize) -> Self {
        let start = Instant::now();
        let mut site = Site::new();
        // Handles have one length each; the first grant tells it, and brings what is made once.
        let first = site.connect("the-first-of-all");
        let mut access = Tokens::with_capacity(count, first.access.len());
        let mut refresh = Tokens::with_capacity(count, first.refresh.len());
        let before = counts().live_bytes;
        site.connect_many(count, &mut access, &mut refresh);
        let bytes_per_grant = (counts().live_bytes - before) as f64 / count as f64;
        eprintln!("made {count} grants in {:.1} s ..", start.elapsed().as_secs_f64());
        Self { site, access, refresh, bytes_per_grant }
    }

    /// Refreshes every grant until it has `each` live access tokens: all of them, and how many bytes a new one keeps.
    fn refresh(&mut self, each: usize) -> (Tokens, f64) {
        let start = Instant::now();
        let grants = self.access.len();
        let length = self.access.get(0).len();
        let mut all = Tokens::with_capacity(grants * each, length);
        let before = counts().live_bytes;
        for grant in 0..grants {
            all.push(self.access.get(grant));
            let mut refresh = self.refresh.get(grant).to_owned();
            for _ in 1..each {
                let answer = self.site.refresh(&refresh);
                all.push(&answer.access);
                refresh = answer.refresh;
            }
        }
        let new = all.len() - grants;
        let growth = (counts().live_bytes - before) as f64 / new as f64;
        eprintln!("made {new} access tokens of them in {:.1} s ..", start.elapsed().as_secs_f64());
        (all, growth)
    }
}

/// The same handle, with another authentication code: prefix, length and all the rest are right.
fn forge(handle: &str) -> String {
    let at = handle.len() - 8;
    let other = if handle.as_bytes()[at] == b'A' { 'B' } else { 'A' };
    format!("{}{other}{}", &handle[..at], &handle[at + 1..])
}
