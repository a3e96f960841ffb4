// The demo chat: one user's rooms on the server that served the page, by the client that every application may use.
// Each part of the page is in page/; here they are put together.

import { Uproar } from './uproar.js';
import { Banner } from './page/banner.js';
import { Composer } from './page/composer.js';
import { Conversation, PENDING_MAX } from './page/conversation.js';
import { Naming } from './page/naming.js';
import { People } from './page/people.js';
import { Profile } from './page/profile.js';
import { RoomList } from './page/room-list.js';
import { roomFault, roomOfHash } from './page/room-name.js';

const FIRST_ROOM = 'lobby';
/** Faults of the name, which its owner can mend. */
const NAME_FAULTS = new Set(['bad_name', 'too_long']);
const REMEMBER_MS = 500;

const $ = (id) => document.getElementById(id);

const profile = new Profile(new URLSearchParams(location.search).get('as'));
/** @type {Map<string, Conversation>} by name, in the order of joining */
const conversations = new Map();
/** @type {Conversation} */
let current;
/** @type {Uproar | null} */
let chat = null;
let remembering = 0;
let drawing = 0;

const banner = new Banner(() => {
  if (chat.state === 'waiting') chat.retry();
  else start();
});
const people = new People();
const naming = new Naming((name) => {
  if (chat?.queued > 0) {
    naming.ask(name, 'Some of your messages are on their way under the old name: in a moment, please.');
  } else {
    profile.name = name;
    start();
  }
});
const list = new RoomList({ select, join: select });
const composer = new Composer({
  say(body) {
    if (current.isFull) return `${PENDING_MAX} messages are on their way: this one must wait here.`;
    current.say(body);
    return '';
  },
  typed(isEmpty) {
    if (!current.room) return;
    if (isEmpty) current.signal.stopped(current.room);
    else current.signal.typed(current.room);
  },
});

/** A connection under the present name, instead of the one before. */
function start() {
  chat?.close();
  chat = new Uproar('/chat', { name: profile.name, storage: profile.storage, queueMax: 1_000 });
  const mine = chat;
  chat.addEventListener('state', (event) => {
    if (mine === chat) changedState(event);
  });
  $('self').textContent = profile.name;
  $('rename').hidden = false;
  for (const conversation of conversations.values()) conversation.enter(chat);
  chat.connect().catch(() => {}); // The state tells.
}

function changedState(event) {
  banner.show(event);
  if (event.state === 'open') $('self').textContent = chat.name;
  if (event.state === 'closed' && NAME_FAULTS.has(event.error?.code)) {
    naming.isNeeded = true;
    naming.ask(profile.name, `Another name, please: ${event.error.message}.`);
  }
}

function isLookedAt(conversation) {
  return conversation === current && document.visibilityState === 'visible';
}

/** Shows a room, entering it if need be. */
function select(name) {
  if (current?.name === name) return;
  const isFirst = !current;
  if (current) {
    current.signal.stopped(current.room);
    current.timeline.forgetUnread();
    current.timeline.view.hidden = true;
  }
  current = conversations.get(name) ?? open(name);
  current.timeline.view.hidden = false;
  current.timeline.show();
  current.look();
  const address = `#${encodeURIComponent(name)}`;
  if (isFirst) history.replaceState(null, '', address);
  else if (roomOfHash() !== name) history.pushState(null, '', address);
  draw();
  if (!$('naming').open) composer.focus();
}

function open(name, read) {
  const conversation = new Conversation(name, read, { isLookedAt, changed });
  conversations.set(name, conversation);
  conversation.timeline.view.hidden = true;
  $('timelines').append(conversation.timeline.view);
  if (chat) conversation.enter(chat);
  return conversation;
}

function leave() {
  const left = current;
  left.leave();
  left.timeline.view.remove();
  current = undefined;
  conversations.delete(left.name);
  const [next = FIRST_ROOM] = conversations.keys();
  select(next);
  changed();
}

/** Something is not as the page shows it. Drawn once for all that comes together. */
function changed() {
  drawing ||= setTimeout(draw, 0);
  remembering ||= setTimeout(remember, REMEMBER_MS);
}

function draw() {
  clearTimeout(drawing);
  drawing = 0;
  const all = [...conversations.values()];
  const unread = all.reduce((sum, conversation) => sum + conversation.unread, 0);
  document.title = `${unread > 0 ? `(${unread}) ` : ''}${current.name} · Uproar`;
  if ($('title').textContent !== current.name) $('title').textContent = current.name;
  list.show(all, current);
  people.show(current.room);
  $('typing').replaceChildren(...current.typists.sentence());
}

function remember() {
  clearTimeout(remembering);
  remembering = 0;
  profile.rooms = [...conversations.values()].map(({ name, read }) => ({ name, read }));
}

function enterHash() {
  const name = roomOfHash();
  if (name && !roomFault(name)) select(name);
  else if (!current) select(conversations.keys().next().value ?? FIRST_ROOM);
}

$('leave').addEventListener('click', leave);
$('rename').addEventListener('click', () => naming.ask(profile.name));
$('another').addEventListener('click', () => {
  const as = Array.from(crypto.getRandomValues(new Uint8Array(4)), (byte) => byte.toString(16).padStart(2, '0')).join('');
  $('another').href = `/?as=${as}${location.hash}`;
});
window.addEventListener('hashchange', enterHash);
window.addEventListener('pagehide', remember);
document.addEventListener('visibilitychange', () => {
  if (isLookedAt(current)) current.look();
});

for (const { name, read } of profile.rooms) if (!roomFault(name)) open(name, read);
enterHash();
if (profile.name) {
  naming.isNeeded = false;
  start();
} else {
  naming.ask('');
}
