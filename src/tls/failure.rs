//! What handshakes come to, as it is counted: one label each, whatever the peer sent.

use rustls::{AlertDescription, Error, PeerIncompatible};

use crate::metrics::{TLS_HANDSHAKES, TLS_RELOADS};

/// Every value of the label `result` of `uproar_tls_handshakes_total`.
pub(crate) const RESULTS: [&str; 12] = [
    "full",
    "resumed",
    "version",
    "cipher",
    "alpn",
    "client_certificate",
    "refused_by_peer",
    "malformed",
    "incompatible",
    "timeout",
    "lost",
    "internal",
];

/// Every value of the label `result` of `uproar_tls_reloads_total`.
pub(crate) const RELOADS: [&str; 2] = ["loaded", "failed"];

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The peer speaks no version of TLS that is allowed here.
    Version,
    /// Nor any cipher, group or signature.
    Cipher,
    /// The peer wants to speak something else than HTTP/1.1.
    Alpn,
    /// The peer's certificate is missing or is not one of those that are let in.
    ClientCertificate,
    /// The peer sent an alert: most often it does not trust the server's certificate.
    RefusedByPeer,
    /// What came is not a handshake.
    Malformed,
    /// Something else that peer and server cannot agree on.
    Incompatible,
    /// It was not complete in time.
    Timeout,
    /// The peer went away.
    Lost,
    /// Something went wrong here.
    Internal,
}

impl Failure {
    /// The label under which it is counted.
    #[must_use]
    pub(crate) const fn label(self) -> &'static str {
        RESULTS[2 + self as usize]
    }

    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::PeerIncompatible(reason) => incompatible(reason),
            Error::AlertReceived(AlertDescription::CloseNotify) => Self::Lost,
            Error::AlertReceived(_) => Self::RefusedByPeer,
            Error::NoApplicationProtocol => Self::Alpn,
            Error::NoCertificatesPresented
            | Error::InvalidCertificate(_)
            | Error::UnsupportedNameType
            | Error::InvalidCertRevocationList(_) => Self::ClientCertificate,
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::DecryptError
            | Error::PeerSentOversizedRecord
            | Error::PeerMisbehaved(_) => Self::Malformed,
            _ => Self::Internal,
        }
    }

    pub(super) fn count(self) {
        count(self.label());
    }
}

fn incompatible(reason: &PeerIncompatible) -> Failure {
    match reason {
        // Older versions have no such extension.
        PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::Tls13RequiredForQuic => Failure::Version,
        PeerIncompatible::NoCipherSuitesInCommon
        | PeerIncompatible::NoEcPointFormatsInCommon
        | PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NoSignatureSchemesInCommon => Failure::Cipher,
        _ => Failure::Incompatible,
    }
}

/// Counts a handshake that succeeded.
pub(super) fn count_success(is_resumed: bool) {
    count(RESULTS[usize::from(is_resumed)]);
}

fn count(result: &'static str) {
    metrics::counter!(TLS_HANDSHAKES, "result" => result).increment(1);
}

/// Counts an attempt to load a new certificate.
pub(super) fn count_reload(is_loaded: bool) {
    metrics::counter!(TLS_RELOADS, "result" => RELOADS[usize::from(!is_loaded)]).increment(1);
}

/// Makes every counter exist at zero, whether TLS is spoken or not.
pub(crate) fn register() {
    for result in RESULTS {
        metrics::counter!(TLS_HANDSHAKES, "result" => result).increment(0);
    }
    for result in RELOADS {
        metrics::counter!(TLS_RELOADS, "result" => result).increment(0);
    }
}
