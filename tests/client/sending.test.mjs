// What becomes of a message that is sent: stored once, refused with a reason, or plainly uncertain.

import assert from 'node:assert/strict';
import test from 'node:test';

import { UproarError } from '../../src/web/uproar.js';
import { fateOf, NOW, recorded, said, seqs, setUp, settled } from './fake.mjs';

const DAY_MS = 86_400_000;
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** When an id was made, by the clock that made it. */
const madeMs = (id) => parseInt(id.replace('-', '').slice(0, 12), 16);

/** The bodies of what the client sent, in order; each is answered with an ack. */
function acked(socket, seq = 100) {
  const bodies = [];
  while (socket.sent.length > 0) {
    bodies.push(socket.sent[0].body);
    socket.ack((seq += 1));
  }
  return bodies;
}

async function reconnect(client, { room = 'lobby', seq = 1 } = {}) {
  client.socket.lose();
  client.chat.retry();
  client.socket.welcome();
  client.socket.joined({ room, seq });
}

test('a message is sent, acknowledged and seen', async (t) => {
  const client = setUp(t);
  const socket = await client.connect();
  const { room, messages } = await client.enter();
  const sending = room.send({ text: 'hello' });
  const fate = fateOf(sending);
  assert.match(sending.clientId, UUID_V7);
  assert.equal(client.chat.queued, 1);
  const { ref, ...send } = socket.take('send');
  assert.deepEqual(send, { type: 'send', room: 'lobby', client_id: sending.clientId, body: { text: 'hello' } });
  await settled();
  assert.equal(fate.value, undefined, 'it resolves at the ack');
  socket.say({ type: 'ack', client_id: send.client_id, seq: 12, time: NOW, stored: true, room: 'lobby', ref });
  assert.deepEqual(await sending, { seq: 12, time: NOW, clientId: sending.clientId, stored: true });
  assert.equal(client.chat.queued, 0);
  assert.equal(room.position.seq, 1, 'an ack is not a position');
  socket.say(said(9, 1));
  socket.say(said(12, 9, { client_id: sending.clientId, from: { user: 'guest-me', name: 'Me' } }));
  assert.deepEqual(seqs(messages), [9, 12]);
  assert.equal(messages[1].message.clientId, sending.clientId);
});

test('the own message may come before its ack', async (t) => {
  const client = setUp(t);
  const socket = await client.connect();
  const { room, messages } = await client.enter();
  const sending = room.send('x');
  socket.say(said(2, 1, { client_id: sending.clientId, from: { user: 'guest-me', name: 'Me' } }));
  socket.ack(2);
  assert.equal((await sending).seq, 2);
  assert.deepEqual(seqs(messages), [2]);
});

test('ids differ and carry their time', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room } = await client.enter();
  const ids = Array.from({ length: 500 }, () => {
    const sending = room.send(0);
    fateOf(sending);
    return sending.clientId;
  });
  assert.equal(new Set(ids).size, 500);
  assert.ok(ids.every((id) => UUID_V7.test(id) && madeMs(id) === NOW));
});

test('a refusal rejects with its code', async (t) => {
  const client = setUp(t);
  const socket = await client.connect();
  const { room } = await client.enter();
  const first = fateOf(room.send('first'));
  const second = fateOf(room.send('second'));
  socket.refuse('send', 'id_conflict');
  socket.ack(2);
  await settled();
  assert.ok(first.error instanceof UproarError && first.error instanceof Error);
  const { code, message, name } = first.error;
  assert.deepEqual([code, message, name], ['id_conflict', 'no: id_conflict', 'UproarError']);
  assert.equal(second.value.seq, 2, 'the others go on');
  assert.equal(client.chat.queued, 0);
});

test('the body is what it was when it was sent', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room } = await client.enter();
  const body = { text: 'before', '"': '\u2028\ud83d\ude00' };
  fateOf(room.send(body));
  body.text = 'after';
  await reconnect(client);
  assert.deepEqual(client.socket.take('send').body, { text: 'before', '"': '\u2028\ud83d\ude00' });
  for (const wrong of [undefined, () => 1, 1n]) assert.throws(() => room.send(wrong), TypeError);
  for (const right of [null, false, 0, '', [], {}]) {
    fateOf(room.send(right));
    assert.deepEqual(client.socket.take('send').body, right);
  }
});

