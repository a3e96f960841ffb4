//! The log for whoever is on no shard: tasks of the control runtime, which wait for their answers one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use tokio::sync::oneshot;

use crate::handle::Busy;
use crate::hub::shard_set::SHARDS_MAX;
use crate::log::engine::Unavailable;
use crate::log::handle::Log;
use crate::log::order::Order;
use crate::log::removal::Removal;
use crate::log::{
    Ack, Answer, Draft, Finding, Found, Origin, Query, Read, Refused, Submission, Unreadable,
};
use crate::protocol::SessionId;
use crate::protocol::chat::{ClientId, Identity};
use crate::rooms::conversation::View;

/// The desk's number among the shards: none of theirs.
pub(crate) const DESK: usize = SHARDS_MAX;

/// What became of one message.
pub(crate) type Receipt = Result<Ack, Refused>;

/// Stores and reads. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    log: Log,
    desk: Arc<Desk>,
}

/// Where answers wait to be fetched. Whoever asks bounds how many do.
#[derive(Default)]
pub(crate) struct Desk {
    next: AtomicU64,
    receipts: DashMap<SessionId, oneshot::Sender<Receipt>>,
    findings: DashMap<u64, oneshot::Sender<Result<Finding, Unreadable>>>,
}

/// A message of somebody who has no session.
pub(crate) struct Letter {
    pub(crate) view: View,
    pub(crate) author: Identity,
    pub(crate) client_id: ClientId,
    /// Valid JSON.
    pub(crate) body: Box<str>,
}

impl Client {
    pub(crate) fn new(log: Log, desk: Arc<Desk>) -> Self {
        Self { log, desk }
    }

    /// Stores messages one behind the other; a receipt for each, in their order.
    ///
    /// # Errors
    ///
    /// [`Busy`] if the log has too much to store already; it has none of them then.
    pub(crate) async fn store(&self, letters: Vec<Letter>) -> Result<Vec<Receipt>, Busy> {
        let (mut drafts, mut receipts) = (Vec::new(), Vec::new());
        for Letter { view, author, client_id, body } in letters {
            let (session, receipt) = self.desk.expect_receipt();
            receipts.push((session, receipt));
            let conversation = view.conversation();
            let origin = Origin { session, view, reference: None };
            drafts.push(Draft { conversation, author, client_id, body, origin, ruling: None });
        }
        if self.log.offer(Submission { drafts }).is_err() {
            for (session, _) in &receipts {
                self.desk.receipts.remove(session);
            }
            return Err(Busy);
        }
        let mut result = Vec::new();
        for (_, receipt) in receipts {
            // Each draft is answered, or the server is on its way down.
            result.push(receipt.await.unwrap_or(Err(Refused::Unavailable)));
        }
        Ok(result)
    }

    /// Has something removed; how many messages that were. What was begun is finished whether or not anybody waits.
    ///
    /// # Errors
    ///
    /// [`Busy`] if too much is being removed already; nothing of this is then.
    pub(crate) async fn remove(
        &self,
        removal: Removal,
    ) -> Result<Result<usize, Unavailable>, Busy> {
        let (told, done) = oneshot::channel();
        if !self.log.order(Order { removal, told }) {
            return Err(Busy);
        }
        // Each order is answered, or the server is on its way down.
        Ok(done.await.unwrap_or(Err(Unavailable)))
    }

    /// Asks the readers.
    ///
    /// # Errors
    ///
    /// [`Busy`] if too many queries wait already.
    pub(crate) async fn read(&self, query: Query) -> Result<Result<Finding, Unreadable>, Busy> {
        let ticket = self.desk.next.fetch_add(1, Ordering::Relaxed);
        let (sender, finding) = oneshot::channel();
        self.desk.findings.insert(ticket, sender);
        if self.log.ask(Read { shard: DESK, ticket, query }).is_err() {
            self.desk.findings.remove(&ticket);
            return Err(Busy);
        }
        Ok(finding.await.unwrap_or(Err(Unreadable)))
    }
}

impl Desk {
    /// Takes what became of drafts. Whoever waited for it may be gone.
    pub(crate) fn answer(&self, answers: Vec<Answer>) {
        for Answer { origin, result, .. } in answers {
            if let Some((_, sender)) = self.receipts.remove(&origin.session) {
                let _ = sender.send(result);
            }
        }
    }

    /// Takes what was found.
    pub(crate) fn found(&self, Found { ticket, result }: Found) {
        if let Some((_, sender)) = self.findings.remove(&ticket) {
            let _ = sender.send(result);
        }
    }

    fn expect_receipt(&self) -> (SessionId, oneshot::Receiver<Receipt>) {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        // 56 bits of it: far more than are ever on their way at once.
        let session = SessionId::new(DESK as u8, (ticket >> 32) as u32, ticket as u32);
        let (sender, receipt) = oneshot::channel();
        self.receipts.insert(session, sender);
        (session, receipt)
    }
}
