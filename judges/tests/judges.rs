//! The corpus is what its program writes, and where another implementation judges otherwise, `DISAGREEMENTS.md` says why.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use judges::corpus::{all, folder, written};
use judges::judge::{Verdicts, expected, jose, jsonwebtoken};

#[test]
fn the_files_are_what_is_written() {
    let all = all();
    for (name, text) in &all {
        let file = fs::read_to_string(folder().join(name)).unwrap_or_default();
        assert!(
            file == *text,
            "tests/corpus/tokens/{name} is another: run `cargo run -p judges` and look at the difference"
        );
    }
    assert_eq!(fs::read_dir(folder()).expect("it is there").count(), all.len(), "a file that nobody writes");
}

#[test]
fn there_are_three_hundred_tokens_and_good_ones_among_them() {
    let cases: Vec<_> = written().into_iter().flat_map(|(_, family)| family.cases).collect();
    assert!(cases.len() >= 300, "{}", cases.len());
    let good = cases.iter().filter(|case| case.verdict == "Taken").count();
    assert!((50..cases.len() / 2).contains(&good), "{good} of {}", cases.len());
    assert!(cases.iter().all(|case| !case.why.is_empty()));
}

#[test]
fn jsonwebtoken_agrees_but_for_what_is_listed() {
    compare("jsonwebtoken", &jsonwebtoken());
}

#[test]
fn jose_agrees_but_for_what_is_listed() {
    compare("jose", &jose());
}

fn compare(judge: &str, verdicts: &Verdicts) {
    let expected = expected();
    assert!(expected.keys().eq(verdicts.keys()), "{judge} judged other cases");
    let differing = |taken_here: bool| {
        let differing = expected
            .iter()
            .filter(|(name, ours)| ours.is_none() == taken_here && verdicts[*name].is_none() != taken_here);
        differing.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>()
    };
    let mut wrong = Vec::new();
    for (heading, taken_here) in [("takes", false), ("refuses", true)] {
        let (listed, found) = (listed(&format!("`{judge}` {heading}")), differing(taken_here));
        wrong.extend(found.difference(&listed).map(|name| {
            format!("{judge} {heading} what is not listed: {name} ({:?}, {:?} here)", verdicts[name], expected[name])
        }));
        wrong.extend(listed.difference(&found).map(|name| format!("{judge} no more {heading}: {name}")));
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

/// What stands under the headings that begin so. Above each list there has to be a reason.
fn listed(heading: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("DISAGREEMENTS.md");
    let text = fs::read_to_string(path).expect("it is there");
    let mut names = BTreeSet::new();
    let (mut inside, mut reason) = (false, "");
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            (inside, reason) = (title.starts_with(heading), "");
        } else if let Some(name) = line.strip_prefix("- ").filter(|_| inside) {
            assert!(!reason.is_empty(), "no reason for {name}");
            assert!(names.insert(name.to_owned()), "{name} is listed twice");
        } else if inside && !line.is_empty() {
            reason = line;
        }
    }
    names
}
