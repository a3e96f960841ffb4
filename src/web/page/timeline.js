// What was said in one room, the newest at the end: text, marks between, older pages at the beginning when they are
// wanted. The style sheet lets the view scroll from its end: at 0 the browser keeps the newest in view, further up it
// keeps what is being read, also when older ones come above it.

import { group, messageItem, messageOf, placeholder } from './message.js';
import { element } from './text.js';

/** Items that are kept while the newest are looked at. */
const SHOWN_MAX = 1_000;
/** Items that are kept for somebody who reads back. */
const READ_MAX = 10_000;
/** How far from the beginning of what is there older messages are fetched. */
const AHEAD = '400px';

export class Timeline {
  view = element('div', 'timeline');
  #flow = element('div', 'flow');
  #list = element('ol', 'messages');
  #pending = element('ol', 'messages pending');
  #newest = element('button', 'newest', 'New messages');
  /** Stands where older messages go: at the beginning, or behind the mark of a new epoch. */
  #older = element('li', 'older');
  #button = element('button', '', 'Older messages');
  #unread = null;
  #fetch;
  #isFetching = false;
  /** How often something was removed: what was fetched before that may have it still. */
  #removals = 0;
  #observer;

  /** `fetch(seq)` brings what was said before: `{messages, more}`, or nothing where that is of no use any more. */
  constructor(name, fetch) {
    this.#fetch = fetch;
    const log = element('div', 'log');
    log.setAttribute('role', 'log');
    log.setAttribute('aria-live', 'polite');
    log.setAttribute('aria-relevant', 'additions');
    log.setAttribute('aria-label', `Messages in ${name}`);
    log.tabIndex = 0;
    this.log = log;
    this.#button.type = this.#newest.type = 'button';
    this.#older.append(this.#button);
    this.#older.hidden = this.#newest.hidden = true;
    this.#list.append(this.#older);
    this.#flow.append(this.#list, this.#pending);
    log.append(this.#flow);
    this.view.append(log, this.#newest);
    this.#listen();
  }

  #listen() {
    this.log.addEventListener('scroll', () => {
      if (this.isAtEnd) this.#newest.hidden = true;
    });
    this.#newest.addEventListener('click', () => {
      this.log.focus();
      this.toEnd();
    });
    this.#button.addEventListener('click', () => this.#readBack());
    this.#observer = new IntersectionObserver(
      (entries) => entries.at(-1).isIntersecting && this.#readBack(),
      { root: this.log, rootMargin: AHEAD },
    );
    this.#observer.observe(this.#older);
  }

  get isAtEnd() {
    return this.log.scrollTop > -1;
  }

  /** How many of one's own have no place yet. */
  get pendingCount() {
    return this.#pending.childElementCount;
  }

  toEnd() {
    this.log.scrollTop = 0;
  }

  /** Whether the server has older messages than those here. */
  setMore(more) {
    this.#older.hidden = !more;
  }

  /** The next message. What belongs to history is not read out by screen readers. */
  add(message, history) {
    if (history) this.#hush();
    this.#append(messageItem(message));
    if (!history) this.#newest.hidden = this.isAtEnd;
  }

  /** One's own message, which has no place yet. */
  addPending(item) {
    this.#pending.append(item);
    group(item);
    this.toEnd();
  }

  /** One's own message has its place now: behind all others that have one. */
  place(item) {
    this.#append(item);
    group(this.#pending.firstElementChild);
  }

  notice(text, kind = '') {
    this.#append(element('li', `notice ${kind}`.trim(), text));
  }

  /** What `isGone` says of a position is not to be seen any more; the word of that stands at `seq`. */
  remove(seq, isGone) {
    this.#removals += 1;
    for (const item of [...this.#list.children]) {
      const at = messageOf(item)?.seq;
      if (at === undefined || !isGone(at)) continue;
      const next = item.nextElementSibling;
      item.remove();
      group(next);
    }
    this.#append(placeholder(seq));
  }

  /** The log began anew. What is above is not in it: older messages are read behind this mark. */
  beginAnew(text) {
    this.notice(text, 'reset');
    this.#list.append(this.#older);
  }

  /** What comes from here on is unread. */
  markUnread() {
    this.forgetUnread();
    this.#unread = element('li', 'notice unread', 'New');
    this.#list.append(this.#unread);
  }

  forgetUnread() {
    const next = this.#unread?.nextElementSibling;
    this.#unread?.remove();
    this.#unread = null;
    group(next);
  }

  /** To what is unread, else to the newest. */
  show() {
    this.toEnd();
    this.#unread?.scrollIntoView({ block: 'center' });
    this.#newest.hidden = this.isAtEnd;
  }

  /** Everything goes but what has no place yet. */
  clear() {
    this.#unread = null;
    this.#older.hidden = true;
    this.#list.replaceChildren(this.#older);
  }

  /** What is added in this turn is not read out. */
  #hush() {
    this.log.setAttribute('aria-busy', 'true');
    setTimeout(() => this.log.removeAttribute('aria-busy'), 0);
  }

  #append(item) {
    this.#list.append(item);
    group(item);
    const max = this.isAtEnd ? SHOWN_MAX : READ_MAX;
    while (this.#list.childElementCount - 1 > max) this.#dropOldest();
  }

  #dropOldest() {
    const first = this.#list.firstElementChild;
    const oldest = first === this.#older ? first.nextElementSibling : first;
    // It can be read again.
    if (first === this.#older && messageOf(oldest)) this.setMore(true);
    if (oldest === this.#unread) this.#unread = null;
    oldest.remove();
  }

  get #oldestSeq() {
    let item = this.#older.nextElementSibling;
    while (item && messageOf(item)?.seq === undefined) item = item.nextElementSibling;
    return item ? messageOf(item).seq : null;
  }

  async #readBack() {
    const seq = this.#oldestSeq;
    if (this.#isFetching || this.#older.hidden || seq === null) return;
    if (this.#list.childElementCount > READ_MAX) return;
    this.#isFetching = true;
    this.#button.disabled = true;
    this.#button.textContent = 'Loading older messages';
    const removals = this.#removals;
    const page = await this.#fetch(seq).catch(() => null);
    this.#isFetching = false;
    this.#button.disabled = false;
    this.#button.textContent = page ? 'Older messages' : 'Older messages could not be loaded. Try again';
    const isFresh = this.#oldestSeq === seq && this.#removals === removals;
    if (page && isFresh) this.#prepend(page);
    if (!page) return;
    // The observer tells of changes only: it may still be in sight.
    this.#observer.unobserve(this.#older);
    this.#observer.observe(this.#older);
  }

  #prepend({ messages, more }) {
    this.#hush();
    const next = this.#older.nextElementSibling;
    const items = messages.map(messageItem);
    this.#older.after(...items);
    for (const item of [...items, next]) group(item);
    this.setMore(more);
  }
}
