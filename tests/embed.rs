//! The crate as programs use it: a handler of their own, told of each session what is documented, and handles that act
//! from other threads.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Barrier};
use std::thread;

use uproar::{
    Busy, Close, CloseReason, Context, Handle, Handler, Message, Request, Server, SessionId,
};

use support::client::{Client, frame};
use support::data_dir::DataDir;
use support::embedded::Embedded;
use support::{PATIENCE, wait_for};

/// What a handler was told.
#[derive(Debug)]
enum Told {
    Open(SessionId, Box<Request>),
    Message(SessionId, String),
    Error(SessionId, CloseReason),
    Close(SessionId, CloseReason),
}

/// Joins the room of the path, passes on what it is told, and does what messages ask for.
struct Recorder {
    told: SyncSender<Told>,
    barrier: Arc<Barrier>,
}

impl Handler for Recorder {
    fn open(&self, session: &mut Context<'_>, request: &Request) {
        assert!(session.join(request.room.as_deref().unwrap_or("hall")));
        let _ = self.told.try_send(Told::Open(session.id(), Box::new(request.clone())));
    }

    fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
        let Message::Text(text) = message else {
            session.send(message);
            return;
        };
        let _ = self.told.try_send(Told::Message(session.id(), text.to_owned()));
        match text {
            "close me" => {
                session.send("last words");
                session.close(Close::new(4000_u16, "as you wish"));
                session.send("too late");
            }
            "hold" => {
                self.barrier.wait();
                self.barrier.wait();
            }
            _ => session.broadcast(message),
        }
    }

    fn close(&self, session: &mut Context<'_>, reason: &CloseReason) {
        session.broadcast("one less");
        session.send("nobody reads this");
        assert!(!session.join("another room"), "who is over joins nothing");
        let _ = self.told.try_send(Told::Close(session.id(), reason.clone()));
    }

    fn error(&self, session: &mut Context<'_>, reason: &CloseReason) {
        let _ = self.told.try_send(Told::Error(session.id(), reason.clone()));
    }
}

/// A server with that handler on `/x/{room}`.
struct Fixture {
    server: Embedded,
    handle: Handle,
    told: Receiver<Told>,
    barrier: Arc<Barrier>,
}

impl Fixture {
    fn start(shards: usize) -> Self {
        let (told, hear) = sync_channel(1000);
        let barrier = Arc::new(Barrier::new(2));
        let recorder = Recorder { told, barrier: Arc::clone(&barrier) };
        let mut handle = None;
        let server = Embedded::start(shards, |builder| {
            let server = builder.route("/x/{room}", recorder).bind().expect("it starts");
            assert!(server.handle("/x").is_none(), "no such route");
            handle = server.handle("/x/{room}");
            server
        });
        let handle = handle.expect("that route is there");
        Self { server, handle, told: hear, barrier }
    }

    fn connect(&self, room: &str) -> (Client, SessionId) {
        let client = Client::connect(self.server.address, &format!("/x/{room}"));
        match self.hear() {
            Told::Open(id, _) => (client, id),
            told => panic!("{told:?}"),
        }
    }

    fn hear(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("the handler is told")
    }
}

#[test]
fn a_handler_is_told_of_the_request() {
    let fixture = Fixture::start(2);
    let client = Client::connect(fixture.server.address, "/x/caf%C3%A9?token=1");
    let Told::Open(_, request) = fixture.hear() else { panic!("first of all it opens") };
    assert_eq!(request.uri.path(), "/x/caf%C3%A9");
    assert_eq!(request.uri.query(), Some("token=1"));
    assert_eq!(request.room.as_deref(), Some("café"));
    assert_eq!(request.headers["host"], "localhost");
    assert_eq!(Some(request.address), client.stream.local_addr().ok());
}

