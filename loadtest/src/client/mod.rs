//! A WebSocket client, built on `fastwebsockets`: [`dial`] opens one connection, [`storm`] many at once, [`churn`] some all the time,[`connection`] reads and
//! writes an open one, [`decode`] finds the frames in what was read.
//!
//! The handshake, the frames that are sent (head, mask), opcodes and close codes are the crate's own. Its read loop is
//! used for none of the connections, because the load generator shares a machine with the server and must read several
//! million frames per second and core: into 200 connections that each read 128-byte frames, with 64 frames a write, the
//! crate's `read_frame` took 6.7 M frames/s of one core and a decoder over one large shared buffer 15 to 23 M, before
//! any of them was looked at; with 8 frames a write it was 2.2 M against 3.3 M, and with one frame a write the kernel's
//! share hid the difference. The crate also holds 8 KiB for each connection. It does not verify the server's
//! `Sec-WebSocket-Accept`; [`dial`] does. Its handshake runs on hyper and costs 8 to 14 µs of the 53 to 76 µs of CPU that a
//! connection takes on this side of it, most of which is the kernel's.

pub(crate) mod churn;
pub(crate) mod connection;
pub(crate) mod decode;
pub(crate) mod dial;
pub(crate) mod dialling;
pub(crate) mod opened;
pub(crate) mod storm;
