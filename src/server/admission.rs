//! Who a server lets in, as its builder was told: what is asked at the handshake, and what about a token.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time;

use crate::config::Config;
use crate::gate::access::Access;
use crate::gate::auth::{Authenticator, TokenError};
use crate::gate::verify::{Ask, Shown, Unverified, Verified, Verify};
use crate::hub::Hub;
use crate::server::chat::Chat;
use crate::shard::state::Authorize;

/// How long an answer waits for a shard that has too much to take already, each time.
const RETRY: Duration = Duration::from_millis(10);

/// What decides who comes in.
pub(super) struct Admission {
    /// Asked at the handshake.
    pub(super) authorize: Option<Authorize>,
    /// Asked about the tokens that chat sessions show.
    pub(super) verify: Option<Verify>,
    /// Who shows nothing is let into the chat as a guest.
    pub(super) is_open: bool,
}

impl Default for Admission {
    fn default() -> Self {
        Self { authorize: None, verify: None, is_open: true }
    }
}

impl Admission {
    /// With what the configuration says, where nothing else was said.
    pub(super) fn with(mut self, authenticator: &Arc<Authenticator>) -> Self {
        self.is_open &= authenticator.is_open();
        if self.verify.is_none() && authenticator.takes_tokens() {
            let authenticator = Arc::clone(authenticator);
            self.verify = Some(Arc::new(move |token| {
                let authenticator = Arc::clone(&authenticator);
                Box::pin(async move { authenticator.token(&token).await.map_err(unverified) })
            }));
        }
        self
    }

    /// Tells the chat.
    pub(super) fn settle(
        &self,
        mut chat: Chat,
        config: &Config,
        hub: &Arc<Hub>,
        runtime: &Handle,
    ) -> Chat {
        let patience = Duration::from_secs(config.limits.handshake_timeout_secs);
        let verify = self.verify.clone();
        chat.settings.ask = verify.map(|verify| ask(verify, hub, runtime, patience));
        chat.settings.is_open = self.is_open;
        chat
    }
}

/// Has tokens verified on the control runtime. The sessions that wait are the bound on how many at once.
fn ask(verify: Verify, hub: &Arc<Hub>, runtime: &Handle, patience: Duration) -> Ask {
    let (hub, runtime) = (Arc::clone(hub), runtime.clone());
    Arc::new(move |shown| {
        let (hub, verify) = (Arc::clone(&hub), Arc::clone(&verify));
        runtime.spawn(async move {
            let Shown { token, question } = shown;
            let verdict = time::timeout(patience, verify(token)).await;
            let verdict = verdict.unwrap_or(Err(Unverified::Unavailable));
            let port = &hub.ports[question.session.shard()];
            let mut verified = Box::new(Verified { question, verdict });
            while let Err(refused) = port.verified(verified) {
                verified = refused;
                time::sleep(RETRY).await;
            }
        });
    })
}

/// What a shard has to know of why a token lets nobody in.
fn unverified(error: TokenError) -> Unverified {
    match error {
        TokenError::KeysUnavailable => Unverified::Unavailable,
        _ => Unverified::Bad,
    }
}

/// Whether that is somebody.
pub(super) fn is_sound(access: &Access) -> bool {
    !access.identity.is_guest && access.identity.is_sound()
}
