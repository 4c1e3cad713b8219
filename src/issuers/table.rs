//! Who answers what: pure look-ups by host and path, which allocate nothing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::iter::successors;
use std::sync::Arc;

use http::Uri;

use crate::config::ConfigError;
use crate::endpoint::{All, Claim};
use crate::provider::Provider;
use crate::types::{Issuer, Resource};

/// The issuers, by host and path.
#[derive(Default)]
pub(super) struct Table {
    issuers: HashMap<Issuer, Arc<All>>,
    /// By host and port, in lower case, the port left out where it is the default one.
    hosts: HashMap<Box<str>, Host>,
}

/// What is at one host.
struct Host {
    /// Two servers may share a name under two schemes, and no request says which of them it is for.
    scheme: Box<str>,
    /// The issuers of this origin, by all that can be behind the name of a well-known document or before an endpoint.
    endpoints: Tree<Arc<All>>,
    /// The resources of issuers.
    resources: Tree<Claimed>,
    /// Whose every resource here is, the host itself among them.
    whole: Option<Arc<All>>,
}

/// A resource, and whose it is.
struct Claimed {
    by: Arc<All>,
    /// Its path and query, as the service sees them.
    seen: Box<str>,
}

/// Whose a place is.
pub(super) enum Owner<'a> {
    /// Whatever the path is.
    OfHost(&'a Arc<All>),
    /// The path decided, perhaps that it is nobody's.
    OfPath(Option<&'a Arc<All>>),
    /// The path would decide, and can be read as another one.
    Ambiguous,
    /// No issuer has anything at this host.
    Nobody,
}

impl Table {
    pub(super) fn has(&self, provider: &Provider) -> bool {
        self.issuers.contains_key(&provider.0.config.issuer)
    }

    pub(super) fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.issuers.values().map(|issuer| issuer.provider())
    }

    /// Which endpoint a request is for, and of whom.
    pub(super) fn endpoint(&self, authority: Option<&str>, path: &str) -> Option<(&Arc<All>, Claim)> {
        let endpoints = &self.host(authority?)?.endpoints;
        endpoints.upwards(below_well_known(path)).find_map(|issuer| Some((issuer, issuer.at(path)?)))
    }

    /// Whose resource a request is for.
    pub(super) fn owner(&self, authority: Option<&str>, uri: &Uri) -> Owner<'_> {
        let Some(host) = authority.and_then(|authority| self.host(authority)) else { return Owner::Nobody };
        if let Some(issuer) = &host.whole {
            return Owner::OfHost(issuer);
        }
        if has_other_readings(uri.path()) {
            return Owner::Ambiguous;
        }
        let place = uri.path_and_query().map_or(uri.path(), |whole| whole.as_str());
        let mut claimed = host.resources.upwards(uri.path());
        Owner::OfPath(claimed.find(|claimed| Resource::is_below(place, &claimed.seen)).map(|claimed| &claimed.by))
    }

    fn host(&self, authority: &str) -> Option<&Host> {
        let authority = if authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(authority.to_ascii_lowercase())
        } else {
            Cow::Borrowed(authority)
        };
        self.hosts.get(&*authority).or_else(|| {
            let (name, scheme) = without_default_port(&authority)?;
            self.hosts.get(name).filter(|host| &*host.scheme == scheme)
        })
    }

    /// Adds an issuer, in place of what has its name.
    pub(super) fn insert(&mut self, provider: &Provider) -> Result<(), Vec<ConfigError>> {
        let seats = seats(provider);
        let taken: Vec<_> = self.taken(provider, &seats).map(ConfigError::Issuers).collect();
        if !taken.is_empty() {
            return Err(taken);
        }
        self.remove(provider.issuer());
        let issuer = Arc::new(All::new(provider));
        for seat in seats {
            let host = self.hosts.entry(seat.authority).or_insert_with(|| Host::new(seat.scheme));
            match seat.resource {
                None => host.endpoints.add(seat.path, Arc::clone(&issuer)),
                Some((_, seen)) => host.resources.add(seat.path, Claimed { by: Arc::clone(&issuer), seen }),
            }
            host.find_whole();
        }
        self.issuers.insert(provider.0.config.issuer.clone(), issuer);
        Ok(())
    }

    pub(super) fn remove(&mut self, issuer: &str) {
        let Some(gone) = self.issuers.remove(&Issuer::from(issuer)) else { return };
        for Seat { authority, path, resource, .. } in seats(gone.provider()) {
            let Some(host) = self.hosts.get_mut(&authority) else { continue };
            match resource {
                None => host.endpoints.drop_where(&path, |issuer| Arc::ptr_eq(issuer, &gone)),
                Some(_) => host.resources.drop_where(&path, |claimed| Arc::ptr_eq(&claimed.by, &gone)),
            }
            host.find_whole();
            if host.is_empty() {
                self.hosts.remove(&authority);
            }
        }
    }

    /// What another issuer has already.
    fn taken(&self, provider: &Provider, seats: &[Seat<'_>]) -> impl Iterator<Item = String> {
        let config = &provider.0.config;
        let own = provider.issuer();
        let is_other = move |issuer: &Arc<All>| issuer.provider().issuer() != own;
        let authority = config.origin.split_once("://").map(|(_, authority)| authority);
        let endpoints = config.paths.served().filter_map(move |path| {
            let host = self.hosts.get(authority?)?;
            let mut others = host.endpoints.upwards(below_well_known(path)).filter(|issuer| is_other(issuer));
            let other = others.find(|issuer| issuer.at(path).is_some())?.provider().issuer();
            Some(format!("{path:?} is an endpoint of `{other}` and of `{own}`: give one of them its own `Endpoints`"))
        });
        let places = seats.iter().filter_map(move |seat| {
            let host = self.hosts.get(&seat.authority)?;
            if *host.scheme != *seat.scheme && host.issuers().any(is_other) {
                let (name, scheme) = (&seat.authority, &seat.scheme);
                return Some(format!(
                    "{name:?} is at `{scheme}` for `{own}` and at `{}` for another: take one",
                    host.scheme
                ));
            }
            let (resource, seen) = seat.resource.as_ref()?;
            let mut others = host.resources.at(&seat.path).filter(|claimed| is_other(&claimed.by));
            let other = others.find(|claimed| alike(&claimed.seen, seen))?.by.provider().issuer();
            Some(format!(
                "`{resource}` is a resource of `{other}` and of `{own}`: give each its own by \
                 `.default_resource(..)` or `.resource(..)`"
            ))
        });
        endpoints.chain(places)
    }
}

