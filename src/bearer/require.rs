use std::fmt;

use crate::config::OFFLINE_ACCESS;
use crate::types::Scope;

/// The scopes that a route needs: all of some, or any of some.
///
/// ```
/// use tower_oauth::Require;
///
/// let both: Require = "notes:read notes:write".into();
/// let either = Require::any(["notes:read", "admin"]);
/// ```
#[derive(Clone, Default)]
pub struct Require {
    /// A token needs one name of each group. The first name of a group is the one to ask for.
    groups: Vec<Vec<String>>,
}

impl Require {
    /// Every one of these.
    #[must_use]
    pub fn all<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        Self { groups: names.into_iter().map(|name| vec![name.as_ref().to_owned()]).collect() }
    }

    /// At least one of these. Where none is there, the answer names the first.
    #[must_use]
    pub fn any<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        Self { groups: vec![names.into_iter().map(|name| name.as_ref().to_owned()).collect()] }
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.groups.extend(more.groups);
    }

    /// Lets the broader scopes pass too: each pair is broad and narrow.
    pub(super) fn widen(&mut self, includes: &[(String, String)]) {
        for group in &mut self.groups {
            let mut at = 0;
            while let Some(narrow) = group.get(at).cloned() {
                for (broad, _) in includes.iter().filter(|(_, included)| *included == narrow) {
                    if !group.contains(broad) {
                        group.push(broad.clone());
                    }
                }
                at += 1;
            }
        }
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = impl Iterator<Item = &str>> {
        self.groups.iter().map(|group| group.iter().map(String::as_str))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().flatten().map(String::as_str)
    }

    /// What to ask for, so that all of it is there (RFC 6750 §3.1).
    pub(crate) fn scope(&self) -> String {
        let mut names = Vec::new();
        for name in self.groups.iter().filter_map(|group| group.first()) {
            // A refresh token is no matter of a resource, so no challenge asks for one.
            if name != OFFLINE_ACCESS && !names.contains(&&**name) {
                names.push(&**name);
            }
        }
        names.join(" ")
    }
}

impl From<&str> for Require {
    /// Every one of the names, spaces between them.
    fn from(names: &str) -> Self {
        Self::all(names.split(' ').filter(|name| !name.is_empty()))
    }
}

impl<const N: usize> From<[&str; N]> for Require {
    /// Every one of the names.
    fn from(names: [&str; N]) -> Self {
        Self::all(names)
    }
}

impl From<&Scope> for Require {
    /// Every token of the scope.
    fn from(scope: &Scope) -> Self {
        Self::all(scope.iter())
    }
}

impl fmt::Debug for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.groups).finish()
    }
}
