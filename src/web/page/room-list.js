// The list of one's rooms: which one is shown, what is unread in the others, and the way into another.

import { roomFault } from './room-name.js';
import { element, isolated } from './text.js';

/** More need not be counted. */
const UNREAD_MAX = 99;

const $ = (id) => document.getElementById(id);

export class RoomList {
  #select;
  /** @type {Map<string, HTMLLIElement>} by name */
  #items = new Map();

  /** `select(name)` shows a room; `join(name)` enters another. */
  constructor({ select, join }) {
    this.#select = select;
    $('room').addEventListener('input', () => $('room').setCustomValidity(''));
    $('join').addEventListener('submit', (event) => {
      event.preventDefault();
      const name = $('room').value.trim().normalize('NFC');
      $('room').setCustomValidity(roomFault(name));
      if (!$('room').reportValidity() || !name) return;
      $('room').value = '';
      join(name);
    });
  }

  /** Shows these conversations, and which of them is looked at. Items stay, so that the focus does. */
  show(conversations, current) {
    const names = new Set(conversations.map(({ name }) => name));
    for (const [name, item] of this.#items) {
      if (names.has(name)) continue;
      item.remove();
      this.#items.delete(name);
    }
    for (const conversation of conversations) {
      const button = this.#item(conversation.name).firstElementChild;
      if (conversation === current) button.setAttribute('aria-current', 'page');
      else button.removeAttribute('aria-current');
      showUnread(button.querySelector('.badge'), conversation.unread);
    }
  }

  #item(name) {
    const known = this.#items.get(name);
    if (known) return known;
    const item = element('li');
    const button = element('button', 'room');
    button.type = 'button';
    button.append(isolated(name), element('span', 'badge'));
    button.addEventListener('click', () => this.#select(name));
    item.append(button);
    this.#items.set(name, item);
    $('rooms').append(item);
    return item;
  }
}

function showUnread(badge, unread) {
  const text = unread > UNREAD_MAX ? `${UNREAD_MAX}+` : String(unread);
  if (badge.dataset.unread === text) return;
  badge.dataset.unread = text;
  badge.hidden = unread === 0;
  badge.replaceChildren(...(unread === 0 ? [] : [text, element('span', 'unseen', ' unread')]));
}
