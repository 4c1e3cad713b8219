//! What SECURITY.md names is there: every file, every function that it names in one, and every test.
//!
//! The last part of this file plants wrong rows, so that the check itself is known to fail when it should.

use std::{fs, path::Path};

/// The tables that are checked start so, and each of their rows has three cells.
const COLUMNS: &str = "| what | where it stops | test |";

/// Where the files are that SECURITY.md names.
const FOLDERS: [&str; 3] = ["src/", "tests/", "examples/"];

#[test]
fn every_name_in_the_document_is_true() {
    let mut mistakes = mistakes(&document(), read);
    // The published package has a `Cargo.toml.orig`, and is the only place without the browser's tests.
    let packaged = read("Cargo.toml.orig").is_some();
    mistakes.retain(|mistake| !(packaged && mistake.contains("tests/browser/")));
    assert!(mistakes.is_empty(), "\n{}\n", mistakes.join("\n"));
}

/// Nine groups of what goes wrong, and the attacks.
#[test]
fn every_table_is_read() {
    let document = document();
    let tables: Vec<_> =
        document.split(COLUMNS).skip(1).map(|table| rows(&format!("{COLUMNS}{table}")).len()).collect();
    assert_eq!(tables.len(), 10, "{tables:?}");
    assert!(tables.iter().all(|rows| *rows >= 10), "{tables:?}");
    assert_eq!(tables.iter().sum::<usize>(), rows(&document).len());
}

#[test]
fn no_row_is_there_twice() {
    let document = document();
    let mut seen: Vec<_> = rows(&document).iter().map(|row| row.cells[0]).collect();
    seen.sort_unstable();
    let twice: Vec<_> = seen.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

fn document() -> String {
    read("SECURITY.md").expect("it is there")
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

// ---- the check ------------------------------------------------------------------------------------------------------

struct Row<'a> {
    line: usize,
    cells: Vec<&'a str>,
}

/// The rows of all tables with these columns.
fn rows(document: &str) -> Vec<Row<'_>> {
    let mut found = Vec::new();
    let mut inside = false;
    for (at, line) in document.lines().enumerate() {
        inside = line == COLUMNS || inside && line.starts_with('|');
        if inside && line != COLUMNS && !line.starts_with("|---") {
            let cells = line.trim_matches('|').split('|').map(str::trim).collect();
            found.push(Row { line: at + 1, cells });
        }
    }
    found
}

/// What is between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn mistakes(document: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for Row { line, cells } in rows(document) {
        let [_, places, tests] = cells[..] else {
            found.push(format!("line {line}: {} cells", cells.len()));
            continue;
        };
        let wrong = wrong_places(places, &read).into_iter().chain(wrong_tests(tests, &read));
        found.extend(wrong.map(|wrong| format!("line {line}: {wrong}")));
    }
    for (at, line) in document.lines().enumerate().filter(|(_, line)| !line.starts_with('|')) {
        let files = quoted(line).filter(|name| FOLDERS.iter().any(|folder| name.starts_with(folder)));
        let missing = files.filter(|name| read(name).is_none());
        found.extend(missing.map(|name| format!("line {}: there is no file {name}", at + 1)));
    }
    found
}

/// Files, and behind each of them the functions in it that do the work.
fn places(cell: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for name in quoted(cell) {
        match found.last_mut() {
            Some((_, functions)) if !name.contains('/') => functions.push(name),
            _ => found.push((name, Vec::new())),
        }
    }
    found
}

fn wrong_places(cell: &str, read: &impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, functions) in places(cell) {
        match read(path) {
            None => wrong.push(format!("there is no file {path}")),
            Some(_) if functions.is_empty() => wrong.push(format!("no function of {path} is named")),
            Some(source) => {
                let missing = functions.into_iter().filter(|name| !has_function(&source, name));
                wrong.extend(missing.map(|name| format!("there is no function {name} in {path}")));
            }
        }
    }
    if quoted(cell).next().is_none() {
        wrong.push("no place is named".to_owned());
    }
    wrong
}

/// Outside of comments, and before the tests that a file ends with.
fn has_function(source: &str, name: &str) -> bool {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().any(|line| function_of(line) == Some(name))
}

/// The function that a line declares.
fn function_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let (before, rest) = line.split_once("fn ")?;
    let declares = before.is_empty() || before.ends_with(' ') && !before.starts_with("//");
    let end = rest.find(['(', '<'])?;
    declares.then_some(&rest[..end])
}

/// `chapter::name` in `tests/chapter.rs`, or `path::name`.
fn wrong_tests(cell: &str, read: &impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for test in quoted(cell) {
        let Some((file, name)) = test.split_once("::") else {
            wrong.push(format!("{test} is no test"));
            continue;
        };
        let path = if file.contains('/') { file.to_owned() } else { format!("tests/{file}.rs") };
        match read(&path) {
            None => wrong.push(format!("there is no file {path}")),
            Some(source) if path.ends_with(".js") && has_story(&source, name) => {}
            Some(source) if path.ends_with(".rs") && has_test(&source, name) => {}
            Some(_) => wrong.push(format!("there is no test {name} in {path}")),
        }
    }
    if quoted(cell).next().is_none() {
        wrong.push("no test is named".to_owned());
    }
    wrong
}

