//! The innocent: two who talk over the relay and one who talks in the chat, without a break, while others attack. Each
//! message must arrive once and in order, and nobody may be closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use crate::support::chat::ChatClient;
use crate::support::client::{Client, Frame, frame};
use crate::support::{pause, wait_for};

/// Between two exchanges: often enough to notice anything, seldom enough to leave the machine to the attack.
const BREAK: Duration = Duration::from_millis(3);

/// Sessions that neighbours have open.
pub(crate) const SESSIONS: usize = 3;

/// How often each must have been heard before they count as not having noticed.
const EXCHANGES: u64 = 5;

pub(crate) struct Neighbours {
    is_over: Arc<AtomicBool>,
    talks: Vec<Talk>,
}

struct Talk {
    name: &'static str,
    /// Messages that were sent and heard.
    exchanges: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Neighbours {
    /// Sets them talking.
    pub(crate) fn begin(address: SocketAddr) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut ann = Client::connect(address, "/relay/innocent");
        let mut bob = Client::connect(address, "/relay/innocent");
        let relay = move |number: u64| {
            let text = format!("message {number}");
            ann.send(&text);
            assert_eq!(next(&mut bob).text(), text);
            bob.send(&text);
            assert_eq!(next(&mut ann).text(), text);
        };
        let mut cid = ChatClient::connect(address, "Cid");
        let mut last = cid.join("innocent")["seq"].as_u64().expect("a position");
        let chat = move |number: u64| {
            let id = cid.say("innocent", &json!(number));
            let message = cid.await_type("message");
            assert_eq!((&message["body"], &message["client_id"]), (&json!(number), &json!(id)));
            assert_eq!(message["prev"].as_u64(), Some(last), "nothing is missing before it");
            last = message["seq"].as_u64().expect("a position");
            assert_eq!(cid.await_type("ack")["seq"], last);
        };
        let talks =
            vec![Talk::begin("relay", &is_over, relay), Talk::begin("chat", &is_over, chat)];
        Self { is_over, talks }
    }

    /// Waits until each of them has been heard several times more.
    #[track_caller]
    pub(crate) fn go_on(&mut self, what: &str) {
        let before: Vec<_> = self.talks.iter().map(Talk::count).collect();
        for (talk, before) in self.talks.iter_mut().zip(before) {
            wait_for(&format!("{what}: the neighbours on the {} go on", talk.name), || {
                talk.check();
                (talk.count() >= before + EXCHANGES).then_some(())
            });
        }
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for talk in &mut self.talks {
            let ended = talk.thread.take().map(JoinHandle::join);
            let is_well = ended.is_none_or(|ended| ended.is_ok());
            assert!(is_well || std::thread::panicking(), "the neighbours on the {}", talk.name);
        }
    }
}

impl Talk {
    fn begin(
        name: &'static str,
        is_over: &Arc<AtomicBool>,
        mut exchange: impl FnMut(u64) + Send + 'static,
    ) -> Self {
        let exchanges = Arc::new(AtomicU64::new(0));
        let (count, is_over) = (Arc::clone(&exchanges), Arc::clone(is_over));
        let thread = std::thread::spawn(move || {
            for number in 1.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                exchange(number);
                count.store(number, Ordering::Relaxed);
                pause(BREAK);
            }
        });
        Self { name, exchanges, thread: Some(thread) }
    }

    fn count(&self) -> u64 {
        self.exchanges.load(Ordering::Relaxed)
    }

    /// Fails with what they failed with.
    fn check(&mut self) {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            let ended = self.thread.take().map(JoinHandle::join);
            assert!(
                ended.is_some_and(|ended| ended.is_ok()),
                "the neighbours on the {}",
                self.name
            );
        }
    }
}

/// The next message; pings are answered.
fn next(client: &mut Client) -> Frame {
    loop {
        let received = client.next();
        if received.opcode() != 9 {
            assert_eq!(received.opcode(), 1, "{received:?}");
            return received;
        }
        client.write(&frame(0x8a, &received.payload));
    }
}
