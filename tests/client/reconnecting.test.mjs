// When a connection is given up, when the next one is attempted, and when none is.

import assert from 'node:assert/strict';
import test from 'node:test';

import { HEARTBEAT_SECS, NOW, setUp } from './fake.mjs';

/** The pauses that a client makes while every attempt fails, one for each of these dice. */
async function pauses(t, dice) {
  const { chat, sockets, states, tick } = setUp(t, { random: () => dice[sockets.length - 1] });
  chat.connect();
  for (const _ of dice) {
    const count = sockets.length;
    sockets.at(-1).lose();
    const { retryInMs } = states.at(-1);
    if (retryInMs > 0) {
      await tick(Math.ceil(retryInMs) - 1);
      assert.equal(sockets.length, count, 'not before its time');
    }
    await tick(1);
    assert.equal(sockets.length, count + 1);
  }
  return states.filter((event) => event.state === 'waiting').map((event) => Math.round(event.retryInMs));
}

test('the ceiling of the pause doubles from one second to thirty', async (t) => {
  const nearOne = 1 - 2 ** -53;
  assert.deepEqual(await pauses(t, Array(7).fill(nearOne)), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

test('a pause is anything from nothing to its ceiling', async (t) => {
  assert.deepEqual(await pauses(t, [0, 0.25, 0.5, 0, 0.75, 0.1, 0]), [0, 500, 2_000, 0, 12_000, 3_000, 0]);
});

test('the real dice stay within the ceilings, and differ', async (t) => {
  const seen = new Set();
  for (let round = 0; round < 50; round += 1) {
    const { chat, sockets, states } = setUp(t, { random: undefined });
    chat.connect();
    sockets[0].lose();
    const { retryInMs, retryAt } = states.at(-1);
    assert.ok(retryInMs >= 0 && retryInMs < 1_000);
    assert.equal(retryAt, NOW + retryInMs);
    seen.add(retryInMs);
    chat.connect().catch(() => {});
    chat.close();
    t.mock.timers.reset();
  }
  assert.ok(seen.size > 40);
});

test('only a stable connection begins at the first ceiling again', async (t) => {
  const { chat, sockets, states, tick } = setUp(t, { random: () => 0.9 });
  const pause = () => Math.round(states.at(-1).retryInMs);
  chat.connect();
  sockets[0].lose();
  assert.equal(pause(), 900);
  await tick(900);
  sockets[1].welcome();
  await tick(9_999);
  sockets[1].lose();
  assert.equal(pause(), 1_800, 'it did not last');
  await tick(1_800);
  sockets[2].welcome();
  await tick(10_000);
  sockets[2].lose();
  assert.equal(pause(), 900);
});

test('an attempt that hangs is given up', async (t) => {
  const { chat, sockets, tick } = setUp(t);
  chat.connect();
  await tick(9_999);
  assert.equal(chat.state, 'connecting');
  await tick(1);
  assert.deepEqual([chat.state, sockets[0].closed], ['waiting', 1000]);
  await tick(500);
  sockets[1].open();
  await tick(10_000);
  assert.equal(chat.state, 'waiting', 'no welcome is no connection either');
  sockets[0].lose();
  sockets[1].lose();
  assert.equal(sockets.length, 2, 'what comes of them later does not matter');
});

test('an attempt that fails with an error alone has failed', async (t) => {
  const { chat, sockets, tick } = setUp(t);
  chat.connect();
  sockets[0].onerror({});
  assert.equal(chat.state, 'waiting');
  await tick(500);
  assert.equal(sockets.length, 2);
});

test('retry does not wait for the end of the pause', async (t) => {
  const { chat, sockets, tick } = setUp(t);
  chat.connect();
  chat.retry();
  assert.equal(sockets.length, 1, 'there is no pause');
  sockets[0].lose();
  chat.retry();
  assert.equal(sockets.length, 2);
  await tick(500);
  assert.equal(sockets.length, 2, 'the end of that pause is nothing any more');
});

test('a bye names the least pause, and chance adds to it', async (t) => {
  const { chat, connect, sockets, states, tick } = setUp(t);
  await connect();
  sockets[0].say({ type: 'bye', code: 1001, reason: 'restarting', reconnect: true, after_ms: 7_000 });
  assert.deepEqual([chat.state, states.at(-1).retryInMs, sockets[0].closed], ['waiting', 7_500, 1000]);
  sockets[0].lose(1001);
  await tick(7_499);
  assert.equal(sockets.length, 1);
  await tick(1);
  assert.equal(sockets.length, 2);
  sockets[1].lose();
  assert.equal(states.at(-1).retryInMs, 500, 'and the next one is by chance alone again');
});

test('hints do not shorten the pause that a bye named, but people do', async (t) => {
  const { chat, connect, sockets, tick } = withBrowser(t);
  await connect();
  sockets[0].say({ type: 'bye', code: 1001, reason: '', reconnect: true, after_ms: 60_000 });
  await tick(5_000);
  dispatchEvent(new Event('online'));
  assert.equal(sockets.length, 1);
  chat.retry();
  assert.equal(sockets.length, 2);
});

test('a bye for good', async (t) => {
  const { chat, connect, enter, sockets, states, tick } = setUp(t);
  await connect();
  const { room } = await enter();
  const sending = room.send('x');
  sockets[0].say({ type: 'bye', code: 4400, reason: 'too many bad messages', reconnect: false, after_ms: 0 });
  await assert.rejects(sending, { code: 'bye', message: 'too many bad messages' });
  assert.deepEqual([chat.state, states.at(-1).error.code], ['closed', 'bye']);
  await tick(3_600_000);
  assert.equal(sockets.length, 1);
});

for (const [code, name] of [[4403, 'forbidden'], [4409, 'replaced']]) {
  test(`a close with ${code} is final, said or not`, async (t) => {
    for (const say of [true, false]) {
      const { connect, sockets, states, tick } = setUp(t);
      await connect();
      if (say) sockets[0].say({ type: 'bye', code, reason: '', reconnect: false, after_ms: 0 });
      else sockets[0].lose(code);
      assert.deepEqual([states.at(-1).state, states.at(-1).error.code], ['closed', name]);
      await tick(3_600_000);
      assert.equal(sockets.length, 1);
      t.mock.timers.reset();
    }
  });
}

test('a silent connection is left after two heartbeats, and the next one attempted at once', async (t) => {
  const { chat, connect, enter, sockets, states, tick } = setUp(t);
  await connect();
  const { room } = await enter();
  await tick(2 * HEARTBEAT_SECS * 1_000 - 1);
  assert.equal(chat.state, 'open');
  await tick(1);
  assert.equal(sockets.length, 2, 'without a pause, and without the end of the close handshake');
  assert.equal(sockets[0].readyState, 2);
  assert.deepEqual([chat.state, room.state], ['connecting', 'joining']);
  sockets[0].say({ type: 'message', room: 'lobby', seq: 9, prev: 1, from: { user: 'bob', name: 'Bob' } });
  sockets[1].welcome();
  assert.equal(chat.state, 'open', 'what the old one still brings does not disturb the new one');
  sockets[1].joined({ room: 'lobby', seq: 1 });
  assert.equal(room.position.seq, 1);
  assert.deepEqual(states.map((event) => event.state), ['connecting', 'open', 'connecting', 'open']);
});

test('whatever comes shows that the connection lives', async (t) => {
  const { chat, connect, sockets, tick } = setUp(t);
  await connect();
  for (const frame of [{ type: 'ping' }, { type: 'something new' }, 'not even JSON', '[]', 'null', { type: 'pong' }]) {
    await tick(2 * HEARTBEAT_SECS * 1_000 - 1);
    sockets[0].say(frame);
  }
  await tick(2 * HEARTBEAT_SECS * 1_000 - 1);
  assert.equal(chat.state, 'open');
  assert.deepEqual(sockets[0].sent, [{ type: 'pong' }], 'and a ping is answered');
  await tick(1);
  assert.equal(sockets.length, 2);
});

test('the heartbeat is the one that the server named', async (t) => {
  const { chat, connect, sockets, tick } = setUp(t);
  await connect({ heartbeat_secs: 3 });
  await tick(5_999);
  assert.equal(sockets.length, 1);
  await tick(1);
  assert.equal(sockets.length, 2);
  sockets[1].welcome({ heartbeat_secs: 0 });
  await tick(3_600_000);
  assert.deepEqual([chat.state, sockets.length], ['open', 2], 'a server without heartbeats is silent');
});

/** Counts who listens to it. */
class Counted extends EventTarget {
  listeners = 0;

  addEventListener(...listener) {
    this.listeners += 1;
    super.addEventListener(...listener);
  }

  removeEventListener(...listener) {
    this.listeners -= 1;
    super.removeEventListener(...listener);
  }
}

/** The same with what a browser has to give hints: events of the window and of the document. */
function withBrowser(t) {
  const events = new Counted();
  const document = Object.assign(new Counted(), { visibilityState: 'visible' });
  const names = ['addEventListener', 'removeEventListener', 'dispatchEvent'];
  for (const name of names) globalThis[name] = events[name].bind(events);
  globalThis.document = document;
  t.after(() => {
    for (const name of [...names, 'document']) delete globalThis[name];
  });
  return { ...setUp(t, { random: () => 0.9 }), listeners: () => events.listeners + document.listeners };
}

test('online and a page that is seen again end a pause', async (t) => {
  const { chat, sockets, tick } = withBrowser(t);
  chat.connect();
  await tick(1_000);
  sockets[0].lose();
  dispatchEvent(new Event('offline'));
  assert.equal(sockets.length, 1);
  dispatchEvent(new Event('online'));
  assert.equal(sockets.length, 2);
  sockets[1].lose();
  dispatchEvent(new Event('online'));
  assert.equal(sockets.length, 2, 'but not one attempt right after the other');
  await tick(1_000);
  document.visibilityState = 'hidden';
  document.dispatchEvent(new Event('visibilitychange'));
  assert.equal(sockets.length, 2);
  document.visibilityState = 'visible';
  document.dispatchEvent(new Event('visibilitychange'));
  assert.equal(sockets.length, 3);
});

for (const hint of ['online', 'offline', 'visibilitychange']) {
  test(`${hint} casts doubt on an open connection: it is asked, and left when it is silent`, async (t) => {
    const { chat, connect, listeners, sockets, tick } = withBrowser(t);
    const give = () => (hint === 'visibilitychange' ? document : globalThis).dispatchEvent(new Event(hint));
    await connect();
    give();
    assert.deepEqual(sockets[0].sent, [{ type: 'ping' }]);
    sockets[0].say({ type: 'pong' });
    await tick(2 * HEARTBEAT_SECS * 1_000 - 1);
    assert.equal(chat.state, 'open', 'it has answered');
    give();
    await tick(4_999);
    assert.equal(sockets.length, 1);
    await tick(1);
    assert.equal(sockets.length, 2);
    chat.connect().catch(() => {});
    assert.equal(listeners(), 3);
    chat.close();
    assert.equal(listeners(), 0, 'a closed chat takes no hints');
    give();
    await tick(1);
    assert.equal(sockets.length, 2);
  });
}
