// @ts-self-types="./uproar.d.ts"
/**
 * The client of Uproar's chat (`/chat`, subprotocol `uproar.chat.v1`): one connection that comes back by itself, any
 * number of rooms that go on where they were, messages that are stored once however often the network fails.
 *
 *     const chat = new Uproar('wss://chat.example.com/chat', { name: 'Ann', storage: localStorage });
 *     await chat.connect();
 *     const room = await chat.join('lobby', { history: 50 });
 *     room.addEventListener('message', ({ message }) => show(message));
 *     const { seq } = await room.send({ text: 'hello' });
 *
 * No dependencies, no build step. Browsers, and Node from 20 on; where there is no global `WebSocket`, give one as an
 * option. What a page shows is not here.
 *
 * @module
 */

const SUBPROTOCOL = 'uproar.chat.v1';

/** The ceiling of the first pause between two attempts; each failure doubles it. */
const PAUSE_MS_MIN = 1_000;
const PAUSE_MS_MAX = 30_000;
/** A connection that lived so long was a good one: the next pause begins at the first ceiling again. */
const STABLE_MS = 10_000;
/** From an attempt to its welcome. A network that swallows packets would otherwise hold it for minutes. */
const CONNECT_TIMEOUT_MS = 10_000;
/** How long a connection that a hint casts doubt on has to show that it lives. */
const PROBE_MS = 5_000;
/** Hints (`online`, a page that is seen again) cause at most one attempt in this time. */
const HINT_MS = 1_000;
/** Until the server has said otherwise. */
const HEARTBEAT_SECS = 25;
/** The longest wait that a timer takes. */
const TIMER_MS_MAX = 2 ** 31 - 1;
/** How long to wait before a token is asked for again that there was none of. */
const REFRESH_MS = 5_000;
/** How long to wait for a server that is unavailable, where it does not say. */
const UNAVAILABLE_MS = 1_000;
/** The server's bound on a page of history. */
const PAGE_MESSAGES_MAX = 100;
/** Requests that wait for their answers, by default, and what their bodies may hold together, in characters. */
const QUEUE_MAX = 1_000;
const QUEUE_CHARS_MAX = 16 * 1024 * 1024;
/** A signal is only worth sending now: none is added to so many bytes that wait already. */
const SIGNAL_BACKLOG_BYTES_MAX = 64 * 1024;
/** Presence that is kept while a list of members is on its way; what is beyond is asked for again. */
const EARLY_PRESENCE_MAX = 1_000;
/** Closes after which another attempt would only be turned away, or would turn another session away. */
const FINAL_CLOSES = new Map([
  [4403, 'forbidden'],
  [4409, 'replaced'],
]);
/** The close of a session whose token does not count, or no more. */
const UNAUTHENTICATED = 4401;

