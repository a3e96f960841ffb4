// What a room shows: each message once, in order, none left out without a word, over any number of connections.

import assert from 'node:assert/strict';
import test from 'node:test';

import { fateOf, NOW, recorded, said, seqs, setUp, settled } from './fake.mjs';

/** The connection is lost, and the next one is welcome; its join request. */
async function reconnect({ chat, sockets }, joined) {
  sockets.at(-1).lose();
  chat.retry();
  sockets.at(-1).welcome();
  return sockets.at(-1).joined({ room: 'lobby', seq: 99, ...joined });
}

/** Answers the next history request with these messages of the room. */
async function page(socket, messages, fields = {}) {
  const { ref, after, limit } = socket.take('history');
  socket.say({ type: 'history', room: 'lobby', epoch: 'e1', messages, more: false, ...fields, ref });
  await settled();
  return { after, limit };
}

test('history comes first, as events, to whoever has awaited the join', async (t) => {
  const { chat, connect, sockets, tick } = setUp(t);
  await connect();
  const entering = chat.join('lobby', { history: 2 });
  const join = sockets[0].joined({ room: 'lobby', more: true, messages: [said(4, 2), said(7, 4)] });
  assert.deepEqual([join.room, join.history, join.after], ['lobby', 2, undefined]);
  // Frames that were read together come before anything that awaits.
  sockets[0].say(said(8, 7));
  sockets[0].say({ type: 'signal', room: 'lobby', from: { user: 'bob', name: 'Bob' }, body: 1 });
  const room = await entering;
  const messages = recorded(room, 'message');
  const signals = recorded(room, 'signal');
  assert.deepEqual(seqs(messages), []);
  await tick(0);
  assert.deepEqual(seqs(messages), [4, 7, 8]);
  assert.deepEqual(messages.map((event) => event.history), [true, true, false]);
  assert.equal(signals.length, 1);
  assert.deepEqual([room.name, room.with, room.state, room.more], ['lobby', undefined, 'joined', true]);
  assert.deepEqual(room.position, { epoch: 'e1', seq: 8 });
  assert.equal(await chat.join('lobby'), room, 'who is in a room is in it');
  assert.deepEqual(sockets[0].sent, []);
});

test('a message as it is told', async (t) => {
  const { connect, enter } = setUp(t);
  const socket = await connect();
  const { messages } = await enter();
  socket.say(said(2, 1, { from: { user: 'guest-me', name: 'Ann' }, client_id: 'id', body: { text: 'x' } }));
  assert.deepEqual(messages[0].message, {
    seq: 2, prev: 1, room: 'lobby', from: { user: 'guest-me', name: 'Ann' }, clientId: 'id', time: NOW, kind: 'text',
    body: { text: 'x' }, own: true,
  });
  socket.say(said(3, 2));
  assert.equal(messages[1].message.own, false);
});

test('rooms are asked for again from where they were', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room, messages } = await client.enter();
  const other = await client.enter('attic', { seq: 0, messages: [] });
  client.socket.say(said(5, 1));
  client.socket.say(said(6, 0, { room: 'attic' }));
  client.socket.lose();
  assert.equal(room.state, 'joining');
  await client.tick(500);
  client.socket.welcome();
  const one = client.socket.joined({ room: 'lobby', seq: 8 });
  const two = client.socket.joined({ room: 'attic', seq: 6 });
  assert.deepEqual([one.room, one.after], ['lobby', { epoch: 'e1', seq: 5 }]);
  assert.deepEqual([two.room, two.after], ['attic', { epoch: 'e1', seq: 6 }]);
  client.socket.say(said(7, 5));
  client.socket.say(said(8, 7));
  assert.deepEqual(seqs(messages), [5, 7, 8]);
  assert.deepEqual(seqs(other.messages), [6]);
  assert.ok(messages.every((event) => !event.history), 'what was missed is no history');
});

test('no message is shown twice', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { messages } = await client.enter();
  for (const seq of [2, 2, 1]) client.socket.say(said(seq, seq - 1));
  await reconnect(client);
  for (const seq of [1, 2, 3, 3]) client.socket.say(said(seq, seq - 1));
  assert.deepEqual(seqs(messages), [2, 3]);
});

