//! Who asks for a session: by a token in the handshake, or by what the application says of it.

use std::{net::SocketAddr, sync::Arc};

use hyper::{Request, body::Incoming};

use crate::{
    config::Mode,
    gate::{
        access::Access,
        auth::{Denial, TokenError, callback::Question},
    },
    http::{credentials, refusal::Refusal, routes::Match, site::Site, upgrade},
};

/// Who asks, as far as the handshake shows it; the token is no longer in the request afterwards.
pub(super) async fn identify(
    site: &Site,
    request: &mut Request<Incoming>,
    found: &Match,
    client: SocketAddr,
) -> Result<Option<Arc<Access>>, Refusal> {
    let authenticator = &site.authenticator;
    let callback = authenticator.callback();
    if !authenticator.takes_tokens() && callback.is_none() {
        return Ok(None);
    }
    // As they came: which of them the backend is told is up to the configuration.
    let question = callback.map(|callback| callback.question(request.headers()));
    let (mut headers, mut uri) =
        (std::mem::take(request.headers_mut()), std::mem::take(request.uri_mut()));
    let token = credentials::take(&mut headers, &mut uri, &site.token_places);
    (*request.headers_mut(), *request.uri_mut()) = (headers, uri);
    let question = question.map(|question| complete(question, request, client));
    let access = ask(site, token?, question, found).await?;
    if access.as_ref().is_some_and(|access| !site.routes.admits(found, &access.permissions)) {
        return Err(Refusal::RoomForbidden);
    }
    Ok(access)
}

/// Goes through the ways to come in, until one says yes or no.
async fn ask(
    site: &Site,
    token: Option<String>,
    question: Option<Question>,
    found: &Match,
) -> Result<Option<Arc<Access>>, Refusal> {
    let authenticator = &site.authenticator;
    for mode in authenticator.modes() {
        match (mode, authenticator.callback(), &question) {
            (Mode::Token, ..) => {
                if let Some(token) = &token {
                    return authenticator.token(token).await.map_err(Refusal::Token).map(Some);
                }
            }
            (Mode::Callback, Some(callback), Some(question)) => {
                let known = callback.ask(question).await.map_err(Refusal::Backend)?;
                if known.is_some() {
                    return Ok(known);
                }
            }
            (Mode::Callback, ..) => return Err(Refusal::Backend(Denial::Unavailable)),
            (Mode::Open, ..) => return Ok(None),
        }
    }
    // It may come with the first message.
    let may_follow = authenticator.takes_tokens() && site.routes.waits_for_token(found);
    if may_follow { Ok(None) } else { Err(Refusal::NoToken) }
}

/// Whether somebody tried to come in as who they are not.
pub(super) fn is_failed_attempt(refusal: Refusal) -> bool {
    match refusal {
        Refusal::Token(error) => error != TokenError::KeysUnavailable,
        Refusal::Backend(denial) => denial != Denial::Unavailable,
        _ => false,
    }
}

/// Completes what the backend is asked, of a request from which the token was taken.
fn complete(question: Question, request: &Request<Incoming>, client: SocketAddr) -> Question {
    let offered = upgrade::offered(request.headers()).filter(|offer| !offer.is_empty());
    let offered = offered.map(|offer| String::from_utf8_lossy(offer).into_owned());
    Question {
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        address: client.ip().to_canonical().to_string(),
        subprotocols: offered.collect(),
        ..question
    }
}
