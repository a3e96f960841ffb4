//! A WebSocket client, built on `fastwebsockets`: [`dial`] opens one connection; [`storm`] opens many at once and
//! [`churn`] some all the time, both by [`dialling`] and with an [`opened`] to show for it; [`connection`] reads and
//! writes an open one; [`decode`] finds the frames in what was read; [`wire`]
//! is what it is read from, with TLS or without, and [`tls`] says whom to trust. What messages mean is not known here.
//!
//! The handshake, the frames that are sent (head, mask), opcodes and close codes are the crate's own. It does not
//! verify the server's `Sec-WebSocket-Accept`; [`dial`] does. Its handshake runs on hyper, which is 8 to 14 µs of the
//! 53 to 76 µs of CPU that a connection costs on this side; most of the rest is the kernel's.
//!
//! Its read loop is not used, because the generator shares a machine with the server and must read several million
//! frames per second and core. With 200 connections that each bring frames of 128 bytes, before anyone looks at them,
//! one core takes:
//!
//! | frames per write of the server | `WebSocket::read_frame` | [`decode`] over one large shared buffer |
//! |---|---|---|
//! | 64 | 5.9 to 6.8 M/s | 15 to 23 M/s |
//! | 8 | 2.1 to 2.4 M/s | 3.2 to 4.1 M/s |
//! | 1 | 0.3 to 0.6 M/s | 0.2 to 0.5 M/s, the kernel's share hides the rest |
//!
//! A tokio task for each connection over such a buffer was as fast as one poller; the poller reads more simply, since
//! everything is plain `&mut self`. With the whole audit a thread takes 11 to 15 M frames per second of its CPU time at
//! 120 to 210 frames a read and 7 M at 54, of which the kernel uses more than half; the process holds 14 MiB with 9,000
//! members in one room. `loadtest fanout` prints these figures of its own for every run.

pub(crate) mod churn;
pub(crate) mod connection;
pub(crate) mod decode;
pub(crate) mod dial;
pub(crate) mod dialling;
pub(crate) mod opened;
pub(crate) mod storm;
pub(crate) mod tls;
pub(crate) mod wire;
