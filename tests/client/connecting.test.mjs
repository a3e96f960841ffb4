// How a connection begins: the address, the hello, who one is.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Uproar, UproarError } from '../../src/web/uproar.js';
import { HEARTBEAT_SECS, recorded, setUp, settled } from './fake.mjs';

/** What a browser's `localStorage` is, as far as it is used. */
function storage(entries = {}) {
  const map = new Map(Object.entries(entries));
  return {
    map,
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => void map.set(key, value),
    removeItem: (key) => void map.delete(key),
  };
}

const KEY = 'uproar.guest ws://chat.test/chat';

test('connect resolves at the welcome', async (t) => {
  const { chat, sockets, states } = setUp(t, { name: 'Ann' });
  const connected = chat.connect();
  assert.equal(chat.connect(), connected, 'one attempt for all who ask');
  const [socket] = sockets;
  assert.equal(socket.url, 'ws://chat.test/chat');
  assert.deepEqual(socket.protocols, ['uproar.chat.v1']);
  socket.open();
  assert.equal(chat.state, 'connecting', 'an open socket is no welcome');
  const hello = socket.take('hello');
  assert.deepEqual({ ...hello, ref: 0 }, { type: 'hello', name: 'Ann', ref: 0 });
  socket.say({ type: 'welcome', session: 's', user: 'guest-a', name: 'Ann', heartbeat_secs: HEARTBEAT_SECS, time: 1,
    limits: { message_bytes_max: 9, history_messages_max: 8, rooms_per_session_max: 7 },
    conversations: [{ with: 'bob', seq: 3 }], ref: hello.ref });
  assert.equal(await connected, chat);
  assert.equal(await chat.connect(), chat);
  assert.deepEqual([chat.state, chat.user, chat.name, chat.session], ['open', 'guest-a', 'Ann', 's']);
  assert.deepEqual(chat.limits, { messageBytesMax: 9, historyMessagesMax: 8, roomsPerSessionMax: 7 });
  assert.deepEqual(chat.conversations, [{ with: 'bob', seq: 3 }]);
  assert.deepEqual(states.map((event) => event.state), ['connecting', 'open']);
  assert.equal(sockets.length, 1);
});

test('addresses', (t) => {
  const WebSocket = class {};
  const url = (given) => new Uproar(given, { WebSocket }).url;
  assert.equal(url('https://chat.example.com/chat'), 'wss://chat.example.com/chat');
  assert.equal(url('http://chat.example.com/chat#x'), 'ws://chat.example.com/chat');
  assert.equal(url(new URL('wss://chat.example.com:99/a?b')), 'wss://chat.example.com:99/a?b');
  assert.throws(() => url('/chat'), TypeError, 'relative to what?');
  globalThis.location = new URL('https://shop.example.com/cart/');
  t.after(() => delete globalThis.location);
  assert.equal(url('/chat'), 'wss://shop.example.com/chat');
});

test('without a WebSocket there is a clear error', () => {
  const global = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');
  delete globalThis.WebSocket;
  try {
    assert.throws(() => new Uproar('ws://chat.test/chat'), /give one as an option/);
  } finally {
    if (global) Object.defineProperty(globalThis, 'WebSocket', global);
  }
});

test('an address that cannot be connected to is final', async (t) => {
  const WebSocket = class {
    constructor() {
      throw new SyntaxError('not this way');
    }
  };
  const { chat } = setUp(t, { WebSocket });
  await assert.rejects(chat.connect(), { code: 'bad_url', message: 'not this way' });
  assert.equal(chat.state, 'closed');
});

test('a refused hello is final', async (t) => {
  const { chat, sockets, states, tick } = setUp(t, { name: '\u202e' });
  const connected = chat.connect();
  sockets[0].open();
  sockets[0].refuse('hello', 'bad_name');
  await assert.rejects(connected, (error) => error instanceof UproarError && error.code === 'bad_name');
  assert.equal(chat.state, 'closed');
  assert.equal(states.at(-1).error.code, 'bad_name');
  assert.equal(sockets[0].closed, 1000);
  await tick(3_600_000);
  assert.equal(sockets.length, 1, 'no further attempt');
  await assert.rejects(chat.join('lobby'), { code: 'bad_name' });
  // Until somebody wants it.
  const again = chat.connect();
  sockets[1].welcome();
  await again;
});