/// What a peer does, what the handler is told then, and the code that the peer is told.
#[track_caller]
fn check(act: impl FnOnce(&mut Client), error: bool, reason: &CloseReason, code: Option<u16>) {
    let fixture = Fixture::start(1);
    let (mut witness, _) = fixture.connect("room");
    let (mut client, id) = fixture.connect("room");
    client.send("hello");
    assert!(matches!(fixture.hear(), Told::Message(from, text) if from == id && text == "hello"));
    assert_eq!(witness.next().text(), "hello");
    act(&mut client);
    let mut told = fixture.hear();
    while let Told::Message(from, _) = told {
        assert_eq!(from, id);
        told = fixture.hear();
    }
    if error {
        let Told::Error(from, found) = &told else { panic!("{told:?}") };
        assert_eq!((*from, found), (id, reason));
        told = fixture.hear();
    }
    let Told::Close(from, found) = &told else { panic!("{told:?}") };
    assert_eq!((*from, found), (id, reason));
    assert_eq!(witness.next().text(), "one less", "it was in its room until then");
    if let Some(code) = code {
        let frames = client.rest();
        let (close, rest) = frames.split_last().expect("a Close");
        assert_eq!(close.close_code(), code);
        let words: Vec<_> = rest.iter().map(support::client::Frame::text).collect();
        let last_words = matches!(reason, CloseReason::Handler(close) if close.code == 4000);
        assert_eq!(words, if last_words { vec!["last words"] } else { vec![] });
    }
    drop(client);
    drop(witness);
    let Told::Close(..) = fixture.hear() else { panic!("the witness, and nothing else before") };
}

#[test]
fn a_handler_is_told_of_the_end_once() {
    let normal = || Close::new(1000_u16, "bye");
    let mut bye = 1000_u16.to_be_bytes().to_vec();
    bye.extend_from_slice(b"bye");
    let says_bye = move |client: &mut Client| client.write(&frame(0x88, &bye));
    check(says_bye, false, &CloseReason::Peer(Some(normal())), Some(1000));
    check(|client| client.write(&frame(0x88, b"")), false, &CloseReason::Peer(None), Some(1005));
    let hangs_up =
        |client: &mut Client| client.stream.shutdown(std::net::Shutdown::Both).expect("it is open");
    check(hangs_up, false, &CloseReason::Lost, None);
    let asks = |client: &mut Client| client.send("close me");
    let asked_for = CloseReason::Handler(Close::new(4000_u16, "as you wish"));
    check(asks, false, &asked_for, Some(4000));
}

#[test]
fn a_handler_is_told_of_an_error_before_the_end() {
    let unmasked = |client: &mut Client| client.write(&[0x81, 0x01, b'a']);
    check(unmasked, true, &CloseReason::Protocol("frame is not masked"), Some(1002));
    let not_text = |client: &mut Client| client.write(&frame(0x81, &[0xff]));
    check(not_text, true, &CloseReason::InvalidUtf8, Some(1007));
    let too_big = |client: &mut Client| client.write(&frame(0x82, &[0; 65_537])[..14]);
    check(too_big, true, &CloseReason::TooBig, Some(1009));
}

#[test]
fn a_handle_acts_from_another_thread() {
    let fixture = Fixture::start(4);
    let (mut member, id) = fixture.connect("room");
    let (mut other, _) = fixture.connect("room");
    let handle = fixture.handle.clone();
    let acts = thread::spawn(move || {
        handle.send(id, "to you").expect("not busy");
        handle.publish("room", None, b"to all".as_slice()).expect("not busy");
        handle.publish("nowhere", None, "to nobody").expect("nobody is not busy");
    });
    acts.join().expect("no panic");
    // A session and its room are reached by different ways, with no order between them.
    let heard = [member.next(), member.next()].map(|frame| (frame.opcode(), frame.payload));
    assert!(heard.contains(&(1, b"to you".to_vec())) && heard.contains(&(2, b"to all".to_vec())));
    assert_eq!(other.next().payload, b"to all");
    fixture.handle.close(id, Close::new(4001_u16, "go")).expect("not busy");
    assert_eq!(member.next().close_code(), 4001);
    // A handle that outlives what it acts on does nothing.
    assert_eq!(other.next().text(), "one less");
    fixture.handle.send(id, "gone").expect("not busy");
    fixture.handle.close(id, Close::normal()).expect("not busy");
    other.send("still here");
    fixture.handle.publish("room", None, "everyone?").expect("not busy");
    assert_eq!(other.next().text(), "everyone?");
}

