//! What a server needs for chat: the data directory, the log and its threads, the guests, and what each shard is told.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::runtime::Handle;

use crate::config::{Config, Synchronous};
use crate::gate::guests::Guests;
use crate::hub::Hub;
use crate::hub::directory::Watch;
use crate::hub::outlet::Shards;
use crate::log::client::{Client, Desk};
use crate::log::counters::Counters;
use crate::log::data_dir::DataDir;
use crate::log::engine::{Keeping, Rule, Rules, Window};
use crate::log::handle::{OnPanic, Parts, Running};
use crate::log::memory::{self, Memory};
use crate::log::sqlite::{self, Sqlite};
use crate::log::writer::{Engines, system_clock};
use crate::protocol::chat::reply::Limits;
use crate::rooms::conversation::Conversation;
use crate::rooms::rules::{Engine, RoomRules};
use crate::screening::Plan;
use crate::server::run_error::RunError;
use crate::server::start_error::StartError;
use crate::server::stopper::Event;
use crate::shard::chat::Settings;
use crate::shard::chat::reads::{READS_MAX, Rates};
use crate::shard::ticks;
use crate::webhooks::{Source, Tap, Webhooks};

/// Threads that read the log.
const READERS: usize = 2;

/// What tells the application what happens.
pub(super) struct Telling<'a> {
    pub(super) webhooks: Webhooks,
    pub(super) runtime: &'a Handle,
    /// Of the routes.
    pub(super) protocols: Vec<String>,
}

impl Telling<'_> {
    /// Has it hear of everything.
    pub(super) fn start(
        self,
        hub: &Hub,
        rules: Arc<RoomRules>,
        source: Option<Source>,
    ) -> Arc<Tap> {
        let tap = Arc::new(self.webhooks.start(self.runtime, self.protocols, rules, source));
        hub.directory.watch(Arc::clone(&tap) as Arc<dyn Watch>);
        tap
    }
}

/// The chat of a server: its log's threads, and what its shards have to know.
pub(super) struct Chat {
    pub(super) running: Running,
    pub(super) settings: Settings,
    /// The log for the API.
    pub(super) client: Client,
}

impl Chat {
    /// Has the application asked about what is said, if it wants to be.
    pub(super) fn screened(
        mut self,
        plan: Option<Plan>,
        runtime: &Handle,
        hub: &Hub,
        events: &Sender<Event>,
    ) -> Self {
        let (log, events) = (self.running.log(), events.clone());
        let on_panic: OnPanic = Arc::new(move |message| end_server(&events, message));
        let (standings, shards) = (Arc::clone(&hub.standings), hub.ports.len());
        let start = |plan: Plan| plan.start(runtime, log, standings, shards, on_panic);
        self.settings.screening = plan.map(start);
        self
    }
}

/// Starts the chat, if there is a route and a directory for it, and has the application told of what happens, if it wants to be.
pub(super) fn begin(
    config: &Config,
    hub: &Arc<Hub>,
    place: Option<(usize, Arc<DataDir>)>,
    telling: Option<Telling<'_>>,
    events: &Sender<Event>,
) -> Result<Option<Chat>, StartError> {
    if let Some(place) = place {
        return start(config, hub, place, telling, events.clone()).map(Some);
    }
    if let Some(telling) = telling {
        telling.start(hub, Arc::default(), None);
    }
    Ok(None)
}

/// Opens the log and starts its threads.
fn start(
    config: &Config,
    hub: &Arc<Hub>,
    (route, directory): (usize, Arc<DataDir>),
    telling: Option<Telling<'_>>,
    events: Sender<Event>,
) -> Result<Chat, StartError> {
    let guests = Guests::open(directory.path()).map_err(StartError::System)?;
    let window = Window(config.log.idempotency_window_secs * 1000);
    let options = sqlite::Options {
        synchronous: synchronous(config),
        window,
        cache_bytes_max: config.log.cache_bytes_max,
        seq_step: 1,
    };
    let counters = Arc::new(Counters::default());
    let durable =
        Sqlite::open(directory, options, Arc::clone(&counters)).map_err(StartError::log)?;
    let source = Source { feed: durable.feed(), data_dir: config.server.data_dir.clone() };
    let options = memory::Options { window, seq_step: 1, bytes_max: config.log.memory_bytes_max };
    let memory = Memory::new(options, Arc::clone(&counters))
        .map_err(|error| StartError::System(error.into()))?;
    let rules = Arc::new(RoomRules::new(&config.chat.rooms, config.chat.history_messages_max));
    let tap = telling.map(|telling| telling.start(hub, Arc::clone(&rules), Some(source)));
    let shards = hub.ports.len();
    let desk = Arc::new(Desk::default());
    let running = Running::start(Parts {
        engines: Engines { durable: Box::new(durable), memory: Box::new(memory) },
        rules: keeping(Arc::clone(&rules)),
        outlet: Arc::new(Shards { hub: Arc::clone(hub), route, tap, desk: Arc::clone(&desk) }),
        clock: system_clock(),
        drafts_max: config.log.drafts_max,
        reads_max: READS_MAX * shards,
        readers: READERS,
        cursor_age_max: Some(config.log.cursor_age_secs_max)
            .filter(|secs| *secs > 0)
            .map(Duration::from_secs),
        on_panic: Arc::new(move |message| end_server(&events, message)),
        counters,
    })?;
    let settings = Settings {
        route: route as u16,
        log: running.log(),
        rules,
        guests: Arc::new(guests),
        ask: None,
        screening: None,
        is_open: true,
        limits: limits(config),
        heartbeat_secs: config.limits.heartbeat_secs,
        hello_ticks: ticks(config.limits.handshake_timeout_secs),
        presence_members_max: config.chat.presence_members_max,
        drafts_max: (config.log.drafts_max / shards).max(1),
        rates: Rates {
            session: config.log.read_bytes_per_sec,
            shard: config.log.read_total_bytes_per_sec / shards as u64,
        },
    };
    let client = Client::new(running.log(), desk);
    Ok(Chat { running, settings, client })
}

/// A log of which a thread is gone would leave everybody without answers.
fn end_server(events: &Sender<Event>, message: &str) {
    let error = RunError::Log { message: message.to_owned() };
    tracing::error!(%error, "the server cannot go on");
    // Full only of events that end the server just as well.
    let _ = events.try_send(Event::Ended(Err(error)));
}

fn synchronous(config: &Config) -> sqlite::Synchronous {
    match config.log.synchronous {
        Synchronous::Full => sqlite::Synchronous::Full,
        Synchronous::Normal => sqlite::Synchronous::Normal,
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        message_bytes_max: config.limits.message_bytes_max as u64,
        history_messages_max: u64::from(config.chat.history_messages_max),
        rooms_per_session_max: config.limits.rooms_per_session_max as u64,
    }
}

/// How long which conversation is kept, and where.
fn keeping(rules: Arc<RoomRules>) -> Arc<Rules> {
    Arc::new(move |conversation: &Conversation| {
        let rule = match conversation.ends() {
            None => rules.of(conversation.key()),
            Some(_) => rules.default_rule(),
        };
        Rule {
            keeping: match rule.engine {
                Engine::Durable => Keeping::Durable,
                Engine::Memory => Keeping::Memory,
            },
            age_max: rule.retention_secs.map(Duration::from_secs),
            messages_max: rule.retention_messages,
        }
    })
}
