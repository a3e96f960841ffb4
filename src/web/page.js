// The demo chat: one WebSocket to the server that served the page, whatever arrives shown as text. It relies on
// nothing but the relay, which stores nothing and confirms nothing; an application would use the chat protocol.

const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 30_000;
/** A network that swallows packets would otherwise hold an attempt for minutes. */
const CONNECT_TIMEOUT_MS = 10_000;
/** How often the socket is asked what it has passed on: browsers have no event for it. */
const SETTLE_MS = 50;
/** Messages that wait for a connection or are on their way. */
const UNSENT_MAX = 100;
const SHOWN_MAX = 1_000;
/** Of one message as it goes over the wire; the server's own default limit is 64 KiB. */
const MESSAGE_BYTES_MAX = 60 * 1024;
/** A server may allow messages that are too long to read and too slow to lay out. */
const SHOWN_CHARS_MAX = 65_536;
const NAME_CHARS_MAX = 40;
const NAME_KEY = 'uproar.name';
const ROOM_BYTES_MAX = 200;
/** After this long the same sender is named again. */
const GROUP_MS = 5 * 60_000;
const CLOCK = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' });
const HINT = 'Enter sends, Shift+Enter starts a new line.';

const $ = (id) => document.getElementById(id);
const byteLength = (text) => new TextEncoder().encode(text).length;
const clip = (text, max) => (text.length > max ? `${text.slice(0, max)}…` : text);

/** One connection after another to the same address, with growing pauses while it cannot be reached. */
class Connection {
  #url;
  #socket = null;
  #failures = 0;
  #timer = 0;
  #events;

  /** `events`: `state(name, seconds)`, `open(socket)`, `message(data)`, `lost(socket)`. */
  constructor(events) {
    this.#events = events;
  }

  /** Leaves where it was, without a `lost`, and connects to `url`. */
  connect(url) {
    this.#leave();
    this.#url = url;
    this.#failures = 0;
    this.#attempt();
  }

  /** Does not wait for the end of the pause; does nothing unless there is one. */
  hurry() {
    if (!this.#socket) this.#attempt();
  }

  #attempt() {
    clearTimeout(this.#timer);
    this.#events.state('connecting');
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#timer = setTimeout(() => socket.close(), CONNECT_TIMEOUT_MS);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      clearTimeout(this.#timer);
      this.#failures = 0;
      this.#events.state('open');
      this.#events.open(socket);
    };
    socket.onmessage = (event) => this.#events.message(event.data);
    socket.onclose = () => {
      this.#leave();
      this.#events.lost(socket);
      this.#pause();
    };
  }

  /** Half of each pause is by chance, so that a restarted server does not meet everyone in the same moment. */
  #pause() {
    const longest = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures);
    this.#failures += 1;
    this.#countDown(performance.now() + longest / 2 + (Math.random() * longest) / 2);
  }

  #countDown(end) {
    const left = end - performance.now();
    if (left <= 0) {
      this.#attempt();
      return;
    }
    this.#events.state('waiting', Math.ceil(left / 1_000));
    this.#timer = setTimeout(() => this.#countDown(end), Math.min(left, left % 1_000 || 1_000));
  }

  #leave() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }
}

/** Own messages that have not left the browser, oldest first; each is told what becomes of it. */
class Outbox {
  #entries = [];
  #socket = null;
  /** Bytes given to the present socket. */
  #given = 0;
  #timer = 0;

  get full() {
    return this.#entries.length >= UNSENT_MAX;
  }

