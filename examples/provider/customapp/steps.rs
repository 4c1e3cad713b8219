//! What happened, told to the curious; an app of your own tells nobody.

#[derive(Clone)]
pub(super) struct Step {
    pub(super) what: String,
    /// The request or the answer, without its secrets.
    pub(super) detail: String,
}

impl Step {
    pub(super) fn new(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), detail: detail.into() }
    }
}

pub(super) fn shown(parameters: &[(&str, &str)]) -> String {
    let lines: Vec<_> = parameters.iter().map(|(name, value)| format!("{name} = {}", short(value))).collect();
    lines.join("\n")
}

/// Enough of a secret to recognise it, and too little to use it.
pub(super) fn short(value: &str) -> String {
    match value.char_indices().nth(8) {
        Some((end, _)) if value.len() > 40 && !value.contains("://") => format!("{}…", &value[..end]),
        _ => value.to_owned(),
    }
}
