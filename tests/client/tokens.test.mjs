// Tokens that run out, and rooms that are taken away.

import assert from 'node:assert/strict';
import test from 'node:test';

import { recorded, said, setUp, settled } from './fake.mjs';

const EXPIRED = { type: 'error', code: 'token_expired', message: 'soon' };

/** Gives `token-1`, `token-2` and so on. */
function source() {
  let last = 0;
  return async () => `token-${(last += 1)}`;
}

/** A welcomed client whose tokens come from there. */
async function setUpWith(t, token) {
  const parts = setUp(t, { token });
  const connected = parts.chat.connect();
  parts.socket.open();
  await settled();
  const { ref, token: shown } = parts.socket.take('hello');
  parts.socket.say({ type: 'welcome', user: 'ann', name: 'Ann', heartbeat_secs: 25, time: Date.now(), ref });
  await connected;
  return { ...parts, shown, socket: parts.socket, latest: () => parts.socket };
}

test('a token that runs out is replaced while the connection stays', async (t) => {
  const { chat, socket, sockets, shown, states } = await setUpWith(t, source());
  const errors = recorded(chat, 'error');
  assert.equal(shown, 'token-1');
  for (const expected of ['token-2', 'token-3']) {
    socket.say(EXPIRED);
    await settled();
    const { token, ref } = socket.take('refresh');
    assert.equal(token, expected);
    socket.say({ type: 'refreshed', expires: Date.now() + 60_000, ref });
  }
  assert.deepEqual([errors.length, sockets.length, chat.state], [0, 1, 'open']);
  assert.deepEqual(states.map((event) => event.state), ['connecting', 'open']);
});

test('a server that cannot look at the token for the moment is asked again', async (t) => {
  const { chat, socket, tick } = await setUpWith(t, source());
  const errors = recorded(chat, 'error');
  socket.say(EXPIRED);
  await settled();
  socket.refuse('refresh', 'unavailable', { retry_after_ms: 1_000 });
  await tick(900);
  assert.equal(socket.sent.length, 0);
  await tick(600);
  assert.equal(socket.take('refresh').token, 'token-3');
  assert.equal(errors.length, 0);
});

test('a source that fails is asked again, and the page is told', async (t) => {
  let calls = 0;
  const { chat, socket, tick } = await setUpWith(t, async () => {
    calls += 1;
    if (calls === 2) throw new Error('no network');
    return `token-${calls}`;
  });
  const errors = recorded(chat, 'error');
  socket.say(EXPIRED);
  await settled();
  assert.deepEqual(errors.map(({ error }) => error.code), ['token']);
  await tick(7_000);
  assert.equal(socket.take('refresh').token, 'token-3');
});

test('a token that is refused at the refresh is told, and the connection goes on while it may', async (t) => {
  const { chat, socket } = await setUpWith(t, source());
  const errors = recorded(chat, 'error');
  socket.say(EXPIRED);
  await settled();
  socket.refuse('refresh', 'bad_token');
  assert.deepEqual(errors.map(({ error }) => error.code), ['bad_token']);
  assert.equal(chat.state, 'open');
});

test('a text runs out, and the page is told', async (t) => {
  const { chat, socket } = await setUpWith(t, 'token');
  const errors = recorded(chat, 'error');
  socket.say(EXPIRED);
  await settled();
  assert.equal(socket.sent.length, 0);
  assert.deepEqual(errors.map(({ error }) => error.code), ['token_expired']);
  socket.say({ type: 'bye', code: 4401, reason: 'the token has expired', reconnect: false, after_ms: 500 });
  assert.equal(chat.state, 'closed');
});

test('after the end of a token the next connection has another one', async (t) => {
  const { chat, socket, sockets, tick } = await setUpWith(t, source());
  socket.say({ type: 'bye', code: 4401, reason: 'the token has expired', reconnect: false, after_ms: 500 });
  assert.equal(chat.state, 'waiting');
  await tick(2_000);
  sockets[1].open();
  await settled();
  assert.equal(sockets[1].take('hello').token, 'token-2');
  // A token that does not count is no reason to come back for ever.
  sockets[1].say({ type: 'bye', code: 4401, reason: 'bad token', reconnect: false, after_ms: 500 });
  assert.equal(chat.state, 'closed');
});

test('a room that one may be in no more is left', async (t) => {
  const { chat, connect, enter, sockets } = setUp(t);
  await connect();
  const { room, messages } = await enter('lobby');
  const left = recorded(room, 'left');
  sockets[0].say({ type: 'left', room: 'lobby' });
  assert.deepEqual([room.state, left.map(({ error }) => error.code)], ['left', ['forbidden']]);
  await assert.rejects(room.send('hi'), { code: 'left' });
  sockets[0].say(said(2, 1));
  assert.equal(messages.length, 0);
  assert.equal(chat.state, 'open');
});