  /** `progress` is called with `waiting`, `sending`, `sent` or `lost`. */
  add(wire, progress) {
    const entry = { wire, progress, end: Infinity };
    this.#entries.push(entry);
    if (this.#socket) this.#give(entry);
    else progress('waiting');
  }

  opened(socket) {
    this.#socket = socket;
    this.#given = 0;
    for (const entry of [...this.#entries]) this.#give(entry);
  }

  /** What the socket still held will be sent again, even if some of it may just have got through. */
  closed() {
    if (!this.#socket) return;
    this.#settle();
    this.#forget();
    for (const entry of this.#entries) {
      entry.end = Infinity;
      entry.progress('waiting');
    }
  }

  /** The room that it was all meant for is being left. A closing socket still passes on what it was given. */
  abandon() {
    this.#forget();
    for (const entry of this.#entries.splice(0)) entry.progress(entry.end < Infinity ? 'sent' : 'lost');
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#socket = null;
  }

  #give(entry) {
    this.#socket.send(entry.wire);
    this.#given += byteLength(entry.wire);
    entry.end = this.#given;
    entry.progress('sending');
    this.#settle();
  }

  #settle() {
    const gone = this.#given - this.#socket.bufferedAmount;
    while (this.#entries.length > 0 && this.#entries[0].end <= gone) this.#entries.shift().progress('sent');
    clearTimeout(this.#timer);
    if (this.#entries.length > 0) this.#timer = setTimeout(() => this.#settle(), SETTLE_MS);
  }
}

/**
 * What was said, the newest at the end. The style sheet lets the view scroll from its end: at 0 the browser keeps the
 * newest in view, further up it keeps what is being read.
 */
class Log {
  #view = $('log');
  #list = $('messages');
  #newest = $('newest');
  #atEnd = true;
  #last = { speaker: null, time: 0 };

  constructor() {
    this.#view.addEventListener('scroll', () => {
      this.#atEnd = this.#view.scrollTop > -1;
      if (this.#atEnd) this.#newest.hidden = true;
    });
    this.#newest.addEventListener('click', () => {
      this.#view.focus();
      this.#view.scrollTop = 0;
    });
  }

  notice(text) {
    this.#last = { speaker: null, time: 0 };
    this.#append(element('li', 'notice', text));
  }

  /** A message of someone else; without a name, of someone. */
  theirs(name, text) {
    const author = clip(name.trim(), NAME_CHARS_MAX) || 'someone';
    this.#append(this.#message(`theirs ${hue(author)}`, author, text).item);
  }

  /** A message of one's own; answers with the function that shows what becomes of it. */
  own(text) {
    const { item, foot } = this.#message('own', 'You', text);
    const delivery = foot.appendChild(element('span', 'delivery'));
    this.#append(item);
    this.#view.scrollTop = 0;
    const words = { waiting: 'waiting', sending: 'sending', sent: 'sent', lost: 'not sent' };
    return (progress) => {
      item.dataset.delivery = progress;
      delivery.textContent = words[progress];
    };
  }

  #message(kind, author, text) {
    const now = new Date();
    const item = element('li', kind);
    const speaker = `${kind} ${author}`;
    const follows = this.#last.speaker === speaker && now - this.#last.time < GROUP_MS;
    this.#last = { speaker, time: now };
    if (follows) item.classList.add('follows');
    const name = element('span', 'name', author);
    name.dir = 'auto';
    const body = element('p', 'text', clip(text, SHOWN_CHARS_MAX));
    body.dir = 'auto';
    const foot = element('span', 'foot');
    const time = element('time', '', CLOCK.format(now));
    time.dateTime = now.toISOString();
    foot.append(time);
    item.append(name, body, foot);
    return { item, foot };
  }

  #append(item) {
    $('empty').hidden = true;
    this.#list.append(item);
    while (this.#list.childElementCount > SHOWN_MAX) this.#list.firstElementChild.remove();
    this.#newest.hidden = this.#atEnd;
  }
}

/** The only way text gets into the page: as text. */
function element(tag, className, text = '') {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

/** The same name has the same colour in every tab. */
function hue(name) {
  let sum = 0;
  for (const char of name) sum = (sum * 31 + char.codePointAt(0)) % 9_973;
  return `hue-${sum % 6}`;
}

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

/** Why the server would refuse this room, or nothing. */
function roomFault(room) {
  if (byteLength(room) > ROOM_BYTES_MAX) return `A room's name has at most ${ROOM_BYTES_MAX} bytes.`;
  if (room === '.' || room === '..') return 'A room cannot have this name.';
  if (/[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/u.test(room)) return "A room's name has no control characters.";
  return '';
}

function roomOfHash() {
  const raw = location.hash.slice(1);
  try {
    return decodeURIComponent(raw).normalize('NFC');
  } catch {
    return raw;
  }
}

function addressOf(room) {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return `${scheme}//${location.host}${room ? `/relay/${encodeURIComponent(room)}` : '/'}`;
}

/** A browser may forbid storage; a name then lasts as long as its page. */
function stored(use) {
  try {
    return use(localStorage);
  } catch {
    return null;
  }
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
  document.title = `${room || 'Lobby'} · Uproar`;
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
