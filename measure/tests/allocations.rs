//! The bearer layer allocates nothing of its own: what it adds to a request costs what inserting it by hand costs.

use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use measure::{
    counting::{Counting, allocations_of},
    flow::Site,
    service::{Bare, NoBody, answer, request},
};
use std::convert::Infallible;
use tower::{Layer, Service};
use tower_oauth::{Authorized, BearerLayer, Issuers, MemoryStore, Provider};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Inserts one extension, as a middleware written by hand for this one value would.
#[derive(Clone)]
struct Insert(Authorized);

impl Insert {
    fn answer(&self, mut request: Request<NoBody>) -> Response<NoBody> {
        request.extensions_mut().insert(self.0.clone());
        answer(&mut Bare, request)
    }
}

/// Keeps the `Authorized` of the request, to insert the same by hand.
#[derive(Clone, Default)]
struct Keep(std::sync::Arc<std::sync::Mutex<Option<Authorized>>>);

impl Service<Request<NoBody>> for Keep {
    type Response = Response<NoBody>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<NoBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<NoBody>) -> Self::Future {
        *self.0.lock().expect("a lock") = Authorized::from_extensions(request.extensions());
        std::future::ready(Ok(Response::new(NoBody::new())))
    }
}

/// Allocations of the layer, and of the same extension inserted by hand, for one request each.
fn allocations(site: &mut Site, layer: BearerLayer) -> (u64, u64) {
    let token = site.connect("user-00000000001").access;
    let keep = Keep::default();
    answer(&mut layer.layer(keep.clone()), request(&token));
    let by_hand = Insert(keep.0.lock().expect("a lock").take().expect("an `Authorized`"));

    let mut service = layer.layer(Bare);
    // Once before counting, for whatever a thread makes once.
    assert_eq!(answer(&mut service, request(&token)).status(), StatusCode::OK);

    let asked = request(&token);
    let (layered, response) = allocations_of(|| answer(&mut service, asked));
    assert_eq!(response.status(), StatusCode::OK);
    let asked = request(&token);
    let (inserted, _) = allocations_of(|| by_hand.answer(asked));
    (layered, inserted)
}

#[test]
fn the_bearer_layer_allocates_nothing_but_the_extension_it_inserts() {
    let mut site = Site::new();
    let layer = site.provider.bearer();
    let (layered, inserted) = allocations(&mut site, layer);
    assert!(inserted > 0, "an extension is allocated: does the counter count?");
    assert_eq!(layered, inserted);
}

#[test]
fn requiring_scopes_allocates_nothing() {
    let mut site = Site::new();
    let layer = site.provider.bearer().require("profile notes:read");
    let (layered, inserted) = allocations(&mut site, layer);
    assert_eq!(layered, inserted);
}

#[test]
fn a_store_of_many_grants_allocates_no_more_than_one_of_one() {
    let mut site = Site::new();
    for number in 0..1_000 {
        site.connect(&measure::flow::subject(number));
    }
    let layer = site.provider.bearer().require("profile");
    let (layered, inserted) = allocations(&mut site, layer);
    assert_eq!(layered, inserted);
}

/// What passes a set of issuers by costs what it costs without one, where a host is of one issuer or of none.
#[test]
fn a_set_of_issuers_allocates_nothing_for_what_it_passes_on() {
    let issuer = |issuer: String| Provider::builder(issuer).store(MemoryStore::new()).build().expect("a provider");
    let many = (0..100).map(|number| issuer(format!("https://tenant-{number}.example")));
    let issuers = Issuers::new(many).expect("they share nothing");
    let mut service = issuers.layer().layer(Bare);
    for host in ["tenant-42.example", "tenant-42.example:443", "nobody.example"] {
        let asked = || {
            let mut request = request("x");
            request.headers_mut().insert(header::HOST, HeaderValue::from_static(host));
            *request.uri_mut() = Uri::from_static("/v1/users/me?page=2");
            request
        };
        let (first, second) = (asked(), asked());
        let (bare, _) = allocations_of(|| answer(&mut Bare, first));
        let (layered, _) = allocations_of(|| drop(answer(&mut service, second)));
        assert_eq!(layered, bare, "{host}");
    }
}

/// A set's bearer layer is the one of the issuer that is asked, which it made before.
#[test]
fn the_bearer_layer_of_a_set_allocates_nothing_but_the_extension_either() {
    let mut site = Site::new();
    let token = site.connect("user-00000000001").access;
    let issuers = Issuers::new([site.provider.clone()]).expect("one");
    let mut of_a_set = issuers.bearer(Provider::bearer).layer(Bare);
    let mut of_one = site.provider.bearer().layer(Bare);
    let host = site.provider.issuer().trim_start_matches("https://").to_owned();
    let asked = || {
        let mut request = request(&token);
        request.headers_mut().insert(header::HOST, HeaderValue::try_from(&host).expect("a host"));
        request
    };
    assert_eq!(answer(&mut of_a_set, asked()).status(), StatusCode::OK);
    let (first, second) = (asked(), asked());
    let (one, _) = allocations_of(|| answer(&mut of_one, first));
    let (set, response) = allocations_of(|| answer(&mut of_a_set, second));
    assert_eq!((response.status(), set), (StatusCode::OK, one));
}