/** What went wrong, by its `code`: one of the protocol's error codes, or one of this module's own. */
export class UproarError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {number} [retryAfterMs]
   */
  constructor(code, message, retryAfterMs) {
    super(message);
    this.name = 'UproarError';
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Every event of this module: what it tells are properties of its own, listed in `uproar.d.ts`. */
export class UproarEvent extends Event {
  /**
   * @param {string} type
   * @param {object} fields
   */
  constructor(type, fields) {
    super(type);
    Object.assign(this, fields);
  }
}

/** One user's chat with one server. Emits `state`, `direct` and `error`. */
export class Uproar extends EventTarget {
  #url;
  #options;
  #random;
  #link;
  #wire;
  #clock = new Clock();
  #queue;
  /** Requests that belong to no conversation. */
  #lane;
  /** @type {Map<string, Room>} by `keyOf` */
  #rooms = new Map();
  /** What to do with the answer to each request of this connection. @type {Map<number, (frame: any) => void>} */
  #answers = new Map();
  #lastRef = 0;
  #state = 'closed';
  /** Why nothing is taken until `connect` is called again. @type {UproarError | null} */
  #fault = null;
  #connecting = null;
  #welcome = null;
  #guest;
  /** A token that the server did not know. */
  #badGuest;

  /**
   * @param {string | URL} [url] of the chat, absolute or relative to the page; by default `/chat` on the server that
   *   this module came from
   * @param {object} [options] as in `uproar.d.ts`
   */
  constructor(url = new URL('/chat', import.meta.url), options = {}) {
    super();
    this.#url = addressOf(url);
    this.#options = options;
    this.#guest = options.guest;
    this.#random = options.random ?? Math.random;
    this.#queue = new Queue(options.queueMax ?? QUEUE_MAX);
    this.#wire = this.#makeWire();
    this.#lane = new Lane(this.#wire);
    this.#link = new Link(this.#url, options.WebSocket ?? globalThis.WebSocket, this.#random, {
      state: (state, details) => this.#changed(state, details),
      opened: () => this.#hello(),
      frame: (frame) => this.#receive(frame),
      lost: () => this.#lost(),
      ended: (error) => this.#ended(error),
      renews: () => this.#renews,
    });
  }

  /** `connecting`, `open`, `waiting` (for the next attempt) or `closed`. */
  get state() {
    return this.#state;
  }

  /** The address that is connected to. */
  get url() {
    return this.#url;
  }

  /** One's own id; like the others, empty before the first welcome. */
  get user() {
    return this.#welcome?.user ?? '';
  }

  /** One's own display name. */
  get name() {
    return this.#welcome?.name ?? '';
  }

  /** The server's name for this connection. */
  get session() {
    return this.#welcome?.session ?? '';
  }

  /** The token by which the server knows a guest again. */
  get guest() {
    return this.#guest;
  }

  /** The server's bounds; `null` before the first welcome. */
  get limits() {
    const limits = this.#welcome?.limits;
    if (!limits) return null;
    return {
      messageBytesMax: limits.message_bytes_max,
      historyMessagesMax: limits.history_messages_max,
      roomsPerSessionMax: limits.rooms_per_session_max,
    };
  }

  /** One's direct conversations at the last welcome, at most 100; the rest by `rooms`. */
  get conversations() {
    return this.#welcome?.conversations ?? [];
  }

  /** Requests, messages above all, that wait for the server's answer. */
  get queued() {
    return this.#queue.length;
  }

  /** The server's time in milliseconds since 1970, as far as it is known here. */
  get now() {
    return this.#clock.now();
  }

  /**
   * Connects, and from then on stays connected until `close`. Resolves at the server's welcome, however many attempts
   * that takes; rejects where another attempt would be in vain.
   *
   * @returns {Promise<Uproar>}
   */
  connect() {
    if (this.#state === 'open') return Promise.resolve(this);
    this.#fault = null;
    this.#connecting ??= withResolvers();
    const { promise } = this.#connecting;
    this.#link.start();
    return promise;
  }

  /** Attempts to connect now instead of at the end of the pause; does nothing unless there is one. */
  retry() {
    this.#link.hurry();
  }

  /** Ends the connection until `connect` is called again; what was not acknowledged is rejected with `closed`. */
  close() {
    this.#link.stop(new UproarError('closed', 'the chat was closed'));
  }

  /**
   * Enters a room. Resolves when it is entered, now or once there is a connection; rejects when it is refused. Its
   * messages come as events from the next turn on, the history first.
   *
   * @param {string} name
   * @param {{ history?: number }} [options]
   * @returns {Promise<Room>}
   */
  join(name, options) {
    return this.#enter({ room: name.normalize() }, options);
  }

  /**
   * Opens the direct conversation with another user, like `join`.
   *
   * @param {string} user
   * @param {{ history?: number }} [options]
   * @returns {Promise<Room>}
   */
  direct(user, options) {
    return this.#enter({ with: user.normalize() }, options);
  }

  /**
   * The rooms that this session is in, and one page of one's direct conversations.
   *
   * @param {{ after?: string, limit?: number }} [page]
   */
  async rooms({ after, limit } = {}) {
    if (this.#fault) throw this.#fault;
    const request = new Ask({ type: 'rooms', after, limit });
    const { rooms, conversations, more } = await this.#lane.add(request, this.#queue);
    return { rooms, conversations, more };
  }

  /**
   * @param {{ room?: string, with?: string }} names
   * @param {{ history?: number }} [options]
   */
  #enter(names, { history } = {}) {
    if (this.#fault) return Promise.reject(this.#fault);
    const key = keyOf(names);
    let room = this.#rooms.get(key);
    if (!room) {
      const forget = () => this.#rooms.get(key) === room && this.#rooms.delete(key);
      const lane = new Lane(this.#wire);
      room = inside.make({ names, history, lane, forget, wire: this.#wire, clock: this.#clock, queue: this.#queue });
      this.#rooms.set(key, room);
      if (this.#state === 'open') inside.enter(room);
    }
    return inside.entered(room);
  }

  /** The connection as rooms and lanes see it. */
  #makeWire() {
    return {
      isOpen: () => this.#state === 'open',
      fault: () => this.#fault,
      user: () => this.user,
      random: this.#random,
      /** Sends a request. Calls `answered` once: with the answer, or with `null` when the connection was lost. */
      ask: (textOf, answered) => {
        const ref = (this.#lastRef += 1);
        const text = textOf(ref);
        const bytesMax = this.#welcome?.limits?.message_bytes_max ?? Infinity;
        if (isLonger(text, bytesMax)) {
          // Sent all the same, it would cost the connection, and the next one again.
          answered({ type: 'error', code: 'too_long', message: `the server takes at most ${bytesMax} bytes` });
          return;
        }
        this.#answers.set(ref, answered);
        this.#link.send(text);
      },
      /** Whether it was taken: what cannot go now does not go. */
      signal: (text) => {
        const can = this.#state === 'open' && this.#link.backlogBytes <= SIGNAL_BACKLOG_BYTES_MAX;
        if (can) this.#link.send(text);
        return can;
      },
    };
  }

  #changed(state, details) {
    this.#state = state;
    this.dispatchEvent(new UproarEvent('state', { state, ...details }));
  }

  /** Whether there is another token to be had. */
  get #renews() {
    return typeof this.#options.token === 'function';
  }

  /** Asks for a token, for this connection alone. Calls `failed` where there is none to be had. */
  async #withToken(use, failed) {
    const source = this.#options.token;
    const attempt = this.#link.attempt;
    let token;
    try {
      token = this.#renews ? await source() : source;
    } catch (error) {
      this.#tell(new UproarError('token', `there is no token: ${error?.message ?? error}`));
      if (this.#link.attempt === attempt) failed();
      return;
    }
    if (this.#link.attempt === attempt) use(token);
  }

  #hello() {
    this.#withToken(
      (token) => this.#sayHello(token),
      () => this.#link.fail(),
    );
  }

  #sayHello(token) {
    const { name } = this.#options;
    const guest = token === undefined ? this.#knownGuest() : undefined;
    this.#wire.ask(
      (ref) => JSON.stringify({ type: 'hello', guest, name, token, ref }),
      (frame) => {
        if (frame?.type === 'welcome') this.#welcomed(frame);
        else if (frame) this.#unwelcome(errorOf(frame), guest);
      },
    );
  }

  /** The token runs out: another one, before the connection ends. Without one it ends, and the next one has it. */
  #refresh() {
    const again = (error) => {
      const attempt = this.#link.attempt;
      setTimeout(() => this.#link.attempt === attempt && this.#state === 'open' && this.#refresh(), patience(error, this.#random));
    };
    this.#withToken(
      (token) =>
        this.#wire.ask(
          (ref) => JSON.stringify({ type: 'refresh', token, ref }),
          (frame) => {
            if (frame?.type !== 'error') return;
            const error = errorOf(frame);
            if (error.code === 'unavailable') again(error);
            else this.#tell(error);
          },
        ),
      () => again({ retryAfterMs: REFRESH_MS }),
    );
  }

  /** The token of this very page goes first: what it sent, and was not told of, it sent as that guest. */
  #knownGuest() {
    const guest = this.#guest ?? stored(() => this.#options.storage?.getItem(this.#storageKey)) ?? undefined;
    return guest === this.#badGuest ? undefined : guest;
  }

  get #storageKey() {
    return `uproar.guest ${this.#url}`;
  }

  #unwelcome(error, guest) {
    if (passes(error.code)) {
      this.#link.fail(error.retryAfterMs);
    } else if (error.code === 'bad_token' && guest !== undefined) {
      // A token of another server, or of this one before it lost its key: a new guest then.
      this.#guest = undefined;
      this.#badGuest = guest;
      stored(() => this.#options.storage?.removeItem(this.#storageKey));
      this.#hello();
    } else {
      this.#link.stop(error);
    }
  }

  #welcomed(frame) {
    const isOther = this.#welcome !== null && this.#welcome.user !== frame.user;
    this.#clock.learn(frame.time);
    this.#welcome = frame;
    this.#guest = frame.guest;
    if (frame.guest) stored(() => this.#options.storage?.setItem(this.#storageKey, frame.guest));
    const rooms = [...this.#rooms.values()];
    if (isOther) for (const room of rooms) inside.disown(room);
    this.#link.welcomed(frame.heartbeat_secs ?? HEARTBEAT_SECS);
    if (this.#state !== 'open') return; // Somebody who was told so has closed it.
    this.#lane.open();
    for (const room of rooms) inside.enter(room);
    this.#connecting?.resolve(this);
    this.#connecting = null;
  }

  #lost() {
    this.#lane.shut();
    for (const room of this.#rooms.values()) inside.lose(room);
    const unanswered = [...this.#answers.values()];
    this.#answers.clear();
    for (const answered of unanswered) answered(null);
  }

  #ended(error) {
    this.#fault = error;
    this.#lane.clear(error);
    for (const room of [...this.#rooms.values()]) inside.end(room, error);
    this.#connecting?.reject(error);
    this.#connecting = null;
  }

  #receive(frame) {
    const answered = this.#answers.get(frame.ref);
    if (answered) {
      this.#answers.delete(frame.ref);
      answered(frame);
      return;
    }
    const room = this.#rooms.get(keyOf(frame));
    if (room && inside.take(room, frame)) return;
    if (frame.type === 'message' && frame.kind === 'text' && frame.with !== undefined) {
      this.dispatchEvent(new UproarEvent('direct', { message: messageOf(frame, this.user) }));
    } else if (frame.type === 'error') {
      if (frame.code === 'token_expired' && this.#renews) this.#refresh();
      else this.#tell(errorOf(frame));
    }
  }

  #tell(error) {
    this.dispatchEvent(new UproarEvent('error', { error }));
  }
}

/** What a room does for its chat, and for nobody else. */
let inside;

/**
 * One conversation, a room or a direct one: made by `join` and `direct`. Emits `message`, `signal`, `presence`, `gap`,
 * `reset`, `left` and `error`.
 */
export class Room extends EventTarget {
  #names;
  #history;
  #lane;
  #forget;
  #wire;
  #clock;
  #queue;
  #state = 'joining';
  #entered = withResolvers();
  #entering = 0;
  /** The position: the epoch of the log and the last message that was shown. */
  #epoch = null;
  #seq = 0;
  #more = false;
  #roster = null;
  /** The hole that is being filled: up to which message. @type {{ need: number } | null} */
  #hole = null;
  /** Events that wait until whoever awaits `join` can listen. @type {UproarEvent[] | null} */
  #held = [];

  static {
    inside = {
      make: (parts) => new Room(parts),
      entered: (room) => room.#entered.promise,
      enter: (room) => room.#enter(),
      lose: (room) => room.#lose(),
      take: (room, frame) => room.#take(frame),
      end: (room, error) => room.#end(error),
      disown: (room) => room.#lane.disown(),
    };
  }

  constructor({ names, history, lane, forget, wire, clock, queue }) {
    super();
    this.#names = names;
    this.#history = history;
    this.#lane = lane;
    this.#forget = forget;
    this.#wire = wire;
    this.#clock = clock;
    this.#queue = queue;
  }

  /** The room's name; `undefined` for a direct conversation. */
  get name() {
    return this.#names.room;
  }

  /** The other user of a direct conversation; `undefined` for a room. */
  get with() {
    return this.#names.with;
  }

  /** `joining`, also while the connection is away; `joined`; `left` for good. */
  get state() {
    return this.#state;
  }

  /** The position: the log, and the last of its messages that was shown; `null` before the room is entered. */
  get position() {
    return this.#epoch === null ? null : { epoch: this.#epoch, seq: this.#seq };
  }

  /** Whether there is more history than what came at the beginning. */
  get more() {
    return this.#more;
  }

  /** Who is here, by user id; `null` where the server does not say. */
  get members() {
    return this.#roster?.users ?? null;
  }

  /** How many are here; `null` where the server does not say. */
  get count() {
    return this.#roster?.count ?? null;
  }

  /**
   * Sends a message. The promise resolves when the server has it and rejects with an `UproarError` when it was
   * refused; in between it outlives any number of connections. Its `clientId` is there at once, and is that of the
   * `message` event to come.
   *
   * @param {unknown} body anything that JSON can hold
   * @param {{ clientId?: string }} [options] the id of one that failed, to send that one again
   */
  send(body, { clientId } = {}) {
    const request = new Send(this.#names, body, clientId ?? this.#clock.id());
    return Object.assign(this.#ask(request).then(ackOf), { clientId: request.clientId });
  }

  /**
   * Tells those who are here right now, such as that one is typing. Nothing stores it; under pressure it is dropped.
   *
   * @param {unknown} body
   * @returns {boolean} whether the connection took it
   */
  signal(body) {
    if (this.#state !== 'joined') return false;
    return this.#wire.signal(withBody({ type: 'signal', ...this.#names }, jsonOf(body)));
  }

  /**
   * A page of what was said, oldest first: the latest, or what came right before or after a message. Where messages
   * were removed the word of that is among them, by its `kind`.
   *
   * @param {{ before?: number, after?: number, limit?: number }} [page]
   */
  async history({ before, after, limit } = {}) {
    const frame = await this.#ask(new Ask({ type: 'history', ...this.#names, before, after, limit }));
    return { epoch: frame.epoch, messages: frame.messages.map((message) => this.#read(message)), more: frame.more };
  }

  /** Leaves: nothing of the room comes from now on, and what waits to be sent is rejected with `left`. */
  async leave() {
    if (this.#state === 'left') return;
    this.#leave(new UproarError('left', 'the room was left'));
    if (!this.#wire.isOpen()) return;
    const { promise, resolve } = withResolvers();
    // A lost connection is an answer, too: the next one does not enter the room.
    this.#wire.ask((ref) => JSON.stringify({ type: 'leave', ...this.#names, ref }), resolve);
    await promise;
  }

  /** A request of the page's, which has to fit into the queue. */
  #ask(request) {
    const left = this.#state === 'left' ? new UproarError('left', 'the room was left') : null;
    const refusal = this.#wire.fault() ?? left;
    return refusal ? Promise.reject(refusal) : this.#lane.add(request, this.#queue);
  }

  #read(frame) {
    return messageOf(frame, this.#wire.user());
  }

  /** The connection is open: go on where it ended. */
  #enter() {
    if (this.#state === 'left') return;
    clearTimeout(this.#entering);
    const after = this.#epoch === null ? undefined : { epoch: this.#epoch, seq: this.#seq };
    this.#wire.ask(
      (ref) => JSON.stringify({ type: 'join', ...this.#names, after, history: this.#history, ref }),
      (frame) => {
        if (!frame || this.#state === 'left') return;
        if (frame.type === 'joined') this.#joined(frame);
        else this.#refused(errorOf(frame));
      },
    );
  }

  #refused(error) {
    if (passes(error.code)) {
      this.#entering = setTimeout(() => this.#enter(), patience(error, this.#wire.random));
    } else {
      this.#leave(error);
    }
  }

  #lose() {
    clearTimeout(this.#entering);
    this.#state = 'joining';
    this.#lane.shut();
  }

  /** No connection will follow; one that the page asks for later enters the room again. */
  #end(error) {
    this.#lane.clear(error);
    if (this.#epoch === null) this.#leave(error);
  }

  #leave(error) {
    clearTimeout(this.#entering);
    this.#state = 'left';
    this.#hole = null;
    this.#forget();
    this.#lane.retire(error);
    this.#entered.reject(error);
    this.#emit('left', { error });
  }

  #joined(frame) {
    const last = this.#epoch;
    this.#state = 'joined';
    this.#hole = null; // What is missing comes now.
    // A log that ends before what was seen of it went back to an earlier state, whatever it is called.
    const isAnew = frame.epoch !== last || frame.seq < this.#seq;
    if (isAnew) {
      this.#epoch = frame.epoch;
      this.#seq = 0;
      this.#more = frame.more ?? false;
      if (last !== null) this.#emit('reset', { epoch: frame.epoch });
    }
    if (frame.gap) this.#skip(frame.gap);
    for (const message of frame.messages) this.#show(message, true);
    // With nothing to show the position is the log's own end.
    if (isAnew && frame.messages.length === 0) this.#seq = frame.seq;
    this.#roster = frame.members ? new Roster(frame.members) : null;
    if (this.#roster) this.#emit('presence', { change: 'members', count: this.#roster.count });
    this.#lane.open();
    this.#entered.resolve(this);
    if (this.#held) setTimeout(() => this.#release(), 0);
  }

  /** Whether the frame was for this room as it is. */
  #take(frame) {
    if (this.#state !== 'joined') return false;
    switch (frame.type) {
      case 'message':
        this.#message(frame);
        return true;
      case 'signal':
        this.#emit('signal', { from: frame.from, body: frame.body });
        return true;
      case 'presence':
        this.#presence(frame);
        return true;
      case 'members':
        this.#members(frame);
        return true;
      case 'gap':
        this.#skip(frame);
        return true;
      case 'left':
        this.#leave(new UproarError('forbidden', 'one may be there no more'));
        return true;
      case 'error':
        this.#emit('error', { error: errorOf(frame) });
        return true;
      default:
        return false;
    }
  }

  #message(frame) {
    if (this.#hole) {
      // It is read with the others, so that nothing has to be kept here.
      this.#hole.need = Math.max(this.#hole.need, frame.seq);
    } else if (frame.prev > this.#seq) {
      this.#fill(frame.seq);
    } else {
      this.#show(frame, false);
    }
  }

  #show(frame, history) {
    if (frame.seq <= this.#seq) return;
    this.#seq = frame.seq;
    const { seq, kind, body } = frame;
    if (kind === 'text') this.#emit('message', { message: this.#read(frame), history });
    else if (kind === 'redact') this.#emit('redact', { seq, seqs: body.seqs });
    else if (kind === 'clear') this.#emit('clear', { seq, to: body.to });
  }

  /** Reads what did not come, up to and with the message `need`. */
  async #fill(need) {
    const hole = { need };
    this.#hole = hole;
    try {
      while (this.#hole === hole && this.#seq < hole.need) await this.#fillPage(hole);
    } catch (error) {
      if (this.#hole !== hole) return;
      this.#skip({ from: this.#seq, to: hole.need });
      this.#emit('error', { error });
    }
    if (this.#hole === hole) this.#hole = null;
  }

  async #fillPage(hole) {
    const after = this.#seq;
    const page = await this.#lane.add(
      new Ask({ type: 'history', ...this.#names, after, limit: PAGE_MESSAGES_MAX }),
    );
    if (this.#hole !== hole) return;
    if (page.epoch !== this.#epoch) {
      this.#hole = null;
      this.#enter();
      return;
    }
    for (const frame of page.messages) this.#show(frame, false);
    // All there is was read: the rest is gone.
    if (!page.more || this.#seq === after) this.#skip({ from: this.#seq, to: hole.need });
  }

  /** Messages that will not come any more. */
  #skip({ from, to }) {
    if (to <= this.#seq) return;
    this.#seq = to;
    this.#emit('gap', { from, to });
  }

  #presence(frame) {
    if (!this.#roster) return;
    const outcome = this.#roster.apply(frame);
    if (outcome === 'hole') this.#askMembers();
    if (outcome !== 'applied') return;
    this.#emit('presence', { change: frame.event, user: frame.user, name: frame.name, count: this.#roster.count });
  }

  #members(frame) {
    if (!this.#roster?.replace(frame)) return;
    this.#emit('presence', { change: 'members', count: this.#roster.count });
    if (this.#roster.isStale) this.#askMembers();
  }

  async #askMembers() {
    const roster = this.#roster;
    if (roster.isAsked) return;
    roster.isAsked = true;
    try {
      const frame = await this.#lane.add(new Ask({ type: 'members', ...this.#names }));
      roster.isAsked = false;
      if (this.#roster === roster) this.#members(frame);
    } catch {
      // Presence is off by now, or the room was left: nobody is told of either here.
      if (this.#roster === roster) this.#roster = null;
    }
  }

  #emit(type, fields) {
    const event = new UproarEvent(type, fields);
    if (this.#held) this.#held.push(event);
    else this.dispatchEvent(event);
  }

  #release() {
    const held = this.#held ?? [];
    this.#held = null;
    for (const event of held) this.dispatchEvent(event);
  }
}

/** Who is in a room, kept true by events that each count `rev` up by one. */
class Roster {
  rev;
  count;
  /** @type {Map<string, { user: string, name: string }> | null} */
  users;
  /** A new list is on its way. */
  isAsked = false;
  #early = [];
  #overflowed = false;

  constructor(list) {
    this.#set(list);
  }

  /** Events were missed, and the list does not make up for it. */
  get isStale() {
    return this.#overflowed || this.#early.length > 0;
  }

  /** `applied`, `old` where it is known already, `hole` where something before it is missing. */
  apply(event) {
    if (event.rev <= this.rev) return 'old';
    if (event.event === 'count') {
      this.#set(event);
      return 'applied';
    }
    if (this.users === null || event.rev !== this.rev + 1 || this.isStale) {
      if (this.#early.length < EARLY_PRESENCE_MAX) this.#early.push(event);
      else this.#overflowed = true;
      return 'hole';
    }
    this.#step(event);
    return 'applied';
  }

  /** Takes a whole list, and what came ahead of it; whether it was news. */
  replace(list) {
    if (list.rev < this.rev) return false;
    this.#set(list);
    const early = this.#early.splice(0).sort((one, other) => one.rev - other.rev);
    this.#overflowed = false;
    if (this.users === null) return true;
    for (const event of early) {
      if (event.rev === this.rev + 1) this.#step(event);
      else if (event.rev > this.rev) this.#early.push(event);
    }
    return true;
  }

  #set({ rev, count, users }) {
    this.rev = rev;
    this.count = count;
    this.users = users ? new Map(users.map((user) => [user.user, user])) : null;
  }

  #step({ rev, event, user, name, count }) {
    this.rev = rev;
    this.count = count;
    if (event === 'join') this.users.set(user, { user, name });
    else this.users.delete(user);
  }
}

/** What all conversations together may keep waiting. */
class Queue {
  length = 0;
  #chars = 0;
  #max;

  constructor(max) {
    this.#max = max;
  }

  /** Whether there is room for one of that size. One of any size is taken when there is no other. */
  add(chars) {
    if (this.length >= this.#max || (this.length > 0 && this.#chars + chars > QUEUE_CHARS_MAX)) return false;
    this.length += 1;
    this.#chars += chars;
    return true;
  }

  remove(chars) {
    this.length -= 1;
    this.#chars -= chars;
  }
}

/** A request and who waits for its answer. */
class Ask {
  chars = 0;
  /** It is on its way by the present connection; by any connection so far. */
  isGiven = false;
  wasGiven = false;
  /** @type {Promise<any>} */
  promise;
  resolve;
  reject;
  /** The queue that it counts in. @type {Queue | undefined} */
  queue;
  #fields;

  constructor(fields) {
    this.#fields = fields;
    Object.assign(this, withResolvers());
  }

  text(ref) {
    return JSON.stringify({ ...this.#fields, ref });
  }
}

/** The request to store a message. Its body is text from the beginning: sent again, it has to be the same. */
class Send extends Ask {
  clientId;
  #names;
  #body;

  constructor(names, body, clientId) {
    super({});
    this.clientId = clientId;
    this.#names = names;
    this.#body = jsonOf(body);
    this.chars = this.#body.length;
  }

  text(ref) {
    return withBody({ type: 'send', ...this.#names, client_id: this.clientId, ref }, this.#body);
  }
}

/** The requests of one conversation, in their order, until each is answered. */
class Lane {
  #wire;
  /** @type {Set<Ask>} */
  #requests = new Set();
  #isOpen = false;
  #isRetired = false;
  #pause = 0;

  constructor(wire) {
    this.#wire = wire;
  }

  /** Answers with the answer. What counts in a queue is refused when that is full. */
  add(request, queue) {
    if (queue && !queue.add(request.chars)) {
      return Promise.reject(new UproarError('queue_full', 'too many messages wait to be sent'));
    }
    request.queue = queue;
    this.#requests.add(request);
    this.#flush();
    return request.promise;
  }

  /** The conversation is entered: everything goes (again), in the order of its making. */
  open() {
    this.#isOpen = true;
    this.#flush();
  }

  /** The connection is lost. Each request is told so by its own answer. */
  shut() {
    this.#isOpen = false;
    clearTimeout(this.#pause);
    this.#pause = 0;
  }

  /** Nothing will be answered any more. */
  clear(error) {
    for (const request of [...this.#requests]) this.#settle(request).reject(error);
  }

  /** Nothing will go any more; what is on its way may still be answered. */
  retire(error) {
    this.shut();
    this.#isRetired = true;
    for (const request of [...this.#requests]) if (!request.isGiven) this.#settle(request).reject(error);
  }

  /** The user is another one from here on, whose messages would not be known to be the same. */
  disown() {
    for (const request of [...this.#requests]) {
      const isLost = request instanceof Send && request.wasGiven;
      if (isLost) this.#settle(request).reject(uncertain('the server did not know the guest any more'));
    }
  }

  #flush() {
    for (const request of [...this.#requests]) {
      if (!this.#isOpen || this.#pause !== 0) return;
      if (!request.isGiven) this.#give(request);
    }
  }

  #give(request) {
    request.isGiven = true;
    request.wasGiven = true;
    this.#wire.ask(
      (ref) => request.text(ref),
      (frame) => this.#answered(request, frame),
    );
  }

  #answered(request, frame) {
    request.isGiven = false;
    if (!this.#requests.has(request)) return;
    if (frame === null) {
      if (this.#isRetired) this.#settle(request).reject(uncertain('the connection was lost while the room was left'));
    } else if (frame.type !== 'error') {
      this.#settle(request).resolve(frame);
    } else if (passes(frame.code) && !this.#isRetired) {
      this.#wait(errorOf(frame));
    } else {
      this.#settle(request).reject(errorOf(frame));
    }
  }

  /** The server cannot for the moment. What comes later must wait, too, or it would overtake. */
  #wait(error) {
    if (this.#pause !== 0 || !this.#isOpen) return;
    this.#pause = setTimeout(() => {
      this.#pause = 0;
      this.#flush();
    }, patience(error, this.#wire.random));
  }

  #settle(request) {
    this.#requests.delete(request);
    request.queue?.remove(request.chars);
    return request;
  }
}

/** The server's clock, as far as it is known here, and the ids made by it. */
class Clock {
  /** How far the local clock is behind. */
  #skewMs = 0;

  /** Learns what time it is at the server. */
  learn(time) {
    if (Number.isFinite(time)) this.#skewMs = time - Date.now();
  }

  now() {
    return Date.now() + this.#skewMs;
  }

  /** A UUIDv7 (RFC 9562, section 5.7). */
  id() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    let ms = Math.max(0, Math.floor(this.now()));
    for (let at = 5; at >= 0; at -= 1) {
      bytes[at] = ms % 256;
      ms = Math.floor(ms / 256);
    }
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }
}

/** One connection after another to the same address: when to attempt, when to give one up, when to stop. */
class Link {
  /** Counts attempts, so that what was begun for one is not done to another. */
  attempt = 0;
  #url;
  #WebSocket;
  #random;
  #events;
  /** @type {'idle' | 'connecting' | 'open' | 'waiting'} */
  #phase = 'idle';
  #socket = null;
  /** Attempts since the last connection that was stable. */
  #failures = 0;
  #attemptedAt = 0;
  /** The server named the end of the present pause. */
  #isTold = false;
  #silenceMs = 0;
  /** The end of the pause, or of the patience with an attempt. */
  #timer = 0;
  #silence = 0;
  #stable = 0;
  #hint = (event) => this.#hinted(event.type);

  /** `events`: `state(name, details)`, `opened()`, `frame(object)`, `lost()`, `ended(error)`, `renews()`. */
  constructor(url, WebSocket, random, events) {
    if (typeof WebSocket !== 'function') throw new TypeError('there is no WebSocket here: give one as an option');
    this.#url = url;
    this.#WebSocket = WebSocket;
    this.#random = random;
    this.#events = events;
  }

  /** Bytes that the socket has not passed on. */
  get backlogBytes() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  start() {
    if (this.#phase !== 'idle') return;
    this.#listen('addEventListener');
    this.#failures = 0;
    this.#open();
  }

  /** Leaves for good. */
  stop(error) {
    if (this.#phase === 'idle') return;
    this.#listen('removeEventListener');
    this.#drop();
    this.#enter('idle');
    this.#events.ended(error);
    this.#events.state('closed', { error });
  }

  /** Does not wait for the end of the pause. */
  hurry() {
    if (this.#phase === 'waiting') this.#open();
  }

  send(text) {
    this.#socket?.send(text);
  }

  /** The server has taken the session. */
  welcomed(heartbeatSecs) {
    this.#enter('open');
    this.#stable = setTimeout(() => (this.#failures = 0), STABLE_MS);
    this.#silenceMs = heartbeatSecs > 0 ? 2 * heartbeatSecs * 1_000 : TIMER_MS_MAX;
    this.#hear();
    this.#events.state('open');
  }

  /** Gives the present connection up, and tries again after a while: the one named, or one by chance. */
  fail(ms) {
    this.#drop();
    this.#wait(ms);
  }

  #open() {
    this.#drop();
    this.#enter('connecting');
    this.attempt += 1;
    this.#attemptedAt = Date.now();
    let socket;
    try {
      socket = new this.#WebSocket(this.#url, [SUBPROTOCOL]);
    } catch (error) {
      // The address is wrong, or the page may not connect to it: it will not be otherwise later.
      this.stop(new UproarError('bad_url', error.message));
      return;
    }
    this.#socket = socket;
    this.#timer = setTimeout(() => this.fail(), CONNECT_TIMEOUT_MS);
    socket.onopen = () => this.#events.opened();
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#closed(event.code, event.reason);
    // Not everywhere does `close` follow when an attempt fails.
    socket.onerror = () => this.#closed(1006, '');
    this.#events.state('connecting');
  }

  #receive(data) {
    this.#hear();
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return; // Not of this protocol.
    }
    if (frame?.type === 'ping') this.send('{"type":"pong"}');
    else if (frame?.type === 'bye') this.#bye(frame);
    else if (frame && typeof frame === 'object') this.#events.frame(frame);
  }

  #bye({ code, reason, reconnect, after_ms: afterMs }) {
    const error = new UproarError(FINAL_CLOSES.get(code) ?? 'bye', reason || 'the server said bye');
    const isStale = code === UNAUTHENTICATED && this.#phase === 'open' && this.#events.renews();
    if (reconnect === false && !isStale) this.stop(error);
    else this.fail(afterMs);
  }

  #closed(code, reason) {
    const final = FINAL_CLOSES.get(code);
    if (final) this.stop(new UproarError(final, reason || `the server closed with ${code}`));
    else this.fail();
  }

  /** Something came: the connection lives. */
  #hear() {
    if (this.#phase !== 'open') return;
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#open(), this.#silenceMs);
  }

  /** A connection in doubt is asked; what does not answer soon is left at once. */
  #probe() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#open(), Math.min(PROBE_MS, this.#silenceMs));
    this.send('{"type":"ping"}');
  }

  /**
   * Full jitter: anything up to the ceiling, so that a restarted server does not meet everyone at once. It begins when
   * the pause that the server named is over, if it named one.
   */
  #wait(ms) {
    this.#isTold = Number.isFinite(ms) && ms >= 0;
    const ceilingMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** this.#failures);
    if (!this.#isTold) this.#failures += 1;
    const pauseMs = Math.min((this.#isTold ? ms : 0) + this.#random() * ceilingMs, TIMER_MS_MAX);
    this.#enter('waiting');
    this.#timer = setTimeout(() => this.#open(), pauseMs);
    this.#events.state('waiting', { retryInMs: pauseMs, retryAt: Date.now() + pauseMs });
  }

  /** The socket is left as it is: a close handshake over a dead connection would last for minutes. */
  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {}; // Some throw what nobody listens to.
    socket.close(1000);
    this.#events.lost();
  }

  #enter(phase) {
    this.#phase = phase;
    for (const timer of [this.#timer, this.#silence, this.#stable]) clearTimeout(timer);
  }

  #listen(method) {
    globalThis[method]?.('online', this.#hint);
    globalThis[method]?.('offline', this.#hint);
    globalThis.document?.[method]('visibilitychange', this.#hint);
  }

  /** What the browser says of the network and of the page may be wrong: reason to look, not to believe. */
  #hinted(type) {
    if (type === 'visibilitychange' && globalThis.document.visibilityState !== 'visible') return;
    if (this.#phase === 'open') this.#probe();
    const wasLongAgo = Math.abs(Date.now() - this.#attemptedAt) >= HINT_MS;
    if (this.#phase === 'waiting' && !this.#isTold && type !== 'offline' && wasLongAgo) this.#open();
  }
}

/** The address of a WebSocket, whatever kind of URL it was given as. */
function addressOf(url) {
  const address = new URL(url, globalThis.location?.href);
  address.protocol = address.protocol.replace(/^http/, 'ws');
  address.hash = '';
  return address.href;
}

/** The name of the conversation that a frame is about; empty where it is about none. */
function keyOf(frame) {
  if (frame.room !== undefined) return `room ${frame.room}`;
  return frame.with === undefined ? '' : `with ${frame.with}`;
}

function messageOf(frame, user) {
  const { seq, prev, room, with: other, from, client_id: clientId, time, kind, body } = frame;
  const conversation = room === undefined ? { with: other } : { room };
  return { seq, prev, ...conversation, from, clientId, time, kind, body, own: from.user === user };
}

function ackOf({ seq, time, client_id: clientId, stored: isStored }) {
  return { seq, time, clientId, stored: isStored };
}

function errorOf(frame) {
  return new UproarError(frame.code ?? 'error', frame.message ?? '', frame.retry_after_ms);
}

function uncertain(why) {
  return new UproarError('uncertain', `${why}: whether the message was stored cannot be known`);
}

/** Whether what was refused is worth asking for again after a while, as it is. */
function passes(code) {
  return code === 'unavailable' || code === 'rate_limited';
}

/** How long to wait before an unavailable server is asked again: not all in the same moment, and none too early. */
function patience({ retryAfterMs = UNAVAILABLE_MS }, random) {
  return Math.min(retryAfterMs * (1 + random() / 4), TIMER_MS_MAX);
}

function jsonOf(body) {
  const text = JSON.stringify(body);
  if (text === undefined) throw new TypeError('the body is nothing that JSON can hold');
  return text;
}

/** A frame whose body is text already. */
function withBody(fields, body) {
  return `${JSON.stringify(fields).slice(0, -1)},"body":${body}}`;
}

/** Whether a text has more bytes than that as UTF-8. */
function isLonger(text, bytesMax) {
  return text.length * 3 > bytesMax && new TextEncoder().encode(text).length > bytesMax;
}

/** A browser may forbid storage; a guest then lasts as long as the page. */
function stored(use) {
  try {
    return use();
  } catch {
    return undefined;
  }
}

function withResolvers() {
  /** @type {any} */
  let resolve;
  /** @type {any} */
  let reject;
  const promise = new Promise((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  return { promise, resolve, reject };
}
