// The relay page: one WebSocket to the server that served it, whatever arrives shown as text. It relies on nothing but
// the relay, which stores nothing and confirms nothing, as the client of any tutorial does; the chat is page.js.

import { Connection } from './relay-connection.js';
import { Log } from './relay-log.js';
import { Outbox, UNSENT_MAX } from './relay-outbox.js';
import { roomFault, roomOfHash } from './page/room-name.js';
import { stored } from './page/storage.js';
import { byteLength, clip } from './page/text.js';

/** Of one message as it goes over the wire; the server's own default limit is 64 KiB. */
const MESSAGE_BYTES_MAX = 60 * 1024;
const NAME_CHARS_MAX = 40;
const NAME_KEY = 'uproar.name';
const HINT = 'Enter sends, Shift+Enter starts a new line.';

const $ = (id) => document.getElementById(id);

/** This page sends `{name, text}`; any other client may send what it likes, and is shown as it spoke. */
function show(log, data) {
  if (data instanceof ArrayBuffer) {
    log.theirs('', `[${data.byteLength} bytes]`);
    return;
  }
  const value = jsonObject(data);
  if (typeof value.name === 'string' && typeof value.text === 'string') {
    log.theirs(value.name, value.text);
  } else if (['join', 'leave'].includes(value.type) && typeof value.session === 'string') {
    log.notice(`${clip(value.session, NAME_CHARS_MAX)} ${value.type === 'join' ? 'joined' : 'left'}`);
  } else {
    log.theirs('', data);
  }
}

function jsonObject(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

function addressOf(room) {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return `${scheme}//${location.host}${room ? `/relay/${encodeURIComponent(room)}` : '/'}`;
}

const log = new Log();
const outbox = new Outbox();
let wasLost = false;

const connection = new Connection({
  state(state, seconds) {
    const words = { connecting: 'Connecting', open: 'Connected', waiting: `Reconnecting in ${seconds} s` };
    $('state').dataset.state = state;
    $('state-text').textContent = words[state];
    $('retry').hidden = state !== 'waiting';
  },
  open(socket) {
    outbox.opened(socket);
    if (wasLost) log.notice('Connected again.');
    wasLost = false;
  },
  message: (data) => show(log, data),
  lost() {
    outbox.closed();
    if (!wasLost) log.notice('Not connected. What others say meanwhile will not be shown here.');
    wasLost = true;
  },
});

function enter(room) {
  outbox.abandon();
  wasLost = false;
  $('room').value = room;
  $('address').textContent = `new WebSocket('${addressOf(room)}')`;
  document.title = `${room || 'Lobby'} · Relay · Uproar`;
  if ($('empty').hidden) log.notice(room ? `You are now in the room ${room}.` : 'You are now in the lobby.');
  connection.connect(addressOf(room));
}

function enterHash() {
  const room = roomOfHash();
  const fault = roomFault(room);
  if (fault) {
    log.notice(`${fault} This is the lobby.`);
    history.replaceState(null, '', location.pathname);
  }
  enter(fault ? '' : room);
}

function enterTyped() {
  const room = $('room').value.trim().normalize('NFC');
  const fault = roomFault(room);
  $('room').setCustomValidity(fault);
  if (!$('room').reportValidity() || room === roomOfHash()) return;
  history.pushState(null, '', room ? `#${encodeURIComponent(room)}` : location.pathname);
  enter(room);
}

/** Says how to send, or why the text as it stands cannot be sent; answers whether it can. */
function checkText() {
  const over = byteLength(wireOf($('text').value)) - MESSAGE_BYTES_MAX;
  $('text').setAttribute('aria-invalid', String(over > 0));
  hint(over > 0 ? `Too long by ${over.toLocaleString()} bytes.` : HINT);
  return over <= 0;
}

/** Set only when it changes, or a screen reader says it again at every key. */
function hint(text) {
  if ($('hint').textContent !== text) $('hint').textContent = text;
}

function wireOf(text) {
  return JSON.stringify({ name: $('name').value.trim(), text });
}

function say() {
  const text = $('text').value;
  if (!text.trim() || !checkText()) return;
  if (outbox.full) {
    hint(`${UNSENT_MAX} messages are waiting to be sent: this one must wait here.`);
    return;
  }
  outbox.add(wireOf(text), log.own(text));
  $('text').value = '';
  checkText();
}

$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  say();
  $('text').focus();
});
$('text').addEventListener('input', checkText);
$('text').addEventListener('keydown', (event) => {
  // While an input method composes, Enter picks a candidate.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  say();
});
$('room').addEventListener('input', () => $('room').setCustomValidity(''));
$('room-form').addEventListener('submit', (event) => {
  event.preventDefault();
  enterTyped();
});
$('name').addEventListener('change', () => stored((store) => store.setItem(NAME_KEY, $('name').value.trim())));
$('retry').addEventListener('click', () => {
  connection.hurry();
  $('text').focus(); // The button is about to go.
});
window.addEventListener('online', () => connection.hurry());
window.addEventListener('hashchange', enterHash);

$('name').value = stored((store) => store.getItem(NAME_KEY)) || `Guest ${Math.floor(100 + Math.random() * 900)}`;
enterHash();
