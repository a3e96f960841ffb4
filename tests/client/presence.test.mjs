// Who is in a room: kept true by numbered events, asked for again when one is missing.

import assert from 'node:assert/strict';
import test from 'node:test';

import { recorded, setUp, settled } from './fake.mjs';

const person = (user) => ({ user, name: user.toUpperCase() });
const list = (rev, ...users) => ({ rev, count: users.length, users: users.map(person) });

/** A client in a room with Ann and Bob, at rev 5. */
async function enter(t, members = list(5, 'ann', 'bob')) {
  const client = setUp(t);
  const socket = await client.connect();
  const { room } = await client.enter('lobby', { members });
  const events = recorded(room, 'presence');
  const say = (rev, event, user, count) => {
    const name = user?.toUpperCase();
    socket.say({ type: 'presence', room: 'lobby', rev, event, user, name, count });
  };
  return { client, socket, room, events, say };
}

/** Answers the request for members. */
async function answer(socket, members) {
  const { ref, room } = socket.take('members');
  socket.say({ type: 'members', room, ...members, ref });
  await settled();
}

const names = (room) => [...room.members.keys()].join(' ');

test('joins and leaves', async (t) => {
  const { room, events, say, socket } = await enter(t);
  assert.deepEqual(room.members.get('ann'), person('ann'));
  assert.deepEqual([names(room), room.count], ['ann bob', 2]);
  say(6, 'join', 'cat', 3);
  say(7, 'leave', 'ann', 2);
  assert.deepEqual([names(room), room.count], ['bob cat', 2]);
  assert.deepEqual(events.map(({ change, user, name, count }) => [change, user, name, count]), [
    ['join', 'cat', 'CAT', 3],
    ['leave', 'ann', 'ANN', 2],
  ]);
  assert.deepEqual(socket.sent, []);
});

test('what is old is ignored', async (t) => {
  const { room, events, say, socket } = await enter(t);
  say(5, 'leave', 'bob', 1);
  say(4, 'join', 'eve', 3);
  socket.say({ type: 'members', room: 'lobby', ...list(4, 'eve') });
  assert.deepEqual([names(room), room.count, events.length], ['ann bob', 2, 0]);
});

test('a missing event makes it ask, once, and go on from the answer', async (t) => {
  const { room, events, say, socket } = await enter(t);
  say(7, 'join', 'dan', 4);
  say(9, 'leave', 'dan', 3);
  say(8, 'join', 'eve', 4);
  assert.deepEqual([names(room), socket.sent.length], ['ann bob', 1]);
  await answer(socket, list(7, 'ann', 'bob', 'cat', 'dan'));
  assert.deepEqual([names(room), room.count], ['ann bob cat eve', 3], 'with what came after the answer was made');
  assert.deepEqual(events.map(({ change }) => change), ['members']);
  say(10, 'leave', 'ann', 2);
  assert.equal(names(room), 'bob cat eve');
  assert.deepEqual(socket.sent, []);
});

test('an answer that leaves a hole is followed by another question', async (t) => {
  const { room, say, socket } = await enter(t);
  say(9, 'join', 'eve', 3);
  await answer(socket, list(7, 'ann'));
  assert.equal(names(room), 'ann');
  await answer(socket, list(9, 'ann', 'eve'));
  assert.equal(names(room), 'ann eve');
  assert.deepEqual(socket.sent, []);
});

test('what is kept for an answer has a bound', async (t) => {
  const { room, say, socket } = await enter(t);
  for (let rev = 7; rev < 7 + 2_000; rev += 1) say(rev, rev % 2 ? 'join' : 'leave', 'eve', 3);
  await answer(socket, list(6, 'ann'));
  assert.equal(names(room), 'ann', 'at rev 1006, with eve gone again');
  say(2_007, 'join', 'eve', 2);
  await answer(socket, list(2_007, 'ann', 'eve'));
  assert.equal(names(room), 'ann eve');
  assert.deepEqual(socket.sent, []);
});

test('a whole list, unasked, replaces what was known', async (t) => {
  const { room, events, say, socket } = await enter(t);
  socket.say({ type: 'members', room: 'lobby', ...list(20, 'zoe') });
  assert.deepEqual([names(room), events.at(-1).change, events.at(-1).count], ['zoe', 'members', 1]);
  say(21, 'join', 'ann', 2);
  assert.equal(names(room), 'zoe ann');
});

test('a room that is only counted', async (t) => {
  const { room, events, say, socket } = await enter(t, { rev: 5, count: 700 });
  assert.deepEqual([room.members, room.count], [null, 700]);
  say(6, 'count', undefined, 701);
  say(9, 'count', undefined, 720);
  say(8, 'count', undefined, 719);
  assert.equal(room.count, 720);
  assert.deepEqual(events.map(({ change, count }) => [change, count]), [['count', 701], ['count', 720]]);
  assert.deepEqual(socket.sent, [], 'a count needs none before it');
});

test('a room that becomes too large to name everyone, and small again', async (t) => {
  const { room, say, socket } = await enter(t);
  say(6, 'count', undefined, 501);
  assert.deepEqual([room.members, room.count], [null, 501]);
  say(7, 'leave', 'zoe', 500);
  await answer(socket, { rev: 6, count: 500 });
  assert.deepEqual([room.members, room.count, socket.sent.length], [null, 500, 0], 'it does not ask for ever');
  say(8, 'leave', 'yan', 2);
  await answer(socket, list(8, 'ann', 'bob'));
  assert.equal(names(room), 'ann bob');
});

test('a room without presence', async (t) => {
  const { room, events, say, socket } = await enter(t, null);
  say(1, 'join', 'ann', 1);
  socket.say({ type: 'members', room: 'lobby', ...list(4, 'eve') });
  assert.deepEqual([room.members, room.count, events.length, socket.sent.length], [null, null, 0, 0]);
});

test('presence that is off by the time it is asked for', async (t) => {
  const { room, say, socket } = await enter(t);
  say(9, 'join', 'eve', 3);
  socket.refuse('members', 'presence_off');
  await settled();
  assert.deepEqual([room.members, room.count], [null, null]);
});

test('each connection brings a list of its own, whatever its rev', async (t) => {
  const { client, room, events, say, socket } = await enter(t);
  say(9, 'join', 'eve', 3);
  socket.lose();
  assert.equal(names(room), 'ann bob', 'what was known stays, for want of better');
  client.chat.retry();
  client.socket.welcome();
  client.socket.joined({ room: 'lobby', seq: 1, members: list(1, 'cat') });
  assert.deepEqual([names(room), events.at(-1).change], ['cat', 'members']);
  if (client.socket.sent.length > 0) await answer(client.socket, list(1, 'zoe'));
  assert.equal(names(room), 'cat', 'the question was about the list before');
});
