// The relay page's own messages on their way out of the browser.

import { byteLength } from './page/text.js';

/** How often the socket is asked what it has passed on: browsers have no event for it. */
const SETTLE_MS = 50;
/** Messages that wait for a connection or are on their way. */
export const UNSENT_MAX = 100;

/** Own messages that have not left the browser, oldest first; each is told what becomes of it. */
export class Outbox {
  #entries = [];
  #socket = null;
  /** Bytes given to the present socket. */
  #given = 0;
  #timer = 0;

  /** Whether as many wait as may. */
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
