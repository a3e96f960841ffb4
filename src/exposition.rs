//! The page that a scraper gets: what the recorder holds and, as of this moment, what the system says of the process.

use std::sync::{self, PoisonError};

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use crate::gate::auth::{callback, remote_keys};
use crate::metrics::{self as names, Kind, METRICS, PROCESS_METRICS};
use crate::{outbound, screening, webhooks};

/// Upper bounds of the buckets of every histogram, in seconds.
const BUCKETS: [f64; 20] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// The process's recorder, once there is one; a program may hold several servers, which share it.
#[allow(clippy::disallowed_types, reason = "taken once for each server, before it runs")]
static INSTALLED: sync::Mutex<Option<Exposition>> = sync::Mutex::new(None);

/// Renders `/metrics`.
#[derive(Clone)]
pub struct Exposition {
    recorder: PrometheusHandle,
    process: Collector,
}

impl Exposition {
    /// Renders what this recorder holds.
    #[must_use]
    pub fn new(recorder: PrometheusHandle) -> Self {
        Self { recorder, process: Collector::default() }
    }

    /// Installs the process's recorder, the first time.
    ///
    /// # Errors
    ///
    /// The program has installed a recorder of its own.
    pub(crate) fn install() -> Result<Self, BuildError> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(exposition) = &*installed {
            return Ok(exposition.clone());
        }
        let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS)?.install_recorder()?;
        names::describe();
        // Whether or not they are configured.
        outbound::register();
        webhooks::register();
        callback::register();
        remote_keys::register();
        screening::register();
        metrics::gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let exposition = Self::new(recorder);
        *installed = Some(exposition.clone());
        Ok(exposition)
    }

    /// The page, in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        // Only now: counting open files takes time that grows with them.
        self.process.collect();
        with_true_types(&self.recorder.render())
    }

    /// Puts samples into their buckets; to be called now and then, whether or not anybody scrapes.
    pub(crate) fn keep_up(&self) {
        self.recorder.run_upkeep();
    }
}

/// A counter with fractions is a gauge for the recorder, whose counters are whole numbers; a scraper is told the truth.
fn with_true_types(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    for line in page.split_inclusive('\n') {
        match line.strip_prefix("# TYPE ").and_then(|rest| rest.strip_suffix(" gauge\n")) {
            Some(name) if is_counter(name) => {
                text.extend(["# TYPE ", name, " counter\n"]);
            }
            _ => text.push_str(line),
        }
    }
    text
}

fn is_counter(name: &str) -> bool {
    let mut all = METRICS.iter().chain(PROCESS_METRICS);
    all.any(|metric| metric.kind == Kind::Counter && metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_counters_change_their_type() {
        let page = "# TYPE uproar_shard_busy_seconds_total gauge\nuproar_shard_busy_seconds_total 0.5\n\n\
                    # TYPE uproar_rooms gauge\nuproar_rooms 3\n";
        let told = page.replacen("total gauge", "total counter", 1);
        assert_eq!(with_true_types(page), told);
    }

    #[test]
    fn servers_of_one_process_share_the_recorder() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| Exposition::install().map(|page| page.render())))
            .collect();
        for thread in threads {
            let page = thread.join().expect("no panic").expect("one recorder for all");
            assert!(page.contains("uproar_build_info"), "{page}");
        }
    }
}
