// One room as the page has it: what was said, what is unread, what is on its way, who is typing.

import { Outgoing } from './outgoing.js';
import { Timeline } from './timeline.js';
import { TypingSignal, Typists } from './typing.js';

const HISTORY = 50;
/** One's own messages that may wait in one room. */
export const PENDING_MAX = 100;

export class Conversation {
  name;
  /** Messages that came since it was last looked at. */
  unread = 0;
  /** Up to where it was read, for the next visit: `{epoch, seq}`. */
  read;
  /** The room of the chat, once it is entered. */
  room = null;
  timeline;
  typists;
  signal = new TypingSignal();
  #entered = Promise.reject(new Error('the room was not entered'));
  #self = { user: '', name: '' };
  /** @type {Map<string, Outgoing>} by client id, what has no place or no ack yet */
  #outgoing = new Map();
  /** The last message that a gap has passed over. */
  #passed = 0;
  /** What was removed of one's own, perhaps, and has no ack yet: up to the one, and at the others. */
  #clearedTo = 0;
  #redacted = new Set();
  #listening = new AbortController();
  #isLookedAt;
  #changed;

  /** `isLookedAt(conversation)`; `changed()` is called when the page shows something that is not so any more. */
  constructor(name, read, { isLookedAt, changed }) {
    this.#entered.catch(() => {});
    this.name = name;
    this.read = read;
    this.#isLookedAt = () => isLookedAt(this);
    this.#changed = changed;
    this.typists = new Typists(changed);
    this.timeline = new Timeline(name, (before) => this.#older(before));
  }

  get isFull() {
    return this.timeline.pendingCount >= PENDING_MAX;
  }

  /** Enters the room of this chat, and forgets what it had of another one. */
  async enter(chat) {
    this.#listening.abort();
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.timeline.clear();
    this.typists.clear();
    this.unread = 0; // It is counted again as the history comes.
    this.#self = { user: chat.user, name: chat.name };
    this.room = null;
    this.#entered = chat.join(this.name, { history: HISTORY });
    try {
      const room = await this.#entered;
      if (signal.aborted) return;
      this.room = room;
      this.#self = { user: chat.user, name: chat.name };
      this.#listen(room, signal);
      this.timeline.setMore(room.more);
    } catch (error) {
      if (!signal.aborted) this.timeline.notice(`This room cannot be entered: ${error.message}.`, 'fault');
    }
    this.#changed();
  }

  /** Leaves, also where it was not entered yet, unless by then it is `isWanted` again. */
  async leave(isWanted) {
    this.#listening.abort();
    this.typists.clear();
    const room = this.room ?? (await this.#entered.catch(() => null));
    if (this.room || !isWanted()) room?.leave();
  }

  /** Says it: at once, or when there is a connection. */
  say(body) {
    const outgoing = new Outgoing(body, this.#self, {
      retry: (failed) => this.#send(failed),
      discard: (failed) => this.#discard(failed),
    });
    this.timeline.addPending(outgoing.item);
    this.signal.sent();
    this.#send(outgoing);
  }

  /** It is being looked at, up to its end. */
  look() {
    this.unread = 0;
    if (this.room?.position) this.read = this.room.position;
    this.#changed();
  }

  #listen(room, signal) {
    const on = (type, act) => room.addEventListener(type, act, { signal });
    on('message', ({ message, history }) => this.#message(message, history));
    on('signal', ({ from, body }) => {
      if (from.user !== this.#self.user) this.typists.heard(from, body);
    });
    on('presence', ({ change, user }) => {
      if (change === 'leave') this.typists.gone(user);
      this.#changed();
    });
    on('gap', ({ to }) => {
      this.timeline.notice('Some messages in between are not kept any more.', 'gap');
      this.#pass(to);
    });
    on('redact', ({ seq, seqs }) => {
      this.timeline.remove(seq, (of) => seqs.includes(of));
      if (this.#outgoing.size === 0) this.#redacted.clear();
      else for (const gone of seqs) this.#redacted.add(gone);
      this.#settleAll();
    });
    on('clear', ({ seq, to }) => {
      this.timeline.remove(seq, (of) => of <= to);
      this.#clearedTo = to;
      this.#settleAll();
    });
    on('reset', () => {
      this.#pass(Infinity);
      this.#passed = this.#clearedTo = 0;
      this.#redacted.clear();
      this.timeline.beginAnew('The log began anew: what is above is not stored any more.');
      this.timeline.setMore(room.more);
    });
    on('left', ({ error }) => this.timeline.notice(`You are not in this room any more: ${error.message}.`, 'fault'));
    on('error', ({ error }) => this.timeline.notice(`The server says: ${error.message}.`, 'fault'));
  }

  #message(message, history) {
    this.typists.gone(message.from.user);
    const isNew = this.#isNew(message, history);
    if (isNew && !this.#isLookedAt()) {
      if (this.unread === 0) this.timeline.markUnread();
      this.unread += 1;
    }
    const outgoing = message.own ? this.#outgoing.get(message.clientId) : undefined;
    if (outgoing && !outgoing.isPlaced) this.#place(outgoing, message);
    else this.timeline.add(message, history);
    if (this.#isLookedAt()) this.look();
    else this.#changed();
  }

  /** What comes as history is new if it came after the last visit. */
  #isNew(message, history) {
    if (message.own) return false;
    if (!history) return true;
    return this.read !== undefined && this.read.epoch === this.room.position.epoch && message.seq > this.read.seq;
  }

  async #older(before) {
    const { room } = this;
    const page = await room.history({ before, limit: HISTORY });
    return page.epoch === room.position.epoch && room === this.room ? page : null;
  }

  async #send(outgoing) {
    outgoing.sending();
    try {
      const room = await this.#entered;
      const sending = room.send(outgoing.body, { clientId: outgoing.clientId });
      outgoing.clientId = sending.clientId;
      this.#outgoing.set(sending.clientId, outgoing);
      const ack = await sending;
      outgoing.acknowledged(ack);
      this.#settle(outgoing);
    } catch (error) {
      this.#failed(outgoing, error);
    }
    this.#changed();
  }

  /** It has its ack. What a gap has passed over is in the log, too, but its event will not come. */
  #settle(outgoing) {
    const { seq } = outgoing.ack;
    if (!outgoing.isPlaced && (seq <= this.#clearedTo || this.#redacted.has(seq))) {
      // It was stored and removed while nobody was connected here.
      this.#outgoing.delete(outgoing.clientId);
      this.#discard(outgoing);
      return;
    }
    if (!outgoing.isPlaced && outgoing.ack.seq <= this.#passed) {
      this.#place(outgoing, { from: this.#self, own: true, ...outgoing.ack });
    }
    if (outgoing.isPlaced) this.#outgoing.delete(outgoing.clientId);
  }

  #place(outgoing, message) {
    outgoing.placed(message);
    this.timeline.place(outgoing.item);
    if (outgoing.ack) this.#outgoing.delete(outgoing.clientId);
  }

  /** Events up to this one will not come any more. */
  #pass(seq) {
    this.#passed = seq;
    this.#settleAll();
  }

  #settleAll() {
    for (const outgoing of [...this.#outgoing.values()]) if (outgoing.ack) this.#settle(outgoing);
  }

  #failed(outgoing, error) {
    if (this.#outgoing.get(outgoing.clientId) === outgoing) this.#outgoing.delete(outgoing.clientId);
    if (!outgoing.isPlaced) outgoing.failed(error);
  }

  #discard(outgoing) {
    outgoing.item.remove();
    this.#changed();
  }
}
