// The rules of the other files over real sockets, with the WebSocket that Node brings (from 22 on, or by the flag
// --experimental-websocket): what its events are like is nothing that a made-up class could show.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';

import { Uproar } from '../../src/web/uproar.js';
import { recorded, said, seqs } from './fake.mjs';
import { serve } from './server.mjs';

/** Waits until something is so; the test's own time limit ends it. */
async function until(isSo) {
  while (!isSo()) await new Promise((done) => setTimeout(done, 2));
}

/** A small chat server: a log, and rooms in which everybody is. `fields` go into each welcome. */
function chatServer(log, fields = {}) {
  const server = { peers: [], hellos: [], mutes: false };
  const answers = {
    hello: (peer, hello) => {
      server.hellos.push(hello);
      const user = { user: 'guest-me', name: 'Me', guest: 'token' };
      peer.say({ type: 'welcome', ...user, heartbeat_secs: 25, time: Date.now(), ...fields, ref: hello.ref });
    },
    join: (peer, { room, after, ref }) => {
      const since = log.filter((message) => message.seq > (after?.seq ?? -1));
      const joined = { type: 'joined', room, epoch: 'e1', seq: log.at(-1)?.seq ?? 0, more: false, ref };
      if (after) peer.say({ ...joined, messages: [] }, ...since);
      else peer.say({ ...joined, messages: since });
    },
    send: (peer, { room, client_id, body, ref }) => {
      let stored = log.find((message) => message.client_id === client_id);
      const isNew = !stored;
      if (isNew) {
        const prev = log.at(-1)?.seq ?? 0;
        stored = said(prev + 1, prev, { client_id, body, from: { user: 'guest-me', name: 'Me' } });
        log.push(stored);
      }
      if (server.mutes) return;
      if (isNew) peer.say(stored);
      peer.say({ type: 'ack', client_id, seq: stored.seq, time: 1, stored: true, room, ref });
    },
  };
  server.connected = (peer) => {
    server.peers.push(peer);
    peer.received = (frame) => answers[frame.type]?.(peer, frame);
  };
  return server;
}

test('a restart of the server costs nothing', { timeout: 60_000 }, async () => {
  const log = [];
  let chats = chatServer(log);
  let server = await serve(chats.connected);
  const { port } = server;
  const chat = new Uproar(server.url, { random: () => 0.02 });
  const states = recorded(chat, 'state');
  await chat.connect();
  const room = await chat.join('lobby');
  const messages = recorded(room, 'message');
  assert.equal((await room.send('one')).seq, 1);
  // Stored, but the ack is lost with the server.
  chats.mutes = true;
  const two = room.send('two');
  await until(() => log.length === 2);
  await server.stop();
  await until(() => chat.state === 'waiting');
  const three = room.send('three');
  await until(() => states.filter((event) => event.state === 'waiting').length >= 3);
  log.push(said(9, 2, { body: 'from elsewhere' }));
  chats = chatServer(log);
  server = await serve(chats.connected, port);
  assert.deepEqual([(await two).seq, (await three).seq], [2, 10]);
  await until(() => messages.length === 4);
  assert.deepEqual(seqs(messages), [1, 2, 9, 10]);
  assert.deepEqual(log.map((message) => message.body), ['one', 'two', 'from elsewhere', 'three']);
  assert.equal(chats.hellos[0].guest, 'token');
  chat.close();
  await server.stop();
});

test('frames that come in one piece are all heard by who awaits the join', { timeout: 60_000 }, async () => {
  const chats = chatServer([said(1, 0)]);
  const server = await serve((peer) => {
    chats.connected(peer);
    const { received } = peer;
    peer.received = (frame) => {
      if (frame.type !== 'join') return received(frame);
      const joined = { type: 'joined', room: 'lobby', epoch: 'e1', seq: 1, more: false, ref: frame.ref };
      return peer.say({ ...joined, messages: [said(1, 0)] }, said(2, 1), said(3, 2, { body: 'x'.repeat(1_000) }));
    };
  });
  const chat = await new Uproar(server.url).connect();
  const messages = recorded(await chat.join('lobby'), 'message');
  await until(() => messages.length === 3);
  assert.deepEqual(seqs(messages), [1, 2, 3]);
  chat.close();
  await server.stop();
});

test('a server that falls silent is left for a new connection', { timeout: 60_000 }, async () => {
  const chats = chatServer([], { heartbeat_secs: 0.05 });
  const server = await serve(chats.connected);
  const chat = await new Uproar(server.url).connect();
  await until(() => chats.hellos.length >= 3);
  chat.close();
  await server.stop();
});

test('close codes are seen', { timeout: 60_000 }, async () => {
  const chats = chatServer([]);
  const server = await serve(chats.connected);
  const chat = new Uproar(server.url);
  const states = recorded(chat, 'state');
  await chat.connect();
  chats.peers[0].close(4409);
  await until(() => chat.state === 'closed');
  assert.equal(states.at(-1).error.code, 'replaced');
  await server.stop();
});

test('a closed chat keeps no process alive', { timeout: 60_000 }, async () => {
  const chats = chatServer([], { heartbeat_secs: 3_600 });
  const server = await serve(chats.connected);
  const program = `
    import { Uproar } from ${JSON.stringify(new URL('../../src/web/uproar.js', import.meta.url))};
    const chat = await new Uproar(${JSON.stringify(server.url)}).connect();
    const room = await chat.join('lobby');
    await room.send('x');
    chat.close();`;
  const child = spawn(process.execPath, ['--experimental-websocket', '--input-type=module', '--eval', program]);
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  await server.stop();
});
