//! Uproar as a library, with what the relay of the binary has no use for: a session that is in many rooms at once, and
//! one that is told its own id.

use std::io::{self, Write};

use anyhow::{Context as _, Result};
use uproar::{Config, Context, Handler, Message, Request, Server};

use super::seats::{ROOM_BYTES, Seats, room_name};

/// Serves until it is killed; says where on standard output.
pub(crate) fn run(shards: usize) -> Result<()> {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.server.admin_listen.set_port(0);
    config.server.shards = shards;
    config.relay.enabled = false;
    // It is killed, and would leave its log behind.
    config.chat.enabled = false;
    config.limits.rooms_per_session_max = 10_000;
    let server = Server::builder(config).route("/relay/{room}", Seated).bind()?;
    let mut output = io::stdout();
    writeln!(output, "{}", server.address())?;
    output.flush()?;
    server.run().context("the server ended")
}

/// Puts a session into the rooms that its path says, and lets it say something in the room that a message begins with.
struct Seated;

impl Handler for Seated {
    fn open(&self, session: &mut Context<'_>, request: &Request) {
        let seats = request.room.as_deref().and_then(Seats::parse);
        for room in seats.iter().flat_map(Seats::rooms) {
            session.join(&room_name(room));
        }
        session.send(session.id().to_string().as_str());
    }

    fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
        if let Message::Text(text) = message
            && let Some(room) = text.get(..ROOM_BYTES)
        {
            session.publish(room, text);
        }
    }
}
