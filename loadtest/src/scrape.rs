//! The server's own figures, from its Prometheus endpoint before and after a run.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::HOST;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;

/// How long a scrape may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A page of metrics longer than this is not read.
const PAGE_BYTES_MAX: usize = 16 << 20;

const CPU: &str = "process_cpu_seconds_total";
const RESIDENT: &str = "process_resident_memory_bytes";
const DELIVERIES: &str = "uproar_deliveries_total";
const WRITES: &str = "uproar_writes_total";

/// What the server says of itself at one time. Each is summed over its labels; `None` where the page does not have it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    deliveries: Option<f64>,
    writes: Option<f64>,
}

/// What the server says of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ServerFigures {
    /// CPU time that the server's process used.
    pub(crate) cpu_seconds: Option<f64>,
    /// Frames that it sent to members.
    pub(crate) deliveries: Option<f64>,
    /// Calls of `write`, `writev` or `send` that it took for them.
    pub(crate) writes: Option<f64>,
    /// Microseconds of CPU for each delivery.
    pub(crate) cpu_us_per_delivery: Option<f64>,
    /// Deliveries for each call.
    pub(crate) frames_per_write: Option<f64>,
    /// Resident memory before the first message.
    pub(crate) resident_bytes_before: Option<f64>,
    /// Resident memory after the last.
    pub(crate) resident_bytes_after: Option<f64>,
    /// Metrics that the endpoint does not have.
    pub(crate) missing: Vec<&'static str>,
}

/// Fetches the page and reads what is needed from it.
pub(crate) fn scrape(url: &str) -> Result<Sample> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime that scrapes")?;
    let fetched = runtime.block_on(async {
        let too_late = || format!("no answer within {} s", TIMEOUT.as_secs());
        tokio::time::timeout(TIMEOUT, fetch(url)).await.with_context(too_late)?
    });
    Ok(Sample::parse(&fetched.with_context(|| format!("cannot scrape {url}"))?))
}

async fn fetch(url: &str) -> Result<String> {
    let uri: Uri = url.parse().context("not a URL")?;
    if uri.scheme_str() != Some("http") {
        bail!("the URL does not begin with http://");
    }
    let authority = uri.authority().context("the URL names no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(HOST, authority.as_str()).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if !response.status().is_success() {
        bail!("the answer is HTTP {}", response.status());
    }
    let body = Limited::new(response.into_body(), PAGE_BYTES_MAX).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
    String::from_utf8(body.into()).context("the page is not UTF-8")
}

impl Sample {
    fn parse(page: &str) -> Self {
        let mut sample = Self::default();
        for (name, value) in page.lines().filter_map(parse_line) {
            let sum = match name {
                CPU => &mut sample.cpu_seconds,
                RESIDENT => &mut sample.resident_bytes,
                DELIVERIES => &mut sample.deliveries,
                WRITES => &mut sample.writes,
                _ => continue,
            };
            *sum = Some(sum.unwrap_or(0.0) + value);
        }
        sample
    }

    /// What happened between this sample and a later one.
    pub(crate) fn until(&self, after: &Self) -> ServerFigures {
        let grown = |before: Option<f64>, after: Option<f64>| Some(after? - before?);
        // A counter that is not there until it is first counted began at 0.
        let counted =
            |before: Option<f64>, after: Option<f64>| Some(after? - before.unwrap_or(0.0));
        let cpu_seconds = grown(self.cpu_seconds, after.cpu_seconds);
        let deliveries = counted(self.deliveries, after.deliveries);
        let writes = counted(self.writes, after.writes);
        // Where nothing was delivered there is nothing to divide.
        let delivered = deliveries.is_some_and(|count| count > 0.0);
        let ratio = |a: Option<f64>, b: Option<f64>| {
            Some(a? / b?).filter(|ratio| delivered && ratio.is_finite())
        };
        let figures = [
            (CPU, cpu_seconds),
            (DELIVERIES, deliveries),
            (WRITES, writes),
            (RESIDENT, after.resident_bytes),
        ];
        ServerFigures {
            cpu_seconds,
            deliveries,
            writes,
            cpu_us_per_delivery: ratio(cpu_seconds.map(|seconds| seconds * 1e6), deliveries),
            frames_per_write: ratio(deliveries, writes),
            resident_bytes_before: self.resident_bytes,
            resident_bytes_after: after.resident_bytes,
            missing: figures.iter().filter(|(_, f)| f.is_none()).map(|(name, _)| *name).collect(),
        }
    }
}

/// The name and the value of a line of the text format; `None` for comments and what is not a sample.
fn parse_line(line: &str) -> Option<(&str, f64)> {
    let line = line.trim();
    let end = line.find(['{', ' ', '\t'])?;
    let (name, rest) = line.split_at(end);
    // A label's value may hold anything, but behind the last brace come only the value and perhaps a time.
    let rest = rest.rsplit_once('}').map_or(rest, |(_, rest)| rest);
    let value = rest.split_whitespace().next()?.parse().ok()?;
    (!name.starts_with('#')).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# TYPE uproar_deliveries_total counter
uproar_deliveries_total{protocol=\"relay\",shard=\"0\"} 100
uproar_deliveries_total{protocol=\"re}lay 7\",shard=\"1\"} 50 1700000000
uproar_deliveries_totally 9
uproar_writes_total 30
process_cpu_seconds_total 1.5e0
";

    #[test]
    fn metrics_are_summed_over_their_labels() {
        let sample = Sample::parse(PAGE);
        assert_eq!(sample.deliveries, Some(150.0));
        assert_eq!((sample.writes, sample.cpu_seconds), (Some(30.0), Some(1.5)));
        assert_eq!(sample.resident_bytes, None);
    }

    #[test]
    fn figures_are_those_of_the_run_and_missing_ones_are_named() {
        let before = Sample { deliveries: None, cpu_seconds: Some(1.0), ..Sample::parse(PAGE) };
        let figures = before.until(&Sample { writes: Some(60.0), ..Sample::parse(PAGE) });
        assert_eq!((figures.deliveries, figures.writes), (Some(150.0), Some(30.0)));
        assert_eq!(figures.frames_per_write, Some(5.0));
        assert!((figures.cpu_us_per_delivery.unwrap() - 500_000.0 / 150.0).abs() < 1e-6);
        assert_eq!(figures.missing, [RESIDENT]);
        let idle = Sample::parse(PAGE).until(&Sample { writes: Some(60.0), ..Sample::parse(PAGE) });
        assert_eq!((idle.frames_per_write, idle.cpu_us_per_delivery), (None, None));
    }
}
