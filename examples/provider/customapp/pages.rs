//! What CustomApp shows.

use http::StatusCode;
use tower_oauth::escape;

use super::connection::Connection;
use super::oauth::Problem;
use super::steps::Step;
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

pub(super) fn profile(connection: &Connection) -> Page {
    let main = format!(
        r#"<h1>Hello, {name}</h1>
<p>Your account <strong>{id}</strong> is connected.</p>
<form method="post" class="choice">
<button formaction="/disconnect" class="quiet">Disconnect</button>
<button formaction="/stay">Stay connected</button>
</form>
{story}"#,
        name = escape(&connection.profile.name),
        id = escape(&connection.profile.id),
        story = story(connection),
    );
    Page::new(BRAND, "Your profile", main)
}

pub(super) fn over(connection: &Connection) -> Page {
    let main = format!(
        r#"<h1>Goodbye, {name}</h1>
<p>{BRAND} can no longer use your account <strong>{id}</strong>.</p>
<p><a class="button" href="/connect">Connect my account</a></p>
{story}"#,
        name = escape(&connection.profile.name),
        id = escape(&connection.profile.id),
        story = story(connection),
    );
    Page::new(BRAND, "Disconnected", main)
}

/// What was done last, and how the account was connected before that.
fn story(connection: &Connection) -> String {
    let began = list(&connection.began);
    match &*connection.latest {
        [] => format!("<h2>How that went</h2>{began}"),
        latest => format!(
            "<h2>What {BRAND} just did</h2>{latest}<details><summary>How it was connected</summary>{began}</details>",
            latest = list(latest),
        ),
    }
}

fn list(steps: &[Step]) -> String {
    format!("<ol>{}</ol>", steps.iter().map(step).collect::<String>())
}

fn step(step: &Step) -> String {
    let detail = match step.detail.as_str() {
        "" => String::new(),
        // A URL breaks where it can be read on.
        detail => format!("<code>{}</code>", escape(detail).to_string().replace('/', "/<wbr>")),
    };
    format!("<li>{}{detail}</li>", escape(&step.what))
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

/// A request of the app failed; its home page shows how the connection stands.
pub(super) fn not_done(problem: &Problem) -> Page {
    let main = format!(
        r#"<h1>That did not work</h1>
<p class="alert" role="alert">The reason: {}.</p>
<p><a class="button" href="/">Back</a></p>"#,
        escape(&problem.to_string()),
    );
    Page::new(BRAND, "Not done", main).status(StatusCode::BAD_GATEWAY)
}

pub(super) fn refused() -> Page {
    let main = r#"<h1>Nothing was changed</h1>
<p>Another site made this browser send a form to us.</p>
<p><a class="button" href="/">Back</a></p>"#;
    Page::new(BRAND, "Refused", main.into()).status(StatusCode::FORBIDDEN)
}