impl Host {
    fn new(scheme: Box<str>) -> Self {
        Self { scheme, endpoints: Tree::default(), resources: Tree::default(), whole: None }
    }

    fn issuers(&self) -> impl Iterator<Item = &Arc<All>> {
        self.endpoints.all().chain(self.resources.all().map(|claimed| &claimed.by))
    }

    fn is_empty(&self) -> bool {
        self.issuers().next().is_none()
    }

    fn find_whole(&mut self) {
        let root = self.resources.at("").find(|claimed| claimed.seen.is_empty()).map(|claimed| &claimed.by);
        let is_alone = |root: &&Arc<All>| self.resources.all().all(|claimed| Arc::ptr_eq(&claimed.by, root));
        self.whole = root.filter(is_alone).cloned();
    }
}

/// Things by path.
struct Tree<T> {
    at: HashMap<Box<str>, Vec<T>>,
    /// No path here had more segments, so whoever asks for a very long one makes no more work.
    deepest: usize,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self { at: HashMap::new(), deepest: 0 }
    }
}

impl<T> Tree<T> {
    fn add(&mut self, path: Box<str>, thing: T) {
        self.deepest = self.deepest.max(path.matches('/').count());
        self.at.entry(path).or_default().push(thing);
    }

    fn drop_where(&mut self, path: &str, goes: impl Fn(&T) -> bool) {
        let Some(things) = self.at.get_mut(path) else { return };
        things.retain(|thing| !goes(thing));
        if things.is_empty() {
            self.at.remove(path);
        }
    }

