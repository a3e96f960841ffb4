// Who is in the room: how many, and on request their names.

import { clip, element } from './text.js';

const LISTED_MAX = 200;
const NAME_CHARS_MAX = 64;

const $ = (id) => document.getElementById(id);

export class People {
  #room = null;

  constructor() {
    $('people').addEventListener('toggle', () => this.#list());
    document.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !$('people').open) return;
      $('people').open = false;
      $('count').focus();
    });
    document.addEventListener('click', (event) => {
      if (!$('people').contains(event.target)) $('people').open = false;
    });
  }

  /** The people of this room, as they are now; `null`: of none. */
  show(room) {
    this.#room = room;
    const count = room?.count ?? null;
    $('people').hidden = count === null;
    if (count === null) return;
    const text = `${count.toLocaleString()} here`;
    if ($('count').textContent !== text) $('count').textContent = text;
    this.#list();
  }

  #list() {
    if (!$('people').open || !this.#room) return;
    const { members, count } = this.#room;
    const listed = [...(members?.values() ?? [])].slice(0, LISTED_MAX);
    const items = listed.map(({ user, name }) => {
      const item = element('li', '', clip(name, NAME_CHARS_MAX));
      item.dir = 'auto';
      item.title = user;
      return item;
    });
    const more = count - listed.length;
    if (more > 0) items.push(element('li', 'quiet', `${items.length > 0 ? 'and ' : ''}${more.toLocaleString()} ${items.length > 0 ? 'others' : 'people'}`));
    $('members').replaceChildren(...items);
  }
}
