// What the relay page shows of what was said: a list with an end, text only.

import { clip, element, hue } from './page/text.js';

const SHOWN_MAX = 1_000;
/** A server may allow messages that are too long to read and too slow to lay out. */
const SHOWN_CHARS_MAX = 65_536;
const NAME_CHARS_MAX = 40;
/** After this long the same sender is named again. */
const GROUP_MS = 5 * 60_000;
const CLOCK = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' });

const $ = (id) => document.getElementById(id);

/**
 * What was said, the newest at the end. The style sheet lets the view scroll from its end: at 0 the browser keeps the
 * newest in view, further up it keeps what is being read.
 */
export class Log {
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