test('what comes before the room is entered again is of no position that is known', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { messages } = await client.enter();
  client.socket.lose();
  client.chat.retry();
  client.socket.welcome();
  client.socket.say(said(2, 1));
  client.socket.joined({ room: 'lobby', epoch: 'e2', messages: [said(1, 0), said(2, 1)] });
  assert.deepEqual(seqs(messages), [1, 2]);
});

test('an empty room begins at the end of its log', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room, messages } = await client.enter('lobby', { messages: [], seq: 40 });
  assert.equal(room.position.seq, 40);
  client.socket.say(said(40, 39));
  client.socket.say(said(45, 40));
  assert.deepEqual(seqs(messages), [45]);
});

test('nothing to replay leaves the position where it is', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room } = await client.enter();
  // The join says where the log ends; what leads there is still to come, and may be lost on the way.
  await reconnect(client, { seq: 9 });
  assert.equal(room.position.seq, 1);
  assert.deepEqual((await reconnect(client, { seq: 9 })).after, { epoch: 'e1', seq: 1 });
});

test('a hole is read from the log, in order, page by page', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room, messages } = await client.enter();
  const gaps = recorded(room, 'gap');
  client.socket.say(said(6, 5));
  client.socket.say(said(9, 6));
  assert.deepEqual(seqs(messages), [], 'nothing is shown past a hole');
  assert.deepEqual(await page(client.socket, [said(2, 1), said(5, 2)], { more: true }), { after: 1, limit: 100 });
  client.socket.say(said(12, 9));
  assert.equal((await page(client.socket, [said(6, 5), said(9, 6)], { more: true })).after, 5);
  assert.equal((await page(client.socket, [said(12, 9)])).after, 9);
  assert.deepEqual(client.socket.sent, [], 'that was all');
  client.socket.say(said(13, 12));
  assert.deepEqual(seqs(messages), [2, 5, 6, 9, 12, 13]);
  assert.deepEqual(gaps, []);
});

test('seqs may have holes as long as prev fits', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { messages } = await client.enter();
  client.socket.say(said(1_000, 1));
  client.socket.say(said(5_000, 1_000));
  assert.deepEqual(seqs(messages), [1_000, 5_000]);
  assert.deepEqual(client.socket.sent, []);
});

test('a hole that the log has no more is told as a gap', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room, messages } = await client.enter();
  const gaps = recorded(room, 'gap');
  client.socket.say(said(9, 8));
  await page(client.socket, [said(3, 2)]);
  assert.deepEqual(seqs(messages), [3]);
  assert.deepEqual(gaps.map(({ from, to }) => [from, to]), [[3, 9]]);
  client.socket.say(said(10, 9));
  assert.deepEqual(seqs(messages), [3, 10]);
  client.socket.say(said(20, 19));
  client.socket.refuse('history', 'forbidden');
  await settled();
  assert.deepEqual(gaps.slice(1).map(({ from, to }) => [from, to]), [[10, 20]], 'as is one that cannot be read');
  client.socket.say(said(21, 20));
  assert.deepEqual(seqs(messages), [3, 10, 21]);
});

test('a server whose pages lead nowhere is not asked for ever', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room } = await client.enter();
  const gaps = recorded(room, 'gap');
  client.socket.say(said(9, 8));
  await page(client.socket, [said(1, 0)], { more: true });
  assert.deepEqual(gaps.map(({ from, to }) => [from, to]), [[1, 9]]);
  assert.deepEqual(client.socket.sent, []);
});

test('a hole of a connection that was lost is filled by the next one', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { messages } = await client.enter();
  client.socket.say(said(3, 2));
  assert.equal((await reconnect(client)).after.seq, 1);
  client.socket.say(said(2, 1));
  client.socket.say(said(3, 2));
  client.socket.say(said(4, 3));
  assert.deepEqual(seqs(messages), [2, 3, 4]);
  if (client.socket.sent.length > 0) await page(client.socket, [said(2, 1), said(3, 2)]);
  assert.deepEqual(seqs(messages), [2, 3, 4]);
});

