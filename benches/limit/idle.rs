//! What an idle connection holds: the slope of the server's resident memory between two numbers of connections.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::crowd::{Crowd, Welcome, connections_max};
use super::sample::Figure;
use super::server::Server;
use super::workload::{Taken, let_pass};

const FEW: usize = 2_000;
const MANY: usize = 9_500;

/// Until the memory of finished handshakes has gone back.
const SETTLE: Duration = Duration::from_secs(2);

/// Measures one server.
pub(crate) fn measure(server: &Server) -> Result<Taken> {
    let many = MANY.min(connections_max());
    let few = FEW.min(many / 2);
    let mut crowd = Crowd::new(server.address)?;
    let mut resident_with = |connections: usize| {
        let more = connections - crowd.len();
        crowd.open(std::iter::repeat_n("/".to_owned(), more), Welcome::Silent)?;
        let_pass(SETTLE);
        server.process().resident_bytes()
    };
    let (before, after) = (resident_with(few)?, resident_with(many)?);
    let slope = (after - before) / (many - few) as f64;
    let details = json!({
        "connections": [few, many],
        "resident_bytes": [before, after],
    });
    let figures = BTreeMap::from([(Figure::BytesPerConnection, slope)]);
    Ok(Taken { figures, details, passed: true })
}
