//! Public keys as they are written down: PEM, and JSON Web Keys (RFC 7517). The kind of key decides its algorithm.

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use spki::der::asn1::UintRef;
use spki::der::{Decode, DecodePem, Reader, SliceReader};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoOwned};
use thiserror::Error;

use super::algorithm::Algorithm;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// What RSA keys that are taken have in bytes of their modulus: 2048 to 8192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Why nothing can be verified with a key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum PublicKeyError {
    /// Not a PEM file with one public key.
    #[error("must be a PEM file that begins with \"-----BEGIN PUBLIC KEY-----\"")]
    Pem,
    /// Of another kind.
    #[error("must be a key of RSA, of the curve P-256 or Ed25519")]
    Kind,
    /// An RSA key that is too short to be safe or too long to be quick.
    #[error("must have 2048 to 8192 bits, as a key of RSA")]
    Size,
}

/// The key of a PEM file, and its algorithm.
pub(super) fn of_pem(pem: &[u8]) -> Result<(Algorithm, DecodingKey), PublicKeyError> {
    let key = SubjectPublicKeyInfoOwned::from_pem(pem).map_err(|_| PublicKeyError::Pem)?;
    let bytes = key.subject_public_key.as_bytes().ok_or(PublicKeyError::Kind)?;
    let parameters = key.algorithm.parameters.as_ref();
    let curve = parameters.and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
    match key.algorithm.oid {
        RSA => {
            let modulus = rsa_modulus(bytes).ok_or(PublicKeyError::Kind)?;
            check_rsa(modulus).map(|()| (Algorithm::Rs256, DecodingKey::from_rsa_der(bytes)))
        }
        EC if curve == Some(P256) && bytes.len() == 65 => {
            Ok((Algorithm::Es256, DecodingKey::from_ec_der(bytes)))
        }
        ED25519 if bytes.len() == 32 => Ok((Algorithm::EdDsa, DecodingKey::from_ed_der(bytes))),
        _ => Err(PublicKeyError::Kind),
    }
}

/// The modulus of an RSAPublicKey (RFC 8017, appendix A.1.1).
fn rsa_modulus(der: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(der).ok()?;
    let (modulus, _) = reader
        .sequence(|numbers| {
            Ok::<_, spki::der::Error>((UintRef::decode(numbers)?, UintRef::decode(numbers)?))
        })
        .ok()?;
    Some(modulus.as_bytes())
}

fn check_rsa(modulus: &[u8]) -> Result<(), PublicKeyError> {
    RSA_BYTES.contains(&modulus.len()).then_some(()).ok_or(PublicKeyError::Size)
}

/// The key of one entry of a key set, and its algorithm. Symmetric ones are not taken: a key set is public.
pub(super) fn of_jwk(jwk: &Jwk) -> Result<(Algorithm, DecodingKey), PublicKeyError> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::Rs256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::Es256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDsa
        }
        _ => return Err(PublicKeyError::Kind),
    };
    let is_meant = jwk
        .common
        .key_algorithm
        .is_none_or(|stated| Algorithm::parse(&stated.to_string()) == Some(algorithm));
    let signs = jwk.common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature);
    if !is_meant || !signs {
        return Err(PublicKeyError::Kind);
    }
    let key = DecodingKey::from_jwk(jwk).map_err(|_| PublicKeyError::Kind)?;
    let is_sound = match key.kind() {
        jsonwebtoken::DecodingKeyKind::RsaModulusExponent { n, .. } => {
            // Some write a zero byte in front.
            let start = n.iter().position(|byte| *byte != 0).unwrap_or(n.len());
            check_rsa(&n[start..])?;
            true
        }
        jsonwebtoken::DecodingKeyKind::SecretOrDer(bytes) => match algorithm {
            Algorithm::Es256 => bytes.len() == 65,
            _ => bytes.len() == 32,
        },
    };
    if is_sound { Ok((algorithm, key)) } else { Err(PublicKeyError::Kind) }
}