test('gaps, in the join and later', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room, messages } = await client.enter();
  const gaps = recorded(room, 'gap');
  await reconnect(client, { gap: { from: 1, to: 5 } });
  client.socket.say(said(6, 5));
  client.socket.say({ type: 'gap', room: 'lobby', from: 6, to: 30 });
  client.socket.say({ type: 'gap', room: 'lobby', from: 2, to: 3 });
  client.socket.say(said(31, 30));
  assert.deepEqual(gaps.map(({ from, to }) => [from, to]), [[1, 5], [6, 30]]);
  assert.deepEqual(seqs(messages), [6, 31]);
  assert.deepEqual(client.socket.sent, [], 'what is known to be gone is not asked for');
});

test('a log that went back begins anew', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room, messages } = await client.enter();
  const resets = recorded(room, 'reset');
  client.socket.say(said(500, 1));
  await reconnect(client, { seq: 2, messages: [said(1, 0), said(2, 1)] });
  client.socket.say(said(3, 2));
  assert.deepEqual(seqs(messages), [500, 1, 2, 3]);
  assert.equal(resets.length, 1);
});

test('a new epoch begins anew', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room, messages } = await client.enter();
  const order = [];
  room.addEventListener('reset', (event) => order.push(`reset ${event.epoch}`));
  room.addEventListener('message', (event) => order.push(event.message.seq));
  client.socket.say(said(500, 1));
  await reconnect(client, { epoch: 'e2', messages: [said(1, 0), said(2, 1)], more: true });
  client.socket.say(said(3, 2));
  assert.deepEqual(order, [500, 'reset e2', 1, 2, 3]);
  assert.deepEqual(messages.map((event) => event.history), [false, true, true, false]);
  assert.deepEqual(room.position, { epoch: 'e2', seq: 3 });
  assert.equal(room.more, true);
  await reconnect(client, { epoch: 'e3', seq: 7 });
  assert.deepEqual(room.position, { epoch: 'e3', seq: 7 });
});

test('a join waits for the connection, and is refused when the server refuses it', async (t) => {
  const { chat, sockets } = setUp(t);
  const right = fateOf(chat.join('lobby'));
  const wrong = fateOf(chat.join('..'));
  chat.connect();
  sockets[0].welcome();
  sockets[0].joined({ room: 'lobby' });
  sockets[0].refuse('join', 'bad_room');
  await settled();
  assert.equal(right.value.name, 'lobby');
  assert.equal(wrong.error.code, 'bad_room');
  const again = fateOf(chat.join('..'));
  sockets[0].refuse('join', 'bad_room');
  await settled();
  assert.equal(again.error.code, 'bad_room', 'it is asked for anew');
});

test('who joins as soon as it is open joins once', async (t) => {
  const { chat, sockets } = setUp(t);
  chat.addEventListener('state', ({ state }) => state === 'open' && chat.join('lobby'));
  chat.connect();
  sockets[0].welcome();
  sockets[0].joined({ room: 'lobby' });
  assert.deepEqual(sockets[0].sent, []);
});

test('a join is asked for again when the server is unavailable', async (t) => {
  const { chat, connect, sockets, tick } = setUp(t);
  await connect();
  const fate = fateOf(chat.join('lobby'));
  sockets[0].refuse('join', 'unavailable', { retry_after_ms: 2_000 });
  await tick(1_999);
  assert.deepEqual(sockets[0].sent, []);
  await tick(501);
  sockets[0].joined({ room: 'lobby' });
  await settled();
  assert.equal(fate.value.state, 'joined');
});

test('a room that does not take one back is left', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room } = await client.enter();
  const left = recorded(room, 'left');
  const waiting = fateOf(room.send('x'));
  client.socket.lose();
  await client.tick(500);
  client.socket.welcome();
  client.socket.refuse('join', 'forbidden');
  await settled();
  assert.deepEqual([room.state, left[0].error.code, waiting.error.code], ['left', 'forbidden', 'forbidden']);
  await assert.rejects(room.history(), { code: 'left' });
});

