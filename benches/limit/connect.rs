//! What a connection costs to open: a storm of handshakes, several under way at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::crowd::{Crowd, Welcome, connections_max};
use super::sample::Figure;
use super::server::Server;
use super::workload::{Taken, let_pass};

/// Opened before the measured ones, for what a server only does once.
const FIRST: usize = 200;
const CONNECTIONS: usize = 5_000;

/// Until the server has done what it does behind the last answer.
const SETTLE: Duration = Duration::from_millis(500);

/// Measures one server.
pub(crate) fn measure(server: &Server) -> Result<Taken> {
    let connections = CONNECTIONS.min(connections_max() - FIRST);
    let mut crowd = Crowd::new(server.address)?;
    let mut open = |connections: usize| {
        let took = crowd.open(std::iter::repeat_n("/".to_owned(), connections), Welcome::Silent)?;
        let_pass(SETTLE);
        anyhow::Ok(took)
    };
    open(FIRST)?;
    let cpu = server.process().cpu_secs()?;
    let took = open(connections)?;
    let cpu = server.process().cpu_secs()? - cpu;
    let figures = BTreeMap::from([
        (Figure::CpuUsPerConnection, cpu * 1e6 / connections as f64),
        (Figure::ConnectionsPerSec, connections as f64 / took.as_secs_f64()),
    ]);
    let details = json!({
        "connections": connections,
        "cpu_secs": cpu,
        "elapsed_secs": took.as_secs_f64(),
    });
    Ok(Taken { figures, details, passed: true })
}
