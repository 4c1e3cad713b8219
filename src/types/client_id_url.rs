use super::redirect_uri::{authority, check_authority, has_dot_segment, is_canonical_host, is_uri_text};
use super::{ClientId, host_of};

/// The longest that is one, in bytes. It is shown to users, and a part of every record and index that names its client.
const MAX: usize = 1024;

impl ClientId {
    /// The host, where this is a client identifier URL
    /// ([draft-ietf-oauth-client-id-metadata-document-02 §3](https://www.ietf.org/archive/id/draft-ietf-oauth-client-id-metadata-document-02.html#section-3)):
    /// `https`, a host as browsers write it and maybe a port, a path without `.` and `..`, no user and no fragment.
    pub(crate) fn metadata_host(&self) -> Option<&str> {
        let text = self.as_str();
        let (rest, authority) = authority(text.strip_prefix("https:")?).ok()?;
        let good = text.len() <= MAX
            && is_uri_text(text)
            && check_authority(authority).is_ok()
            && is_canonical_host(host_of(text))
            && rest.starts_with('/')
            && !has_dot_segment(rest.split('?').next().unwrap_or_default());
        good.then(|| host_of(text))
    }
}