test('nothing comes after leave', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room, messages } = await client.enter();
  const left = recorded(room, 'left');
  const leaving = fateOf(room.leave());
  const { ref } = client.socket.take('leave');
  client.socket.say(said(2, 1));
  assert.equal(leaving.value ?? leaving.error, undefined);
  const again = client.chat.join('lobby');
  client.socket.say(said(3, 2));
  client.socket.say({ type: 'left', room: 'lobby', ref });
  await settled();
  assert.deepEqual([seqs(messages), room.state, left.length], [[], 'left', 1]);
  assert.equal(leaving.error, undefined);
  await room.leave();
  const join = client.socket.joined({ room: 'lobby', epoch: 'e1', messages: [said(3, 2)] });
  assert.equal(join.after, undefined, 'a room that was left begins anew');
  assert.notEqual(await again, room);
  client.socket.lose();
  await client.tick(500);
  client.socket.welcome();
  assert.equal(client.socket.sent.length, 1, 'only the room that was not left');
});

test('leave without a connection needs no answer', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room } = await client.enter();
  const other = await client.enter('attic');
  const leaving = fateOf(other.room.leave());
  client.socket.lose();
  await room.leave();
  await settled();
  assert.equal(leaving.error, undefined);
  await client.tick(500);
  client.socket.welcome();
  assert.deepEqual(client.socket.sent, []);
});

test('direct conversations', async (t) => {
  const client = setUp(t);
  const socket = await client.connect({ user: 'ann' });
  const direct = recorded(client.chat, 'direct');
  const message = (seq, prev) => said(seq, prev, { room: undefined, with: 'bob' });
  socket.say(message(1, 0));
  assert.deepEqual([direct[0].message.with, direct[0].message.seq], ['bob', 1]);
  assert.ok(!('room' in direct[0].message));
  const opening = client.chat.direct('bob');
  const join = socket.joined({ with: 'bob', messages: [message(1, 0)] });
  assert.deepEqual([join.with, join.room], ['bob', undefined]);
  const room = await opening;
  const messages = recorded(room, 'message');
  await client.tick(0);
  socket.say(message(2, 1));
  assert.deepEqual([seqs(messages), direct.length], [[1, 2], 1]);
  assert.deepEqual([room.with, room.name], ['bob', undefined]);
  fateOf(room.send('x'));
  const send = socket.take('send');
  assert.deepEqual([send.with, send.room], ['bob', undefined]);
  assert.notEqual(client.chat.join('bob'), client.chat.direct('bob'), 'a room may have the same name');
});

test('pages of history', async (t) => {
  const client = setUp(t);
  const socket = await client.connect();
  const { room, messages } = await client.enter();
  const asked = fateOf(room.history({ before: 9, limit: 3 }));
  const { ref, ...request } = socket.take('history');
  assert.deepEqual(request, { type: 'history', room: 'lobby', before: 9, limit: 3 });
  socket.say({ type: 'history', room: 'lobby', epoch: 'e1', messages: [said(7, 5), said(8, 7)], more: true, ref });
  await settled();
  assert.deepEqual(asked.value.messages.map(({ seq, clientId }) => [seq, clientId]), [[7, 'id-7'], [8, 'id-8']]);
  assert.deepEqual([asked.value.epoch, asked.value.more], ['e1', true]);
  assert.deepEqual([seqs(messages), room.position.seq], [[], 1], 'it is no event, and moves nothing');
  const over = fateOf(room.history());
  socket.lose();
  await client.tick(500);
  client.socket.welcome();
  client.socket.joined({ room: 'lobby' });
  const again = client.socket.take('history');
  client.socket.say({ type: 'history', room: 'lobby', epoch: 'e1', messages: [], more: false, ref: again.ref });
  await settled();
  assert.deepEqual(over.value.messages, [], 'it outlives the connection');
  const bad = fateOf(room.history({ limit: 1_000 }));
  client.socket.refuse('history', 'bad_message');
  await settled();
  assert.equal(bad.error.code, 'bad_message');
});

test('the rooms and conversations of the session', async (t) => {
  const client = setUp(t);
  const socket = await client.connect();
  const asked = fateOf(client.chat.rooms({ after: 'ann', limit: 2 }));
  const { ref, ...request } = socket.take('rooms');
  assert.deepEqual(request, { type: 'rooms', after: 'ann', limit: 2 });
  const answer = { rooms: [{ room: 'x', seq: 9 }], conversations: [{ with: 'bob', seq: 12 }], more: true };
  socket.say({ type: 'rooms', ...answer, ref });
  await settled();
  assert.deepEqual(asked.value, answer);
});