    fn at(&self, path: &str) -> impl Iterator<Item = &T> {
        self.at.get(path).into_iter().flatten()
    }

    fn all(&self) -> impl Iterator<Item = &T> {
        self.at.values().flatten()
    }

    /// What is at a path, then what is above it, at last at the root.
    fn upwards<'a>(&self, path: &'a str) -> impl Iterator<Item = &T> {
        let end = path.match_indices('/').nth(self.deepest).map_or(path.len(), |(at, _)| at);
        let above = |path: &&'a str| path.rfind('/').map(|at| &path[..at]);
        successors(Some(&path[..end]), above).flat_map(|path| self.at(path))
    }
}

/// One thing that an issuer has at one place.
struct Seat<'a> {
    scheme: Box<str>,
    authority: Box<str>,
    path: Box<str>,
    /// With its path and query, as the service sees them. None: its endpoints.
    resource: Option<(&'a Resource, Box<str>)>,
}

/// All of them.
fn seats(provider: &Provider) -> Vec<Seat<'_>> {
    let config = &provider.0.config;
    let paths = &config.paths;
    let own = config.issuer.as_str();
    let mut seats: Vec<_> = seat(own, |path| path, None).into_iter().collect();
    if paths.is_stripped() {
        // What is seen of its endpoints does not begin with its path.
        seats.extend(seat(&config.origin, |path| path, None));
    }
    for resource in &config.resources {
        let text = resource.as_str();
        let is_own = config.resource_metadata(resource).is_some();
        if is_own && text != own {
            seats.extend(seat(text, |path| path, None));
        }
        let seen = |path| if is_own { paths.seen_place(path) } else { path };
        seats.extend(seat(text, seen, Some(resource)));
    }
    seats
}

fn seat<'a>(url: &'a str, seen: impl Fn(&'a str) -> &'a str, resource: Option<&'a Resource>) -> Option<Seat<'a>> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, place) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let authority = match without_default_port(&authority) {
        Some((name, default)) if default == scheme => name,
        _ => &authority,
    };
    let place = seen(place);
    let path = place.split('?').next().unwrap_or_default().trim_end_matches('/');
    let resource = resource.map(|resource| (resource, place.into()));
    Some(Seat { scheme: scheme.into(), authority: authority.into(), path: path.into(), resource })
}

/// A slash at the end makes another resource, and leaves nothing below it that could tell the two apart.
fn alike(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// Whether what is inside can take a path for another one: routers decode escapes, and servers of files go up where there
/// are two dots (RFC 3986 §6.2.2.2, §6.2.2.3).
fn has_other_readings(path: &str) -> bool {
    let is_step = |segment: &str| matches!(segment, "." | "..");
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
    // Nothing behind the last slash is an ordinary path.
    segments.next_back().is_some_and(is_step)
        || segments.any(|segment| segment.is_empty() || is_step(segment))
        || !path.is_ascii()
        || path.contains('\\')
        || escaped(path).any(has_one_meaning)
}

/// The bytes that are written as escapes.
fn escaped(path: &str) -> impl Iterator<Item = u8> {
    path.split('%').skip(1).filter_map(|rest| u8::from_str_radix(rest.get(..2)?, 16).ok())
}

/// Whether it means the same without an escape: an unreserved character, or what separates segments for somebody.
const fn has_one_meaning(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b'\\')
}

/// A host whose port is written out though it is the default one of a scheme.
fn without_default_port(authority: &str) -> Option<(&str, &'static str)> {
    let https = authority.strip_suffix(":443").map(|name| (name, "https"));
    https.or_else(|| authority.strip_suffix(":80").map(|name| (name, "http")))
}

/// What stands behind the name of a well-known document (RFC 8414 §3.1, RFC 9728 §3.1): the place that it is about.
fn below_well_known(path: &str) -> &str {
    let Some(name) = path.strip_prefix("/.well-known/") else { return path };
    name.find('/').map_or("", |at| &name[at..])
}