test('what was not acknowledged is sent again under the same ids, in order, before what is new', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room } = await client.enter();
  const fates = ['a', 'b', 'c'].map((body) => fateOf(room.send(body)));
  const ids = client.socket.sent.map((frame) => frame.client_id);
  client.socket.ack(2);
  client.socket.lose();
  fates.push(fateOf(room.send('d')));
  client.chat.retry();
  client.socket.open();
  fates.push(fateOf(room.send('e')));
  const hello = client.socket.take('hello');
  client.socket.say({ type: 'welcome', user: 'guest-me', heartbeat_secs: 25, time: NOW, ref: hello.ref });
  fates.push(fateOf(room.send('f')));
  assert.equal(client.socket.sent.length, 1, 'nothing is sent to a room before it is entered again');
  client.socket.joined({ room: 'lobby', seq: 2 });
  fates.push(fateOf(room.send('g')));
  assert.deepEqual(client.socket.sent.slice(0, 2).map((frame) => frame.client_id), ids.slice(1, 3));
  assert.deepEqual(acked(client.socket), ['b', 'c', 'd', 'e', 'f', 'g']);
  await settled();
  assert.deepEqual(fates.map((fate) => fate.value?.seq), [2, 101, 102, 103, 104, 105, 106]);
});

test('what was acknowledged is not sent again', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room } = await client.enter();
  fateOf(room.send('a'));
  client.socket.ack(2);
  await reconnect(client);
  assert.deepEqual(client.socket.sent, []);
});

test('an answer of a connection that is gone counts for nothing', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room } = await client.enter();
  const fate = fateOf(room.send('a'));
  const { ref, client_id } = client.socket.take('send');
  await reconnect(client);
  client.sockets[0].say({ type: 'ack', client_id, seq: 9, time: NOW, stored: true, room: 'lobby', ref });
  await settled();
  assert.equal(fate.value, undefined);
  client.socket.ack(2);
  await settled();
  assert.equal(fate.value.seq, 2);
});

test('the queue has a bound, and says when it is reached', async (t) => {
  const client = setUp(t, { queueMax: 3 });
  await client.connect();
  const { room } = await client.enter();
  const attic = await client.enter('attic');
  client.socket.lose();
  const kept = [room.send('a'), attic.room.send('b'), room.send('c')].map(fateOf);
  await assert.rejects(room.send('d'), { code: 'queue_full' });
  await assert.rejects(room.history(), { code: 'queue_full' });
  assert.equal(client.chat.queued, 3);
  client.chat.retry();
  client.socket.welcome();
  client.socket.joined({ room: 'lobby', seq: 1 });
  assert.deepEqual(client.socket.sent.map((frame) => frame.body), [undefined, 'a', 'c']);
  client.socket.joined({ room: 'attic', seq: 1 });
  assert.deepEqual(acked(client.socket), ['a', 'c', 'b']);
  await settled();
  assert.deepEqual(kept.map((fate) => fate.value?.seq), [101, 103, 102]);
  fateOf(room.send('there is room again'));
  assert.equal(client.socket.take('send').body, 'there is room again');
});

test('the queue has a bound in characters, too, but takes one of any size', async (t) => {
  const client = setUp(t);
  await client.connect({ limits: { message_bytes_max: 2 ** 26 } });
  const { room } = await client.enter();
  client.socket.lose();
  const half = 'x'.repeat(8 * 1024 * 1024 - 2);
  fateOf(room.send(half));
  fateOf(room.send(half));
  await assert.rejects(room.send(1), { code: 'queue_full' });
  client.chat.retry();
  client.socket.welcome({ limits: { message_bytes_max: 2 ** 26 } });
  client.socket.joined({ room: 'lobby', seq: 1 });
  acked(client.socket);
  fateOf(room.send(half));
  fateOf(room.send(half));
  assert.deepEqual(acked(client.socket), [half, half], 'what was acknowledged takes no room');
  const large = fateOf(room.send('x'.repeat(17 * 1024 * 1024)));
  await assert.rejects(room.send(1), { code: 'queue_full' });
  acked(client.socket);
  await settled();
  assert.equal(large.value.seq, 101);
});

test('what the server would cut the connection for is not sent', async (t) => {
  const client = setUp(t);
  await client.connect({ limits: { message_bytes_max: 200 } });
  const { room } = await client.enter();
  await assert.rejects(room.send('x'.repeat(200)), { code: 'too_long' });
  await assert.rejects(room.send('\u20ac'.repeat(50)), { code: 'too_long' }, 'bytes count, not characters');
  assert.deepEqual([client.socket.sent, client.chat.queued], [[], 0]);
  fateOf(room.send('x'.repeat(50)));
  client.socket.ack(2);
  client.socket.lose();
  const later = fateOf(room.send('y'.repeat(90)));
  client.chat.retry();
  client.socket.welcome({ limits: { message_bytes_max: 150 } });
  client.socket.joined({ room: 'lobby', seq: 1 });
  await settled();
  assert.equal(later.error.code, 'too_long', 'by the bounds of the present server');
});

