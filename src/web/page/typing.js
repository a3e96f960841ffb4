// Who is typing: telling the others without flooding them, and believing what they tell only for a while.

import { clip, isolated } from './text.js';

/** How often the others are told that one is still typing. */
const TELL_MS = 3_000;
/** How long a word of it holds: somewhat longer, so that it does not flicker. */
const HOLD_MS = 6_000;
/** Anybody may signal, as anybody they like. */
const TYPISTS_MAX = 50;
const NAMED_MAX = 2;
const NAME_CHARS_MAX = 40;

/** Tells a room that one is typing, at most once in a while. */
export class TypingSignal {
  #toldAt = -Infinity;

  typed(room) {
    const now = performance.now();
    if (now - this.#toldAt < TELL_MS) return;
    if (room.signal({ typing: true })) this.#toldAt = now;
  }

  /** What was typed is gone: deleted, or meant for another room. */
  stopped(room) {
    if (this.#toldAt > -Infinity) room?.signal({ typing: false });
    this.sent();
  }

  /** It was sent: the message itself tells. */
  sent() {
    this.#toldAt = -Infinity;
  }
}

/** Those who type in one room. */
export class Typists {
  /** @type {Map<string, {name: string, timer: number}>} by user */
  #typists = new Map();
  #changed;

  constructor(changed) {
    this.#changed = changed;
  }

  /** A signal came. What is not about typing is not for this page. */
  heard({ user, name }, body) {
    if (body?.typing === true) this.#begin(user, name);
    else if (body?.typing === false) this.gone(user);
  }

  /** Said what there was to say, or left. */
  gone(user) {
    const typist = this.#typists.get(user);
    if (!typist) return;
    clearTimeout(typist.timer);
    this.#typists.delete(user);
    this.#changed();
  }

  clear() {
    for (const user of [...this.#typists.keys()]) this.gone(user);
  }

  /** Who types, as a sentence, or nothing. */
  sentence() {
    const names = [...this.#typists.values()].slice(0, NAMED_MAX).map(({ name }) => isolated(clip(name, NAME_CHARS_MAX)));
    const count = this.#typists.size;
    if (count === 0) return [];
    if (count === 1) return [names[0], ' is typing'];
    return count === 2 ? [names[0], ' and ', names[1], ' are typing'] : ['Several people are typing'];
  }

  #begin(user, name) {
    const known = this.#typists.get(user);
    if (!known && this.#typists.size >= TYPISTS_MAX) return;
    clearTimeout(known?.timer);
    this.#typists.set(user, { name, timer: setTimeout(() => this.gone(user), HOLD_MS) });
    if (known?.name !== name) this.#changed();
  }
}
