//! What must hold at any time, and what must have come of everything in the end.

use std::collections::BTreeSet;

use super::peer::{End, Peer};
use super::world::{World, has_members_elsewhere};
use crate::shard::session::{NONE, flag};
use crate::shard::state::State;

impl World {
    /// Holds the state's own bookkeeping together.
    pub(super) fn check_books(&self) {
        let mut memberships = 0;
        for (index, room) in &self.state.rooms.rooms {
            let mut members = BTreeSet::new();
            for (position, slot) in room.members.iter().enumerate().filter(|(_, s)| **s != NONE) {
                let session = &self.state.sessions[*slot as usize];
                let found = session.memberships().find(|member| member.room as usize == index);
                assert_eq!(found.map(|member| member.position as usize), Some(position));
                assert!(members.insert(*slot), "twice in a room");
            }
            assert_eq!(members.len(), room.len());
            memberships += members.len();
        }
        assert_eq!(memberships, self.state.rooms.memberships);
        let sessions = || self.state.sessions.iter().map(|(_, session)| session);
        let extras = sessions().filter_map(|session| session.extra.as_ref());
        let outbox_bytes: usize = extras.map(|extra| extra.outbox.bytes()).sum();
        assert_eq!(outbox_bytes, self.state.counters.outbox_bytes);
        let paused = sessions().filter(|session| session.has(flag::PAUSED)).count();
        assert_eq!(paused, self.state.counters.paused);
        let State { fresh, large, waiting, .. } = &self.state;
        let listed = fresh.iter().chain(large).chain(waiting);
        let mut listed: Vec<_> = listed.map(|room| *room as usize).collect();
        listed.sort_unstable();
        let rooms = self.state.rooms.rooms.iter();
        let dirty = rooms.filter(|(_, room)| room.next.is_some() || room.current.is_some());
        assert!(listed.into_iter().eq(dirty.map(|(index, _)| index)), "each in one list, once");
        for (at, peer) in self.peers.iter().enumerate() {
            if peer.end.is_none() {
                let session = &self.state.sessions[peer.slot as usize];
                assert_eq!(session.memberships().count(), peer.rooms.len(), "peer {at}");
            }
        }
    }

    /// Everybody got what they were owed, once, in order, and nothing else.
    pub(super) fn check_what_was_heard(&self) {
        for (at, peer) in self.peers.iter().enumerate() {
            let heard = &peer.heard;
            assert!(peer.received.is_empty() || peer.end == Some(End::Lost), "part of a frame");
            for id in &heard.messages {
                assert!(self.sent[*id].allowed.contains(&at), "{id} is not for peer {at}");
            }
            for room in 0..self.rooms {
                let ids: Vec<_> =
                    heard.messages.iter().filter(|id| self.sent[**id].room == room).collect();
                assert!(ids.is_sorted_by(|a, b| a < b), "peer {at} got {ids:?} of room {room}");
            }
            let mut owed = self.sent.iter().enumerate().filter(|(_, sent)| sent.owed.contains(&at));
            let missed = owed.find(|(id, _)| !heard.messages.contains(id)).map(|(id, _)| id);
            assert_eq!(missed, None, "peer {at} heard {:?}", heard.messages);
            let privates = if peer.end == Some(End::Lost) {
                heard.privates.len() as u32
            } else {
                peer.privates
            };
            assert!(heard.privates.iter().copied().eq(0..privates), "peer {at}");
            let expected = match peer.end {
                None => (None, false),
                Some(End::Lost) => (None, true),
                Some(End::Closed) => (Some(1000), true),
            };
            assert_eq!((heard.close, heard.is_over), expected, "peer {at}");
        }
        self.check_what_was_heard_elsewhere();
    }

    /// The other shard got everything, each room's in order: what it brought itself and what was sent to it.
    fn check_what_was_heard_elsewhere(&self) {
        for room in (0..self.rooms).filter(|room| has_members_elsewhere(*room)) {
            let all = (0..self.sent.len()).filter(|id| self.sent[*id].room == room);
            let (brought, received): (Vec<_>, Vec<_>) =
                all.partition(|id| self.brought.contains(id));
            let heard = self.heard_elsewhere.iter().copied();
            let heard: Vec<_> = heard.filter(|id| self.sent[*id].room == room).collect();
            assert_eq!(heard, received, "beside {brought:?}");
        }
    }

    /// What is counted is what arrived. Only where nobody was lost, with whom their messages are.
    pub(super) fn check_counts(&self) {
        if self.peers.iter().any(|peer| peer.end == Some(End::Lost)) {
            return;
        }
        let heard = |peer: &Peer| peer.heard.messages.len() + peer.heard.privates.len();
        let heard: usize = self.peers.iter().map(heard).sum();
        let dropped: u64 = self.state.counters.dropped.iter().sum();
        assert_eq!(self.state.counters.deliveries - dropped, heard as u64);
    }

    /// Everybody goes, and nothing remains.
    pub(super) fn end(&mut self) {
        for peer in 0..self.peers.len() {
            if self.is_held(peer) {
                self.state.lose(self.peers[peer].slot);
                self.state.reap();
                self.peers[peer].end = Some(End::Lost);
            }
        }
        // A room ends when nothing is left to write to nobody.
        while self.state.has_to_flush() {
            self.flush(7);
        }
        assert_eq!((self.state.sessions.len(), self.state.rooms.len()), (0, 0));
        self.check_books();
        assert_eq!(self.state.counters.outbox_bytes, 0);
        assert_eq!((self.state.full, self.state.counters.routes[0].sessions), (0, 0));
    }
}
