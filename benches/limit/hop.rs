//! A hop: the sender on one shard and all members on another, against all of them on one. Both shards are on the
//! server's core, so it is the same work but for the mailbox and the wake.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::json;

use super::crowd::{Crowd, Welcome};
use super::exchange::{Exchange, Turn};
use super::sample::{Figure, Side};
use super::seats::Seats;
use super::server::Server;
use super::workload::{Taken, let_pass};

const MEMBERS: usize = 1_000;
const SIZE: usize = 128;

/// Sessions to open at a time until enough are on the shard of the members. Which shard that is, is the kernel's choice.
const BATCH: usize = 256;

/// Batches before it is given up: far more than an even spread needs.
const BATCHES_MAX: usize = 40;

/// Until the server has seen the end of the sessions that are not wanted.
const SETTLE: Duration = Duration::from_millis(500);

/// The shard of the members; the hop's sender is on another.
const HOME: &str = "00";

/// Measures one side on a server with two shards whose sessions are told their ids.
pub(crate) fn measure(server: &Server, side: Side, seconds: Duration) -> Result<Taken> {
    let mut crowd = Crowd::new(server.address)?;
    let turn = gather(&mut crowd, side)?;
    let_pass(SETTLE);
    let mut exchange = Exchange::new(crowd, SIZE);
    let measured = exchange.measure(server.process(), seconds, || turn.clone())?;
    let figures = BTreeMap::from([(Figure::CpuUsPerDelivery, measured.cpu_us_per_delivery())]);
    let details = json!({
        "cpu_secs": measured.cpu_secs,
        "messages": measured.messages,
        "deliveries": measured.deliveries,
        "elapsed_secs": measured.elapsed.as_secs_f64(),
    });
    Ok(Taken { figures, details, passed: true })
}

/// Opens sessions in one room until there are enough on the right shards, and closes the others.
fn gather(crowd: &mut Crowd, side: Side) -> Result<Turn> {
    let room = Seats { first: 0, step: 1, end: 1, in_room: 1 };
    let path = format!("/relay/{}", room.segment());
    for _ in 0..BATCHES_MAX {
        crowd.open(std::iter::repeat_n(path.clone(), BATCH), Welcome::Greeting)?;
        let (home, away): (Vec<_>, Vec<_>) =
            (0..crowd.len()).partition(|member| crowd.greeting(*member).starts_with(HOME));
        let Some((receivers, rest)) = home.split_at_checked(MEMBERS) else { continue };
        let (senders, others) =
            if side == Side::OneShard { (rest, &away[..]) } else { (&away[..], rest) };
        if let Some((sender, spare)) = senders.split_first() {
            spare.iter().chain(others).for_each(|member| crowd.close(*member));
            return Ok(Turn { room: 0, sender: *sender, receivers: receivers.to_vec() });
        }
    }
    bail!("the kernel gave all connections to one shard")
}
