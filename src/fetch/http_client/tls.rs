//! TLS with one provider of cryptography, whatever the process has installed as its default.

use std::sync::Arc;

use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::fetch::BoxError;

/// Believes these roots, or else what the platform believes.
pub(super) fn connector(roots: Option<&[u8]>) -> Result<TlsConnector, BoxError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let config = match roots {
        Some(pem) => config.with_root_certificates(read(pem)?),
        None => config.dangerous().with_custom_certificate_verifier(Arc::new(Verifier::new(provider)?)),
    };
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // What one server had us remember is never said to another one, and a connection is for one request anyway.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn read(pem: &[u8]) -> Result<RootCertStore, BoxError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() { Err("there is no root certificate in the PEM".into()) } else { Ok(roots) }
}
