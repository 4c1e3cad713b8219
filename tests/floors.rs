//! The floors of the house (DESIGN.md): a file of `src` imports only from lower floors or from its own folder, and on
//! its floor from the rooms named before its own. Floors 1 to 3 are pure: no `async`, no Tower, no request.
//!
//! The sources are read as tokens, without comments, literals and test-only code. The last part of this file plants
//! violations, so that the check itself is known to fail when it should.

use std::{collections::BTreeSet, fs, path::Path};

/// The floors, lowest first, by module directly under `src`: a file or a folder. A room may use those before it on its
/// floor and never those after it, so that no two need each other.
const FLOORS: &[(u8, &[&str])] = &[
    (1, &["types", "error"]),
    (2, &["clock", "mac", "secret", "jwt", "dpop", "handle", "client", "registration", "config"]),
    (3, &["grant", "authorization", "revoked_list"]),
    (4, &["fetch", "event", "store"]),
    (5, &["provider"]),
    (6, &["page", "span", "http", "grant_type", "bearer", "resource_server"]),
    (7, &["endpoint", "issuers", "mcp", "extract", "testing", "guide", "lib"]),
];

/// The crate's root re-exports from every floor.
const ROOT: &str = "lib.rs";

/// Floors up to this one know no I/O.
const LAST_PURE_FLOOR: u8 = 3;

/// What a pure floor may not mention.
const IMPURE: &[&str] = &["async", "await", "Future", "tokio", "tower", "tower_http", "tower_layer", "tower_service"];

#[test]
fn every_file_keeps_to_its_floor() {
    let files = sources();
    let violations = violations(&files);
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn every_floor_is_inhabited() {
    let files = sources();
    for (floor, modules) in FLOORS {
        assert!(
            files.iter().any(|file| place_of(&file.path).is_some_and(|place| place.floor == *floor)),
            "no file on floor {floor} ({}): does the check still read the sources?",
            modules.join(", ")
        );
    }
}

// ---- the check ------------------------------------------------------------------------------------------------------

struct Source {
    /// Below `src`, with `/`.
    path: String,
    text: String,
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, below: &str, found: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let entry = entry.expect("a readable entry").path();
            let name = entry.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
            let path = format!("{below}{name}");
            if entry.is_dir() {
                walk(&entry, &format!("{path}/"), found);
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&entry).expect("a readable source");
                found.push(Source { path, text });
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn violations(files: &[Source]) -> Vec<String> {
    let mut test_only = BTreeSet::new();
    let mut parsed = Vec::new();
    for file in files {
        let (tokens, test_modules) = without_tests(&tokens(&file.text));
        let module = module_of(&file.path);
        test_only.extend(test_modules.into_iter().map(|name| [module.clone(), vec![name]].concat()));
        parsed.push((file, module, tokens));
    }
    parsed
        .into_iter()
        .filter(|(_, module, _)| !test_only.contains(module))
        .flat_map(|(file, module, tokens)| check(&file.path, &module, &tokens))
        .collect()
}

fn check(path: &str, module: &[String], tokens: &[Token]) -> Vec<String> {
    let Some(place) = place_of(path) else {
        return vec![format!("src/{path} is on no floor: add its module to `FLOORS` in tests/floors.rs")];
    };
    let mut found = Vec::new();
    for Import { line, path: target } in imports(module, tokens) {
        let top = top_module(&target);
        if place_by_name(top) >= Some(place) && top_of(path) != top && path != ROOT {
            found.push(format!(
                "src/{path}:{line} (floor {}) imports `crate::{}` (`{top}`, floor {})",
                place.floor,
                target.join("::"),
                place_by_name(top).map_or(0, |place| place.floor),
            ));
        }
    }
    if place.floor <= LAST_PURE_FLOOR {
        let floor = place.floor;
        for (line, what) in impurities(tokens) {
            found.push(format!("src/{path}:{line} (floor {floor}, which is pure) mentions `{what}`"));
        }
    }
    found
}

/// The module under `src` a file belongs to: `bearer` for `bearer/layer.rs`, `grant` for `grant.rs`.
fn top_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Ordered: a higher floor is above a lower one, and on a floor a later room above an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    floor: u8,
    room: usize,
}

fn place_of(path: &str) -> Option<Place> {
    place_by_name(top_of(path))
}

fn place_by_name(module: &str) -> Option<Place> {
    FLOORS.iter().find_map(|(floor, rooms)| {
        let room = rooms.iter().position(|room| *room == module)?;
        Some(Place { floor: *floor, room })
    })
}

/// A name that is no module directly under `src` comes through the crate's root, that is `lib.rs`.
fn top_module(target: &[String]) -> &str {
    target.first().map(String::as_str).filter(|name| place_by_name(name).is_some()).unwrap_or("lib")
}

fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { Vec::new() } else { path.split('/').map(String::from).collect() }
}