/// A function that is marked as a test, and is run.
fn has_test(source: &str, name: &str) -> bool {
    let (mut marked, mut ignored) = (false, false);
    for line in source.lines() {
        let trimmed = line.trim_start();
        marked |= trimmed.starts_with("#[test]") || trimmed.starts_with("#[tokio::test");
        ignored |= trimmed.starts_with("#[ignore");
        if let Some(function) = function_of(line) {
            if function == name {
                return marked && !ignored;
            }
            (marked, ignored) = (false, false);
        }
    }
    false
}

/// A test of the browser, by its title.
fn has_story(source: &str, title: &str) -> bool {
    ["story", "test"].iter().any(|call| source.lines().any(|line| line.starts_with(&format!("{call}('{title}',"))))
}

// ---- the check of the check -----------------------------------------------------------------------------------------

/// A house with one file of each kind.
fn planted(path: &str) -> Option<String> {
    let text = match path {
        "src/grant.rs" => {
            "/// Not the fn ghost() here.\n// fn ghost() {}\nimpl Grant {\n    pub(crate) const fn redeem<T>(&self) {}\n}\n\
             fn same() {}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn it_holds() {}\n\n    fn helper() {}\n}\n"
        }
        "tests/token.rs" => {
            "#[tokio::test(flavor = \"multi_thread\")]\n#[should_panic]\nasync fn one_wins() {}\n\nfn helper() {}\n\n\
             #[test]\n#[ignore]\nfn later() {}\n\nproptest! {\n    #[test]\n    fn whatever_comes(\n        a in 0..1,\n    ) {}\n}\n"
        }
        "tests/browser/provider.test.js" => "story('a person logs in', async () => {});\n// story('nobody', )\n",
        _ => return None,
    };
    Some(text.to_owned())
}

fn found_in(rows: &str) -> Vec<String> {
    mistakes(&format!("# Title\n\n{COLUMNS}\n|---|---|---|\n{rows}\n"), planted)
}

#[track_caller]
fn refused(place: &str, test: &str, why: &str) {
    assert_eq!(found_in(&format!("| a row | {place} | {test} |")), [format!("line 5: {why}")], "{place} {test}");
}

const PLACE: &str = "`src/grant.rs` `redeem`";
const TEST: &str = "`token::one_wins`";

#[test]
fn a_true_row_is_accepted() {
    for (place, test) in [
        (PLACE, TEST),
        (
            "`src/grant.rs` `redeem`, `same`; `src/grant.rs` `same` (twice)",
            "`token::one_wins`, `src/grant.rs::it_holds`",
        ),
        (PLACE, "`token::whatever_comes`"),
        (PLACE, "`tests/browser/provider.test.js::a person logs in`"),
    ] {
        assert_eq!(found_in(&format!("| a row of `words` | {place} | {test} |")), [""; 0]);
    }
}

#[test]
fn a_wrong_place_is_found() {
    refused("`src/nowhere.rs` `redeem`", TEST, "there is no file src/nowhere.rs");
    refused("`src/grant.rs` `redeemed`", TEST, "there is no function redeemed in src/grant.rs");
    refused("`src/grant.rs` `redeem`, `rede`", TEST, "there is no function rede in src/grant.rs");
    refused("`src/grant.rs` `ghost`", TEST, "there is no function ghost in src/grant.rs");
    refused("`src/grant.rs` `it_holds`", TEST, "there is no function it_holds in src/grant.rs");
    refused("`src/grant.rs`", TEST, "no function of src/grant.rs is named");
    refused("`src/grant.rs`; `src/grant.rs` `same`", TEST, "no function of src/grant.rs is named");
    refused("`redeem`", TEST, "there is no file redeem");
    refused("somewhere", TEST, "no place is named");
}

#[test]
fn a_wrong_test_is_found() {
    refused(PLACE, "`tokens::one_wins`", "there is no file tests/tokens.rs");
    refused(PLACE, "`token::two_win`", "there is no test two_win in tests/token.rs");
    refused(PLACE, "`token::helper`", "there is no test helper in tests/token.rs");
    refused(PLACE, "`token::later`", "there is no test later in tests/token.rs");
    refused(PLACE, "`src/grant.rs::redeem`", "there is no test redeem in src/grant.rs");
    refused(PLACE, "`src/grant.rs::helper`", "there is no test helper in src/grant.rs");
    refused(PLACE, "`one_wins`", "one_wins is no test");
    refused(PLACE, "none yet", "no test is named");
    let browser = "tests/browser/provider.test.js";
    refused(PLACE, &format!("`{browser}::nobody`"), &format!("there is no test nobody in {browser}"));
}

#[test]
fn a_wrong_row_is_found_among_others_and_in_the_document_itself() {
    let good = format!("| a row | {PLACE} | {TEST} |");
    let found = found_in(&format!("{good}\n| two | cells |\n{good}\n| a row | {PLACE} | `token::gone` |"));
    assert_eq!(found, ["line 6: 2 cells", "line 8: there is no test gone in tests/token.rs"]);
    let planted = "| a row | `src/grant.rs` `redeems` | `token::only_post_is_taken` |";
    let document = document().replacen("|---|---|---|\n", &format!("|---|---|---|\n{planted}\n"), 1);
    let found = mistakes(&document, read);
    assert!(found.iter().any(|found| found.ends_with("there is no function redeems in src/grant.rs")), "{found:?}");
}

#[test]
fn a_file_that_is_named_in_the_text_is_there() {
    let found = mistakes("See `src/grant.rs`.\n\nAnd `tests/nowhere.rs`, `issuer` and `/path`.\n", planted);
    assert_eq!(found, ["line 3: there is no file tests/nowhere.rs"]);
}
