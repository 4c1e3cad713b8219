use http::{Request, header};

/// A request names two hosts, or one that nobody can read.
pub(super) struct Ambiguous;

/// The one host and port that a request is for, as it writes them
/// ([RFC 9112 §3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2),
/// [RFC 9113 §8.3.1](https://www.rfc-editor.org/rfc/rfc9113#section-8.3.1)); none in HTTP/1.0.
///
/// Where the target is absolute a server is to ignore `Host`, and a client to send it alike. One that does not is refused:
/// what is inside may go by the header, and would take the request for one of another issuer.
pub(super) fn authority<B>(request: &Request<B>) -> Result<Option<&str>, Ambiguous> {
    let mut values = request.headers().get_all(header::HOST).iter();
    let named = values.next().map(|value| value.to_str().map_err(|_| Ambiguous)).transpose()?;
    let target = request.uri().authority().map(http::uri::Authority::as_str);
    let differ = matches!((target, named), (Some(target), Some(named)) if !target.eq_ignore_ascii_case(named));
    if values.next().is_some() || differ {
        return Err(Ambiguous);
    }
    Ok(target.or(named))
}
