//! What a token says once its signature has been verified, and what it comes to: who it is and what they may do.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::token_error::TokenError;
use crate::gate::access::Access;
use crate::gate::permissions::{Grant, Permissions};
use crate::protocol::chat::{GUEST_PREFIX, Identity, check_name, check_user_id};

/// The claims that mean something here; others are not looked at. `aud` is the library's matter.
#[derive(Deserialize)]
pub(super) struct Claims {
    #[serde(default, deserialize_with = "present")]
    sub: Option<String>,
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "present")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    rooms: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default, deserialize_with = "present")]
    direct: Option<bool>,
}

/// A field that may be left out, and is not `null` where it is there: that would be no less than a slip, which must not
/// grant what nobody granted.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// What claims are held against.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) leeway_secs: u64,
    pub(super) expiry_required: bool,
    /// What a token grants that says nothing of rooms and direct conversations.
    pub(super) without_grant: Arc<Permissions>,
}

impl Claims {
    /// Who the token lets in, at that time in milliseconds since 1970, if its key is `issuer`'s.
    pub(super) fn access(
        self,
        rules: &Rules,
        issuer: Option<&str>,
        now_ms: u64,
    ) -> Result<Access, TokenError> {
        if issuer.is_some() && self.iss.as_deref() != issuer {
            return Err(TokenError::Issuer);
        }
        let leeway_ms = rules.leeway_secs * 1000;
        if self.nbf.is_some_and(|nbf| milliseconds(nbf) > now_ms.saturating_add(leeway_ms)) {
            return Err(TokenError::NotYetValid);
        }
        let expires_at = self.exp.map(|exp| milliseconds(exp).saturating_add(leeway_ms));
        match expires_at {
            None if rules.expiry_required => return Err(TokenError::NoExpiry),
            Some(end) if end <= now_ms => return Err(TokenError::Expired),
            _ => {}
        }
        let identity = identity(self.sub.as_deref(), self.name.as_deref())?;
        let permissions = permissions(self.rooms, self.direct, rules)?;
        Ok(Access { identity, permissions, expires_at })
    }
}

/// Of seconds since 1970, which may have fractions (RFC 7519, section 2). What is before 1970 is long ago, what is
/// beyond all numbers is far ahead.
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}

pub(super) fn identity(sub: Option<&str>, name: Option<&str>) -> Result<Identity, TokenError> {
    let user = sub.filter(|user| check_user_id(user).is_ok() && !user.starts_with(GUEST_PREFIX));
    let user = user.ok_or(TokenError::Subject)?;
    let name = match name {
        Some(name) => check_name(name).map(|()| name).map_err(|_| TokenError::Name)?.to_owned(),
        None => default_name(user),
    };
    Ok(Identity { user: user.into(), name: name.into(), is_guest: false })
}

/// The id, as much of it as a display name may have.
fn default_name(user: &str) -> String {
    let name: String = user.chars().take(64).collect();
    if check_name(&name).is_ok() { name } else { "user".to_owned() }
}

fn permissions(
    rooms: Option<BTreeMap<String, Vec<String>>>,
    direct: Option<bool>,
    rules: &Rules,
) -> Result<Arc<Permissions>, TokenError> {
    if rooms.is_none() && direct.is_none() {
        return Ok(Arc::clone(&rules.without_grant));
    }
    let grant = Grant { rooms: rooms.unwrap_or_default(), direct: direct.unwrap_or_default() };
    grant.try_into().map(Arc::new).map_err(|_| TokenError::Grant)
}