/// Wherever the session is that a message is not for, and whichever shard hands the message on.
#[test]
fn a_handle_excepts_a_session_on_any_shard() {
    const ROOMS: [&str; 5] = ["one", "two", "three", "four", "five"];
    let fixture = Fixture::start(4);
    let connect = |room| (0..12).map(|_| fixture.connect(room)).collect::<Vec<_>>();
    for (room, mut members) in ROOMS.map(|room| (room, connect(room))) {
        let ids: Vec<_> = members.iter().map(|(_, id)| *id).collect();
        for id in &ids {
            fixture.handle.publish(room, Some(*id), id.to_string().as_str()).expect("not busy");
        }
        fixture.handle.publish(room, None, "end").expect("not busy");
        for (member, id) in &mut members {
            let heard = std::iter::from_fn(|| {
                Some(member.next().text().to_owned()).filter(|text| text != "end")
            });
            let others = ids.iter().filter(|other| *other != id).map(SessionId::to_string);
            assert_eq!(heard.collect::<Vec<_>>(), others.collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_handle_keeps_its_order_and_says_when_it_cannot_act() {
    // What may wait at one shard, as `docs/architecture.md` has it.
    const REQUESTS_MAX: usize = 4096;
    let fixture = Fixture::start(1);
    let (mut member, id) = fixture.connect("room");
    let (mut holder, _) = fixture.connect("elsewhere");
    holder.send("hold");
    fixture.barrier.wait();
    let taken = (0..).take_while(|number: &usize| {
        let text = number.to_string();
        let taken = match number % 2 {
            0 => fixture.handle.publish("room", None, text.as_str()),
            _ => fixture.handle.send(id, text.as_str()),
        };
        taken != Err(Busy)
    });
    assert_eq!(taken.count(), REQUESTS_MAX);
    assert_eq!(fixture.handle.close(id, Close::normal()), Err(Busy));
    fixture.barrier.wait();
    let heard: Vec<usize> =
        (0..REQUESTS_MAX).map(|_| member.next().text().parse().expect("a number")).collect();
    for kind in 0..2 {
        let of_kind = heard.iter().filter(|number| *number % 2 == kind);
        assert!(of_kind.is_sorted(), "published in order, sent in order");
    }
    assert_eq!(heard.iter().collect::<BTreeSet<_>>().len(), REQUESTS_MAX);
    wait_for("the queue has room again", || fixture.handle.send(id, "last").ok());
    assert_eq!(member.next().text(), "last");
}

/// Takes the handle that a session is lent along to a thread, as a handler does that waits for a database.
struct Late;

impl Handler for Late {
    fn open(&self, _session: &mut Context<'_>, _request: &Request) {}

    fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
        let Message::Text(question) = message else { return };
        let (handle, id, question) = (session.handle(), session.id(), question.to_owned());
        thread::spawn(move || handle.send(id, format!("the answer to {question}").as_str()));
    }
}

#[test]
fn a_handler_may_answer_later() {
    let server = Embedded::start(1, |builder| builder.route("/late", Late).bind().expect("starts"));
    let mut client = Client::connect(server.address, "/late");
    client.send("everything");
    assert_eq!(client.next().text(), "the answer to everything");
    server.stop().expect("it stops");
}

#[test]
fn what_cannot_be_served_does_not_start() {
    let build = |pattern: &str| {
        let data = DataDir::new();
        Server::builder(data.config()).route(pattern, Late).bind().map(drop)
    };
    for pattern in ["no path", "/{anything}", "/{room}/more", "/relay/{room}"] {
        let error = build(pattern).expect_err(pattern).to_string();
        assert!(error.contains(pattern), "{error}");
    }
}