test('an unavailable server is asked again after the time that it names, with the same ids, in order', async (t) => {
  const client = setUp(t, { random: () => 0.4 });
  const socket = await client.connect();
  const { room } = await client.enter();
  const attic = await client.enter('attic');
  const fates = ['a', 'b', 'c'].map((body) => fateOf(room.send(body)));
  const ids = socket.sent.map((frame) => frame.client_id);
  socket.refuse('send', 'unavailable', { retry_after_ms: 2_000 });
  socket.ack(2);
  socket.refuse('send', 'unavailable', { retry_after_ms: 9_000 });
  fates.push(fateOf(room.send('d')));
  fateOf(attic.room.send('z'));
  assert.equal(socket.take('send').body, 'z', 'other rooms go on');
  await client.tick(2_199);
  assert.deepEqual(socket.sent, []);
  await client.tick(1);
  assert.deepEqual(socket.sent.map((frame) => frame.client_id).slice(0, 2), [ids[0], ids[2]]);
  assert.deepEqual(acked(socket), ['a', 'c', 'd']);
  await settled();
  assert.deepEqual(fates.map((fate) => fate.value?.seq), [101, 2, 102, 103]);
  fateOf(room.send('e'));
  socket.refuse('send', 'unavailable');
  await client.tick(1_000);
  assert.deepEqual(socket.sent, [], 'where it names no time: a second, and up to a quarter more');
  await client.tick(100);
  assert.deepEqual(acked(socket), ['e']);
});

test('a lost connection ends the wait for an unavailable server', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room } = await client.enter();
  fateOf(room.send('a'));
  client.socket.refuse('send', 'unavailable', { retry_after_ms: 60_000 });
  await reconnect(client);
  assert.deepEqual(acked(client.socket), ['a']);
  await client.tick(100_000);
  assert.deepEqual(client.sockets[1].sent, []);
});

test('ids are made by the clock of the server', async (t) => {
  for (const skew of [-3 * DAY_MS, 3 * DAY_MS, 500]) {
    const client = setUp(t);
    await client.connect({ time: NOW + skew });
    const { room } = await client.enter();
    await client.tick(1_000);
    const sending = room.send('x');
    fateOf(sending);
    assert.equal(madeMs(sending.clientId), NOW + skew + 1_000);
    assert.equal(client.chat.now, NOW + skew + 1_000);
    // The local clock is set right in between: the next welcome tells.
    client.socket.lose();
    client.chat.retry();
    client.socket.welcome({ time: NOW + 1_000 });
    client.socket.joined({ room: 'lobby', seq: 1 });
    const later = room.send('y');
    fateOf(later);
    assert.equal(madeMs(later.clientId), NOW + 1_000);
    assert.equal(client.socket.take('send').client_id, sending.clientId, 'but an id, once sent, stays');
    t.mock.timers.reset();
  }
});

test('a message goes again under its own id when the page says so', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room } = await client.enter();
  const sending = room.send('x');
  client.socket.refuse('send', 'forbidden');
  await assert.rejects(sending, { code: 'forbidden' });
  const again = room.send('x', { clientId: sending.clientId });
  assert.equal(again.clientId, sending.clientId);
  assert.equal(client.socket.sent[0].client_id, sending.clientId);
  client.socket.ack(2);
  assert.equal((await again).seq, 2);
});

test('what another guest may have sent is not sent again in the name of this one', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room } = await client.enter();
  const given = fateOf(room.send('given'));
  client.socket.lose();
  const waiting = fateOf(room.send('waiting'));
  client.chat.retry();
  client.socket.open();
  client.socket.refuse('hello', 'bad_token');
  const { ref } = client.socket.take('hello');
  client.socket.say({ type: 'welcome', user: 'guest-new', guest: 'token-new', heartbeat_secs: 25, time: NOW, ref });
  client.socket.joined({ room: 'lobby', seq: 1 });
  await settled();
  assert.equal(given.error.code, 'uncertain');
  assert.deepEqual(acked(client.socket), ['waiting']);
  await settled();
  assert.equal(waiting.value.seq, 101);
});

test('leaving a room: what is on its way arrives, what waits does not go', async (t) => {
  const client = setUp(t);
  await client.connect();
  const { room } = await client.enter();
  const [stored, unavailable, lost] = [room.send('stored'), room.send('unavailable'), room.send('lost')].map(fateOf);
  const leaving = room.leave();
  client.socket.ack(2);
  client.socket.refuse('send', 'unavailable');
  await settled();
  assert.equal(stored.value.seq, 2);
  assert.equal(unavailable.error.code, 'unavailable');
  client.socket.lose();
  await leaving;
  assert.equal(lost.error.code, 'uncertain');
  assert.equal(client.chat.queued, 0);
  await assert.rejects(room.send('x'), { code: 'left' });

  client.chat.retry();
  client.socket.welcome();
  const other = await client.enter('attic');
  client.socket.lose();
  const waiting = fateOf(other.room.send('waiting'));
  await other.room.leave();
  await settled();
  assert.equal(waiting.error.code, 'left');
});
