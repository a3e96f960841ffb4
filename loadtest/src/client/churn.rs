//! Churn: visitors that join the main rooms at a rate while others send, stay for a while and leave.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use tokio::time::Instant;

use super::dial::Dialer;
use super::dialling::{Dialling, Job};
use super::opened::Opened;
use crate::clock::Clock;
use crate::plan::{Class, Plan, Seat};
use crate::worker::crew::Doorman;
use crate::worker::timetable::Times;

/// Handshakes of visitors under way at a time; beyond it joins come late, which the handshake percentiles show.
const CONCURRENCY: usize = 256;

/// How visitors come and go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Churn {
    /// Joins per second, and as many leaves.
    pub(crate) rate: f64,
    /// From a visitor's 101 to its Close.
    pub(crate) stay: Duration,
    /// The run's clock.
    pub(crate) clock: Clock,
    /// Visitors join from the start to the stop.
    pub(crate) times: Times,
}

impl Churn {
    /// Starts a thread that lets visitors in; its outcome is there some time after the stop.
    pub(crate) fn start_thread(
        self,
        dialer: Arc<Dialer>,
        plan: Arc<Plan>,
        doorman: Doorman,
    ) -> Result<JoinHandle<Result<Opened>>> {
        let thread = std::thread::Builder::new().name("churn".into());
        let run = move || {
            let jobs = self.jobs(&plan);
            let dialling = Dialling {
                dialer,
                plan: &plan,
                doorman,
                clock: self.clock,
                progress: &ProgressBar::hidden(),
                concurrency: CONCURRENCY,
                failed: None,
            };
            dialling.run(jobs)
        };
        thread.spawn(run).context("cannot start the thread of the visitors")
    }

    fn jobs(self, plan: &Plan) -> impl Iterator<Item = Job> + use<> {
        let rooms = plan.rooms.iter().filter(|room| room.class == Class::Main).count();
        let rooms = u32::try_from(rooms).unwrap_or(u32::MAX);
        let (now, now_ns) = (Instant::now(), self.clock.now_ns());
        let at = |time_ns: u64| now + Duration::from_nanos(time_ns.saturating_sub(now_ns));
        let (first, end) = (at(self.times.start_ns), at(self.times.stop_ns));
        let seats = plan.seats().len();
        let job = move |visitor: u32| Job {
            index: seats + visitor as usize,
            seat: Seat { room: visitor % rooms, place: Seat::VISITOR },
            due: Some(first + Duration::from_secs_f64(f64::from(visitor) / self.rate)),
            stay: Some(self.stay),
        };
        (0..).map(job).take_while(move |job| job.due.is_some_and(|due| due < end))
    }
}
