//! What CustomApp shows.

use http::StatusCode;
use tower_oauth::escape;

use super::oauth::{Problem, Profile, Step};
use crate::page::Page;

const BRAND: &str = "CustomApp";

pub(super) fn welcome(issuer: &str) -> Page {
    let main = format!(
        r#"<h1>Hello, whoever you are</h1>
<p>{BRAND} does not know you. Connect your account at <strong>{}</strong>, and it will greet you by your name.
Your password stays there.</p>
<p><a class="button" href="/connect">Connect my account</a></p>"#,
        escape(issuer),
    );
    Page::new(BRAND, "Welcome", main)
}

pub(super) fn profile(profile: &Profile) -> Page {
    let main = format!(
        r#"<h1>Hello, {name}</h1>
<p>Your account <strong>{id}</strong> is connected.</p>
<h2>How that went</h2>
<ol>{steps}</ol>
<p><a class="button quiet" href="/connect">Connect again</a></p>"#,
        name = escape(&profile.name),
        id = escape(&profile.id),
        steps = profile.steps.iter().map(step).collect::<String>(),
    );
    Page::new(BRAND, "Your profile", main)
}

fn step(step: &Step) -> String {
    let detail = match step.detail.as_str() {
        "" => String::new(),
        detail => format!("<code>{}</code>", escape(detail)),
    };
    format!("<li>{}{detail}</li>", step.what)
}

pub(super) fn failed(problem: &Problem) -> Page {
    let main = format!(
        r#"<h1>Your account is not connected</h1>
<p class="alert" role="alert">The reason: {}.</p>
<p><a class="button" href="/connect">Try again</a></p>"#,
        escape(&problem.to_string()),
    );
    Page::new(BRAND, "Not connected", main).status(StatusCode::BAD_REQUEST)
}