test('the guest token is kept, and shown on reconnect', async (t) => {
  const kept = storage();
  const { chat, connect, sockets, tick } = setUp(t, { storage: kept });
  await connect({ guest: 'token-1' });
  assert.equal(chat.guest, 'token-1');
  assert.deepEqual([...kept.map], [[KEY, 'token-1']]);
  // Another tab has become another guest in between: this one stays who it is.
  kept.map.set(KEY, 'token-of-the-other-tab');
  sockets[0].lose();
  await tick(500);
  sockets[1].open();
  assert.equal(sockets[1].take('hello').guest, 'token-1');
});

test('the guest token outlives the page, and the option goes before it', (t) => {
  const kept = storage({ [KEY]: 'token-kept' });
  const first = setUp(t, { storage: kept });
  first.chat.connect();
  first.socket.open();
  assert.equal(first.socket.take('hello').guest, 'token-kept');
  t.mock.timers.reset();
  const second = setUp(t, { storage: kept, guest: 'token-given' });
  second.chat.connect();
  second.socket.open();
  assert.equal(second.socket.take('hello').guest, 'token-given');
});

test('a guest token that the server does not know is forgotten', async (t) => {
  const kept = storage({ [KEY]: 'token-old' });
  kept.removeItem = () => {
    throw new Error('forbidden');
  };
  const { chat, sockets } = setUp(t, { storage: kept });
  const connected = chat.connect();
  sockets[0].open();
  sockets[0].refuse('hello', 'bad_token');
  const hello = sockets[0].take('hello');
  assert.equal(hello.guest, undefined, 'not the same one again, whatever the storage says');
  const welcome = { type: 'welcome', user: 'guest-new', guest: 'token-new', heartbeat_secs: 25, time: 1 };
  sockets[0].say({ ...welcome, ref: hello.ref });
  await connected;
  assert.equal(chat.guest, 'token-new');
  assert.equal(kept.map.get(KEY), 'token-new');
  assert.equal(sockets.length, 1, 'over the same connection');
});

test('a storage that throws is no storage', async (t) => {
  const forbidden = () => {
    throw new Error('forbidden');
  };
  const { chat, connect } = setUp(t, { storage: { getItem: forbidden, setItem: forbidden, removeItem: forbidden } });
  await connect({ guest: 'token-1' });
  assert.equal(chat.guest, 'token-1');
});

test('a token is asked for at each connection, and goes instead of the guest', async (t) => {
  let count = 0;
  const { chat, sockets, tick } = setUp(t, { guest: 'token-guest', token: async () => `jwt-${(count += 1)}` });
  chat.connect();
  sockets[0].open();
  await settled();
  const hello = sockets[0].take('hello');
  assert.deepEqual([hello.token, hello.guest], ['jwt-1', undefined]);
  sockets[0].lose();
  await tick(500);
  sockets[1].open();
  await settled();
  assert.equal(sockets[1].take('hello').token, 'jwt-2');
});

test('without its token it tries again; a token that comes too late is not used', async (t) => {
  const waiting = [];
  const { chat, sockets, tick } = setUp(t, { token: () => new Promise((ok, no) => waiting.push({ ok, no })) });
  const errors = recorded(chat, 'error');
  chat.connect();
  sockets[0].open();
  waiting[0].no(new Error('the backend is down'));
  await settled();
  assert.equal(errors[0].error.code, 'token');
  assert.match(errors[0].error.message, /the backend is down/);
  await tick(500);
  sockets[1].open();
  sockets[1].lose();
  await tick(1_000);
  sockets[2].open();
  waiting[1].ok('jwt-late');
  await settled();
  assert.deepEqual(sockets[2].sent, []);
  waiting[2].ok('jwt-3');
  await settled();
  assert.equal(sockets[2].take('hello').token, 'jwt-3');
});

test('close ends everything, and connect begins anew', async (t) => {
  const { chat, connect, enter, sockets, states, tick } = setUp(t);
  await connect();
  const { room } = await enter();
  const sending = room.send('x');
  const reading = room.history();
  const rooms = chat.rooms();
  chat.close();
  for (const promise of [sending, reading, rooms]) await assert.rejects(promise, { code: 'closed' });
  assert.deepEqual([chat.state, chat.queued, sockets[0].closed], ['closed', 0, 1000]);
  await assert.rejects(room.send('y'), { code: 'closed' });
  await assert.rejects(room.history(), { code: 'closed' });
  await assert.rejects(chat.rooms(), { code: 'closed' });
  await tick(3_600_000);
  assert.equal(sockets.length, 1);
  chat.close();
  assert.deepEqual(states.map((event) => event.state), ['connecting', 'open', 'closed'], 'once');
  await connect();
  const join = sockets[1].joined({ room: 'lobby', seq: 1 });
  assert.deepEqual(join.after, { epoch: 'e1', seq: 1 }, 'it goes on where it was');
  assert.equal(room.state, 'joined');
});
