//! The control plane's HTTP: what happens to a connection between its accept and its 101, the pages, the operator's
//! endpoints, the API of the application's backend.
//!
//! A shard accepts a connection and [knocks](Door::knock) with it. On the control runtime `handshake` waits for its
//! first byte and drives hyper over a `wire`; `reception` judges each request by `routes`, `upgrade` and the rules of
//! `gate`, `identity` finds out who asks, and the answer is a page, a [`Refusal`], or a 101 that is held back: the shard
//! writes it once the session is a member of its rooms. Nothing here knows what a frame is.

mod admin;
pub(crate) mod api;
mod connections;
mod credentials;
mod door;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod handshake;
mod identity;
mod linger;
mod pages;
mod patience;
mod proxy_protocol;
mod readiness;
mod reception;
mod refusal;
mod routes;
mod site;
mod socket;
#[cfg(test)]
mod tests;
mod upgrade;
mod wire;

pub use admin::{ADMIN_SCOPES, Admin, serve_admin};
pub use api::API_SCOPES;
pub(crate) use api::{ROUTES, STATUSES};
pub use connections::Connections;
pub use credentials::TokenPlaces;
pub use door::{AdoptFn, Door, RoomFn};
pub use readiness::{Phase, Readiness};
pub use refusal::Refusal;
pub use routes::{Entrance, Route, RouteError, Routes};
pub use site::{Limits, Settings, Site};
