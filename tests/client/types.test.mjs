// The hand-written types against the module itself.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import * as module from '../../src/web/uproar.js';
import { setUp } from './fake.mjs';

const types = readFileSync(new URL('../../src/web/uproar.d.ts', import.meta.url), 'utf8');

/** What is declared between the braces of a class or interface: the names of its properties and methods. */
function members(name) {
  const body = new RegExp(`^export (?:class|interface) ${name}\\b[^{]*\\{\\n([^]*?)^\\}`, 'm').exec(types)?.[1];
  assert.ok(body, `${name} is declared`);
  const names = body.matchAll(/^ {2}(?:readonly )?(\w+)[?]?[:(<]/gm);
  return new Set([...names].map(([, member]) => member).filter((member) => member !== 'constructor'));
}

/** What a class itself has, by its prototype. */
function own(constructor) {
  return new Set(Object.getOwnPropertyNames(constructor.prototype).filter((name) => name !== 'constructor'));
}

const inherited = ['addEventListener', 'removeEventListener'];

test('every exported class is declared, and no other', () => {
  const declared = [...types.matchAll(/^export class (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), Object.keys(module).sort());
});

for (const name of ['Uproar', 'Room']) {
  test(`every member of ${name} is declared, and no other`, () => {
    const declared = [...members(name)].filter((member) => !inherited.includes(member));
    assert.deepEqual(declared.sort(), [...own(module[name])].sort());
  });
}

test('every member of an error is there', () => {
  const error = new module.UproarError('code', 'message', 5);
  assert.deepEqual([...members('UproarError')].sort(), ['code', 'retryAfterMs']);
  assert.deepEqual([error.code, error.message, error.retryAfterMs], ['code', 'message', 5]);
});

test('what the types say of plain objects is so', async (t) => {
  const client = setUp(t);
  const socket = await client.connect();
  const { room, messages } = await client.enter();
  const from = { user: 'bob', name: 'Bob' };
  socket.say({ type: 'message', room: 'lobby', seq: 2, prev: 1, from, client_id: 'x', time: 1, kind: 'text', body: 1 });
  const has = (object, name, without = []) => {
    const declared = [...members(name)].filter((member) => !without.includes(member));
    assert.deepEqual(declared.sort(), Object.keys(object).sort(), name);
  };
  has(messages[0].message, 'Message', ['with']);
  has(room.position, 'Position');
  has(client.chat.limits, 'Limits');
  has(messages[0].message.from, 'User');
  const sending = room.send(1);
  assert.deepEqual([...members('Sending')], Object.keys(sending));
  socket.ack(3);
  has(await sending, 'Ack');
});

test('every event is declared with its fields', async (t) => {
  const declared = (events) => members(events);
  assert.deepEqual([...declared('ChatEvents')], ['state', 'direct', 'error']);
  assert.deepEqual([...declared('RoomEvents')], [
    'message', 'signal', 'presence', 'gap', 'redact', 'clear', 'reset', 'left', 'error',
  ]);
  const client = setUp(t);
  const socket = await client.connect();
  const { room } = await client.enter('lobby', { members: { rev: 1, count: 1, users: [] } });
  const seen = new Map();
  for (const type of declared('RoomEvents')) room.addEventListener(type, (event) => seen.set(type, Object.keys(event)));
  const from = { user: 'bob', name: 'Bob' };
  socket.say({ type: 'message', room: 'lobby', seq: 2, prev: 1, from, client_id: 'x', time: 1, kind: 'text', body: 1 });
  socket.say({ type: 'signal', room: 'lobby', from, body: 1 });
  socket.say({ type: 'presence', room: 'lobby', rev: 2, event: 'join', user: 'bob', name: 'Bob', count: 2 });
  socket.say({ type: 'gap', room: 'lobby', from: 2, to: 3 });
  const event = { type: 'message', room: 'lobby', from: { user: '', name: '' }, client_id: 'x', time: 1 };
  socket.say({ ...event, seq: 4, prev: 3, kind: 'redact', body: { seqs: [2] } });
  socket.say({ ...event, seq: 5, prev: 4, kind: 'clear', body: { to: 4 } });
  socket.say({ type: 'error', room: 'lobby', code: 'x', message: 'y' });
  socket.lose();
  client.chat.retry();
  client.socket.welcome();
  client.socket.joined({ room: 'lobby', epoch: 'e2' });
  const leaving = room.leave();
  client.socket.lose();
  await leaving;
  for (const type of declared('RoomEvents')) {
    const interfaceName = `${type[0].toUpperCase()}${type.slice(1)}Event`;
    // What the platform's own events have is enumerable in some versions of Node.
    const fields = seen.get(type).filter((field) => field !== 'isTrusted');
    assert.deepEqual(fields.sort(), [...members(interfaceName)].sort(), interfaceName);
  }
});