struct Import {
    line: usize,
    /// From the crate's root.
    path: Vec<String>,
}

/// Every path that starts at `crate` or `super`, in `use` and elsewhere.
fn imports(file: &[String], tokens: &[Token]) -> Vec<Import> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let previous = at.checked_sub(1).map(|before| tokens[before].text.as_str());
        match tokens[at].text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inline.pop_if(|(_, opened)| *opened == depth);
            }
            "mod" if text(tokens, at + 2) == "{" => inline.push((text(tokens, at + 1).to_owned(), depth)),
            // `pub(in crate::store)` says who may see, not what is used.
            "crate" if text(tokens, at + 1) == "::" && previous != Some("in") => {
                tree(tokens, &mut (at + 2), &[], tokens[at].line, &mut found);
            }
            "super" if text(tokens, at + 1) == "::" && previous != Some("::") && previous != Some("in") => {
                let mut base = file.to_vec();
                base.extend(inline.iter().map(|(name, _)| name.clone()));
                let mut next = at;
                while text(tokens, next) == "super" {
                    base.pop();
                    next += 2;
                }
                tree(tokens, &mut next, &base, tokens[at].line, &mut found);
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The leaves of `a::{b, c::{d, e as f}, *}`.
fn tree(tokens: &[Token], at: &mut usize, prefix: &[String], line: usize, found: &mut Vec<Import>) {
    let mut path = prefix.to_vec();
    loop {
        match text(tokens, *at) {
            "{" => {
                *at += 1;
                while !matches!(text(tokens, *at), "}" | "") {
                    let line = tokens[*at].line;
                    tree(tokens, at, &path, line, found);
                    while !matches!(text(tokens, *at), "," | "}" | "") {
                        *at += 1;
                    }
                    if text(tokens, *at) == "," {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            name if name.starts_with(|c: char| c.is_alphabetic() || c == '_') || name == "*" => {
                if name != "self" {
                    path.push(name.to_owned());
                }
                *at += 1;
                if text(tokens, *at) != "::" {
                    break;
                }
                *at += 1;
            }
            _ => break,
        }
    }
    found.push(Import { line, path });
}

fn impurities(tokens: &[Token]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if IMPURE.contains(&token.text.as_str()) {
            found.push((token.line, token.text.clone()));
        }
        let own = at >= 2 && tokens[at - 1].text == "::" && tokens[at - 2].text == "crate";
        if token.text == "http" && text(tokens, at + 1) == "::" && !own {
            let mut leaves = Vec::new();
            tree(tokens, &mut (at + 2), &[], token.line, &mut leaves);
            let requests = leaves.iter().filter(|leaf| {
                leaf.path.first().is_some_and(|name| matches!(name.as_str(), "Request" | "request" | "*"))
            });
            found.extend(requests.map(|leaf| (leaf.line, format!("http::{}", leaf.path.join("::")))));
        }
    }
    found
}

// ---- reading Rust ---------------------------------------------------------------------------------------------------

struct Token {
    line: usize,
    /// A word, `::`, or one other character.
    text: String,
}

fn text(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

/// The tokens, without comments, literals and lifetimes.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let is = |at: usize, wanted: char| chars.get(at) == Some(&wanted);
    let word = |at: usize| chars.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let start = at;
        match chars[at] {
            '/' if is(at + 1, '/') => {
                while at < chars.len() && chars[at] != '\n' {
                    at += 1;
                }
            }
            '/' if is(at + 1, '*') => {
                let mut open = 0;
                loop {
                    if is(at, '/') && is(at + 1, '*') {
                        open += 1;
                        at += 2;
                    } else if is(at, '*') && is(at + 1, '/') {
                        open -= 1;
                        at += 2;
                    } else {
                        at += 1;
                    }
                    if open == 0 || at >= chars.len() {
                        break;
                    }
                }
            }
            '"' => at = after_string(&chars, at + 1),
            // A character, or else a lifetime or label.
            '\'' if is(at + 1, '\\') => {
                at += 3;
                while at < chars.len() && chars[at] != '\'' {
                    at += 1;
                }
                at += 1;
            }
            '\'' if is(at + 2, '\'') => at += 3,
            '\'' => {
                at += 1;
                while word(at) {
                    at += 1;
                }
            }
            _ if word(at) => {
                while word(at) {
                    at += 1;
                }
                let text: String = chars[start..at].iter().collect();
                let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
                match text.as_str() {
                    "r" | "br" | "cr" if is(at + hashes, '"') => {
                        at = after_raw_string(&chars, at + hashes + 1, hashes);
                    }
                    "b" | "c" if is(at, '"') => at = after_string(&chars, at + 1),
                    // `r#type`: the word itself follows.
                    "r" if hashes == 1 && word(at + 1) => at += 1,
                    _ => found.push(Token { line, text }),
                }
            }
            ':' if is(at + 1, ':') => {
                at += 2;
                found.push(Token { line, text: "::".to_owned() });
            }
            c => {
                at += 1;
                if !c.is_whitespace() {
                    found.push(Token { line, text: c.to_string() });
                }
            }
        }
        at = at.min(chars.len());
        line += chars[start..at].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn after_string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn after_raw_string(chars: &[char], mut at: usize, hashes: usize) -> usize {
    while at < chars.len() {
        if chars[at] == '"' && chars[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    at
}

/// Leaves out every item under `#[cfg(test)]`; names the modules among them that are files of their own.
fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let mut kept = Vec::new();
    let mut files = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let all = ["#", "[", "cfg", "(", "all", "(", "test", ","];
        let starts = |wanted: &[&str]| wanted.iter().enumerate().all(|(n, word)| text(tokens, at + n) == *word);
        if starts(&["#", "[", "cfg", "(", "test", ")", "]"]) || starts(&all) {
            let mut open = 0_usize;
            loop {
                let word = text(tokens, at);
                if word == "mod" && text(tokens, at + 2) == ";" && open == 0 {
                    files.push(text(tokens, at + 1).to_owned());
                }
                match word {
                    "(" | "[" | "{" => open += 1,
                    ")" | "]" | "}" => open = open.saturating_sub(1),
                    _ => {}
                }
                at += 1;
                let ends = word == ";" || word == "}";
                if at >= tokens.len() || (ends && open == 0) {
                    break;
                }
            }
        } else {
            kept.push(Token { line: tokens[at].line, text: tokens[at].text.clone() });
            at += 1;
        }
    }
    (kept, files)
}

// ---- the check of the check -----------------------------------------------------------------------------------------

fn found_in(path: &str, text: &str) -> Vec<String> {
    violations(&[Source { path: path.to_owned(), text: text.to_owned() }])
}

#[track_caller]
fn refused(path: &str, text: &str, line: usize, names: &str) {
    let found = found_in(path, text);
    assert_eq!(found.len(), 1, "one violation in {path}:\n{text}\nfound {found:?}");
    assert!(found[0].starts_with(&format!("src/{path}:{line} ")) && found[0].contains(names), "{}", found[0]);
}

#[track_caller]
fn accepted(path: &str, text: &str) {
    assert_eq!(found_in(path, text), Vec::<String>::new(), "{path}:\n{text}");
}

#[test]
fn an_import_from_a_higher_floor_is_found_however_it_is_written() {
    refused("types/scope.rs", "use crate::provider::Provider;", 1, "crate::provider::Provider");
    refused(
        "grant.rs",
        "use crate::{\n    types::Scope,\n    store::{GrantStore as Store},\n};",
        3,
        "store::GrantStore",
    );
    refused("store/memory.rs", "use super::super::bearer::*;", 1, "crate::bearer::*");
    refused("config.rs", "fn f() {\n    crate::grant::Grant::new::<u8>();\n}", 2, "crate::grant::Grant");
    refused("client.rs", "mod inner {\n    use super::super::store::Store;\n}", 2, "crate::store::Store");
    refused("provider/mod.rs", "pub(crate) use super::endpoint::Token;", 1, "crate::endpoint::Token");
    refused("store/mod.rs", "pub use crate::grant_type::{self as other};", 1, "crate::grant_type");
}

#[test]
fn on_one_floor_a_room_may_use_those_before_it_and_never_those_after_it() {
    accepted("authorization/decision.rs", "use crate::grant::Grant;");
    refused("grant.rs", "use crate::authorization::Approval;", 1, "authorization::Approval");
    accepted("handle.rs", "use crate::secret::Secret;");
    refused("secret.rs", "use crate::handle::Handles;", 1, "handle::Handles");
}

#[test]
fn a_name_taken_through_the_crate_root_counts_as_the_root() {
    refused("store/memory.rs", "use crate::Scope;", 1, "`lib`, floor 7");
    refused("authorization/request.rs", "fn f(scope: crate::Scope) {}", 1, "`lib`, floor 7");
}

#[test]
fn a_file_on_no_floor_is_found() {
    let found = found_in("utils.rs", "");
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("src/utils.rs is on no floor"), "{}", found[0]);
}

#[test]
fn a_pure_floor_may_not_wait_serve_or_see_a_request() {
    refused("grant.rs", "pub async fn redeem() {}", 1, "`async`");
    refused("types/scope.rs", "fn f() {\n    g().await\n}", 2, "`await`");
    refused("secret.rs", "use tower::Service;", 1, "`tower`");
    refused("client.rs", "use tower_http::csrf;", 1, "`tower_http`");
    refused("config.rs", "fn f(request: http::Request<()>) {}", 1, "`http::Request`");
    refused(
        "authorization/request.rs",
        "use http::{\n    HeaderMap,\n    request::Parts,\n};",
        3,
        "`http::request::Parts`",
    );
    refused("error.rs", "fn f() -> impl Future<Output = ()> {}", 1, "`Future`");
}

#[test]
fn lower_floors_and_ones_own_folder_are_open() {
    accepted("store/memory.rs", "use super::{GrantStore, Store};\nuse crate::grant::Grant;");
    accepted("bearer/layer.rs", "use super::service::Bearer;\nuse crate::bearer::verify::Verify;");
    accepted("endpoint/token.rs", "use crate::{provider::Provider, http::Form};");
    accepted("authorization/decision.rs", "use http::{Extensions, Response};");
    accepted("lib.rs", "pub use crate::{endpoint::Token, types::Scope};\nmod types;");
    accepted("store/mod.rs", "pub(in crate::provider) fn f() {}");
    accepted("provider.rs", "async fn f(request: http::Request<()>) { g().await }");
}

#[test]
fn comments_literals_and_tests_are_not_imports() {
    accepted("types/mod.rs", "//! See [`crate::provider`]. /* crate::provider */\nfn f<'a>(a: &'a str) {}");
    accepted("types/mod.rs", "/* one /* crate::store::A */ async */ const A: &str = \"async \\\" crate::store::A\";");
    accepted(
        "types/mod.rs",
        "const A: &str = r#\"crate::store::A \" async\"#; const B: char = '\"'; const C: char = '\\'';",
    );
    accepted("types/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::provider::Provider;\n    async fn f() {}\n}");
    accepted("types/mod.rs", "#[cfg(all(test, feature = \"memory\"))]\nuse crate::provider::Provider;");
    refused("types/mod.rs", "#[cfg(test)]\nmod tests {}\nuse crate::store::Store;", 3, "crate::store::Store");
    refused(
        "types/mod.rs",
        "const A: char = '\"';\nuse crate::store::Store;\nconst B: char = '\"';",
        2,
        "crate::store::Store",
    );
}

#[test]
fn a_file_of_tests_is_exempt_where_its_parent_says_so() {
    let files = |declaration: &str| {
        vec![
            Source { path: "grant/mod.rs".to_owned(), text: declaration.to_owned() },
            Source { path: "grant/tests.rs".to_owned(), text: "use crate::store::Store;".to_owned() },
        ]
    };
    assert_eq!(violations(&files("#[cfg(test)]\nmod tests;")), Vec::<String>::new());
    assert_eq!(violations(&files("mod tests;")).len(), 1);
}
