//! What the fuzzers in `fuzz/` reach of the crate that nobody else may. Not there but for them and for tests.

pub use crate::gate::auth::fuzzing::{Admitted, Verifier};
pub use crate::http::fuzzing::{Accepted, Judge, Verdict};

use crate::protocol::chat::{Incoming, Request, parse};

/// What became of a message of a chat session.
#[derive(Debug)]
pub enum Read<'a> {
    /// It is right.
    Right {
        /// Its `ref`, as JSON text.
        reference: Option<&'a str>,
        /// Its `body`, as JSON text, where it has one that is passed on.
        body: Option<&'a str>,
    },
    /// It is refused.
    Wrong {
        /// The `code` of the error.
        code: &'static str,
        /// The words of the error.
        message: String,
        /// Its `ref`, as JSON text, if one was made out.
        reference: Option<String>,
    },
}

/// Reads a message as a chat session does.
#[must_use]
pub fn read(text: &str) -> Read<'_> {
    match parse(text) {
        Ok(Incoming { reference, request }) => {
            let body = match request {
                Request::Send { body, .. } | Request::Signal { body, .. } => Some(body),
                _ => None,
            };
            Read::Right { reference, body }
        }
        Err(rejection) => Read::Wrong {
            code: rejection.code.as_str(),
            message: rejection.message.into_owned(),
            reference: rejection.reference.map(String::from),
        },
    }
}
