//! What a panic said, as it is logged and as it ends the server.

use std::any::Any;
use std::panic::PanicHookInfo;
use std::thread;

/// The words of a panic, if it had any.
pub(crate) fn message(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref().map(String::as_str)).unwrap_or("no message")
}

/// A panic hook: one line of the log, like any other.
pub(crate) fn log(panic: &PanicHookInfo<'_>) {
    tracing::error!(
        thread = thread::current().name(),
        location = panic.location().map(tracing::field::display),
        "panicked: {}",
        message(panic.payload())
    );
}
