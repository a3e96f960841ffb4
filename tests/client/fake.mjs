// A server made of plain calls, and a clock that a test turns: what the tests of the client's rules share.

import { Uproar } from '../../src/web/uproar.js';

/** When the tests take place, by the local clock. */
export const NOW = Date.UTC(2026, 0, 2);

export const HEARTBEAT_SECS = 25;

/** A client on a network that is this object. The local clock stands still until `t.mock.timers.tick`. */
export function setUp(t, options = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: NOW });
  const sockets = [];
  class WebSocket extends FakeSocket {
    constructor(url, protocols) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const chat = new Uproar('ws://chat.test/chat', { WebSocket, random: () => 0.5, ...options });
  const states = recorded(chat, 'state');
  return {
    chat,
    sockets,
    states,
    get socket() {
      return sockets.at(-1);
    },
    tick: async (ms) => {
      t.mock.timers.tick(ms);
      await settled();
    },
    /** A welcomed client. */
    connect: async (welcome) => {
      const connected = chat.connect();
      sockets.at(-1).welcome(welcome);
      await connected;
      return sockets.at(-1);
    },
    /** A client in a room with one message in it. */
    enter: async (name = 'lobby', joined = {}) => {
      const entering = chat.join(name);
      sockets.at(-1).joined({ room: name, messages: [said(1, 0, { room: name })], ...joined });
      const room = await entering;
      const messages = recorded(room, 'message');
      t.mock.timers.tick(0);
      messages.splice(0);
      return { room, messages };
    },
  };
}

/** One connection, with the server's side of it. */
class FakeSocket {
  readyState = 0;
  bufferedAmount = 0;
  /** What `close` was called with. */
  closed = null;
  /** What the client sent and the server has not looked at. */
  sent = [];

  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
  }

  send(text) {
    if (this.readyState !== 1) throw new Error('sent over a connection that is not open');
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closed = code;
    this.readyState = 2;
  }

  /** The server's next frame. */
  say(frame) {
    this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
  }

  /** The client's next frame, which has to be of this type. */
  take(type) {
    const frame = this.sent.shift();
    if (frame?.type !== type) throw new Error(`${type} expected, but this was sent: ${JSON.stringify(frame)}`);
    return frame;
  }

  open() {
    this.readyState = 1;
    this.onopen?.({});
  }

  /** The connection ends, without a close handshake unless there is a code. */
  lose(code = 1006) {
    this.readyState = 3;
    this.onclose?.({ code, reason: '' });
  }

  /** Opens, and answers the hello. */
  welcome(fields = {}) {
    this.open();
    const { ref } = this.take('hello');
    this.say({ ...WELCOME, time: Date.now(), ...fields, ref });
  }

  /** Answers the next join. */
  joined(fields) {
    const join = this.take('join');
    const seq = fields.messages?.at(-1)?.seq ?? 0;
    this.say({ type: 'joined', epoch: 'e1', seq, messages: [], more: false, ...fields, ref: join.ref });
    return join;
  }

  /** Answers the next send with an ack. */
  ack(seq, fields = {}) {
    const { ref, client_id, room } = this.take('send');
    this.say({ type: 'ack', client_id, seq, time: NOW, stored: true, room, ref, ...fields });
  }

  /** Refuses the next request of this type. */
  refuse(type, code, fields = {}) {
    const { ref, client_id, room } = this.take(type);
    this.say({ type: 'error', code, message: `no: ${code}`, client_id, room, ref, ...fields });
  }
}

const WELCOME = {
  type: 'welcome',
  session: '00000000000000aa',
  user: 'guest-me',
  name: 'Guest 0001',
  guest: 'token-me',
  heartbeat_secs: HEARTBEAT_SECS,
  limits: { message_bytes_max: 65536, history_messages_max: 100, rooms_per_session_max: 100 },
  conversations: [],
};

/** A message as the server says it. */
export function said(seq, prev, fields = {}) {
  const from = { user: 'bob', name: 'Bob' };
  const message = { seq, prev, room: 'lobby', from, client_id: `id-${seq}`, time: NOW, kind: 'text', body: seq };
  return { type: 'message', ...message, ...fields };
}

/** The events of one type, as they come. */
export function recorded(target, type) {
  const events = [];
  target.addEventListener(type, (event) => events.push(event));
  return events;
}

/** Until everything that waits only for promises has gone on. */
export function settled() {
  return new Promise((done) => setImmediate(done));
}

/** The seqs of events that tell of messages. */
export function seqs(events) {
  return events.map((event) => event.message.seq);
}

/** What becomes of a promise, to be looked at later: `fate.value` or `fate.error`. */
export function fateOf(promise) {
  const fate = { value: undefined, error: undefined };
  promise.then(
    (value) => (fate.value = value),
    (error) => (fate.error = error),
  );
  return fate;
}