test('signals go now or not at all', async (t) => {
  const client = setUp(t);
  const socket = await client.connect();
  const { room } = await client.enter();
  assert.equal(room.signal({ typing: true }), true);
  assert.deepEqual(socket.take('signal'), { type: 'signal', room: 'lobby', body: { typing: true } });
  const signals = recorded(room, 'signal');
  socket.say({ type: 'signal', room: 'lobby', from: { user: 'bob', name: 'Bob' }, body: [1] });
  assert.deepEqual([signals[0].from, signals[0].body], [{ user: 'bob', name: 'Bob' }, [1]]);
  socket.bufferedAmount = 64 * 1024 + 1;
  assert.equal(room.signal(1), false, 'not behind what waits already');
  socket.bufferedAmount = 0;
  socket.lose();
  assert.equal(room.signal(1), false);
  await client.tick(500);
  client.socket.welcome();
  assert.equal(room.signal(1), false, 'nor to a room that is not entered again');
  client.socket.joined({ room: 'lobby' });
  assert.deepEqual(client.socket.sent, []);
});

test('errors that answer nothing are events', async (t) => {
  const client = setUp(t);
  const socket = await client.connect();
  const { room } = await client.enter();
  const errors = recorded(room, 'error');
  const others = recorded(client.chat, 'error');
  socket.say({ type: 'error', code: 'too_long', message: 'the body', room: 'lobby' });
  socket.say({ type: 'error', code: 'bad_message', message: 'what?' });
  assert.deepEqual(errors.map(({ error }) => [error.code, error.message]), [['too_long', 'the body']]);
  assert.deepEqual(others.map(({ error }) => error.code), ['bad_message']);
});

/** The word that something was removed. */
function removed(seq, prev, kind, body) {
  return said(seq, prev, { from: { user: '', name: '' }, kind, body });
}

test('what was removed is told in its place, and is no message', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room, messages } = await client.enter();
  const order = [];
  for (const type of ['message', 'redact', 'clear', 'gap']) room.addEventListener(type, () => order.push(type));
  const redactions = recorded(room, 'redact');
  const clears = recorded(room, 'clear');
  client.socket.say(said(2, 1));
  // What was removed last was the one before it: that is no hole.
  client.socket.say(removed(3, 1, 'redact', { seqs: [2] }));
  client.socket.say(removed(4, 3, 'clear', { to: 3 }));
  client.socket.say(said(5, 4));
  client.socket.say(removed(6, 5, 'edit', { seq: 5 }));
  assert.deepEqual(order, ['message', 'redact', 'clear', 'message']);
  assert.deepEqual(seqs(messages), [2, 5]);
  assert.deepEqual(redactions.map(({ seq, seqs: gone }) => [seq, gone]), [[3, [2]]]);
  assert.deepEqual(clears.map(({ seq, to }) => [seq, to]), [[4, 3]]);
  assert.equal(room.position.seq, 6);
  assert.deepEqual(client.socket.sent, []);
});

test('what was removed while nobody was here is told before what came since', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room, messages } = await client.enter();
  const redactions = recorded(room, 'redact');
  await reconnect(client);
  client.socket.say(removed(7, 0, 'redact', { seqs: [1] }));
  client.socket.say(said(9, 7));
  assert.deepEqual(redactions.map(({ seqs: gone }) => gone), [[1]]);
  assert.deepEqual(seqs(messages), [9]);
});

test('a removal in a conversation that is not open is nothing to open it for', async (t) => {
  const client = setUp(t);
  await client.connect();
  const direct = recorded(client.chat, 'direct');
  const fields = { room: undefined, with: 'bob' };
  client.socket.say({ ...removed(3, 1, 'redact', { seqs: [2] }), ...fields });
  assert.equal(direct.length, 0);
  client.socket.say({ ...said(4, 3), ...fields });
  assert.equal(direct.length, 1);
});
