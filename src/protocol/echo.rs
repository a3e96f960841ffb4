//! The echo, for probes and conformance tests: each message goes back to the session that sent it.

use crate::protocol::{Context, Handler, Message, Request};

/// The handler of `/echo`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Handler for Echo {
    fn open(&self, _session: &mut Context<'_>, _request: &Request) {}

    fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
        session.send(message);
    }
}
