// One message, as an item of a list.

import { bodyElement } from './body.js';
import { clip, element, hue } from './text.js';

const NAME_CHARS_MAX = 64;
/** After this long the same sender is named again. */
const GROUP_MS = 5 * 60_000;
const CLOCK = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' });
const DAY_AND_CLOCK = new Intl.DateTimeFormat([], {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});

/** What an item was made of, for those that stand next to it. */
const facts = new WeakMap();

/** The item of a message `{from: {user, name}, own, body, time}`; of an event, one that is not seen and has its place. */
export function messageItem(message) {
  if (message.kind === 'redact' || message.kind === 'clear') return placeholder(message.seq);
  const { from, own, body, time } = message;
  const item = element('li', own ? 'own' : `theirs ${hue(from.user)}`);
  const name = element('span', 'name', own ? 'You' : clip(from.name.trim(), NAME_CHARS_MAX) || 'someone');
  name.dir = 'auto';
  name.title = own ? '' : from.user;
  const foot = element('span', 'foot');
  foot.append(timeElement(new Date(time)));
  item.append(name, bodyElement(body), foot);
  facts.set(item, message);
  return item;
}

/** An item that is not seen, of something at that position that is nothing to show. */
export function placeholder(seq) {
  const item = element('li', 'event');
  item.hidden = true;
  facts.set(item, { seq, from: { user: '', name: '' } });
  return item;
}

/** The message of an item; of a mark, nothing. */
export function messageOf(item) {
  return facts.get(item);
}

/** The server has placed a message of one's own: what it says and when is the truth from now on. */
export function place(item, message) {
  const { body } = facts.get(item);
  if (JSON.stringify(body) !== JSON.stringify(message.body)) {
    // The application has put another one in its place.
    item.querySelector('.foot').previousElementSibling.replaceWith(bodyElement(message.body));
  }
  facts.set(item, message);
  item.querySelector('time').replaceWith(timeElement(new Date(message.time)));
}

/** Names the sender unless the item above is of the same one, said not long before. */
export function group(item) {
  const message = item && facts.get(item);
  if (!message) return;
  const above = facts.get(item.previousElementSibling);
  const follows = above?.from.user === message.from.user && message.time - above.time < GROUP_MS;
  item.classList.toggle('follows', follows);
}

function timeElement(date) {
  const isToday = date.toDateString() === new Date().toDateString();
  const node = element('time', '', (isToday ? CLOCK : DAY_AND_CLOCK).format(date));
  node.dateTime = date.toISOString();
  node.title = date.toLocaleString();
  return node;
}
