// Who one is in this browser, from visit to visit: the name, the guest's token, the rooms and how far each was read.

import { stored } from './storage.js';

const ROOMS_MAX = 100;

export class Profile {
  #prefix;

  /** `as`: one of several that share the browser, such as two tabs that talk with each other. */
  constructor(as) {
    this.#prefix = as ? `uproar.as.${as.slice(0, 64)}.` : 'uproar.';
  }

  get name() {
    return this.#get('name') ?? '';
  }

  set name(name) {
    this.#set('name', name);
  }

  /** The rooms at the last visit, `{name, read?: {epoch, seq}}`. What else may be in the storage is passed over. */
  get rooms() {
    let rooms;
    try {
      rooms = JSON.parse(this.#get('rooms') ?? '[]');
    } catch {
      rooms = [];
    }
    if (!Array.isArray(rooms)) return [];
    const sound = rooms.filter((room) => typeof room?.name === 'string').slice(0, ROOMS_MAX);
    return sound.map(({ name, read }) => ({ name, read: Number.isInteger(read?.seq) ? read : undefined }));
  }

  set rooms(rooms) {
    this.#set('rooms', JSON.stringify(rooms.slice(0, ROOMS_MAX)));
  }

  /** For the client's guest token. */
  get storage() {
    return {
      getItem: (key) => this.#get(key),
      setItem: (key, value) => this.#set(key, value),
      removeItem: (key) => stored((storage) => storage.removeItem(this.#prefix + key)),
    };
  }

  #get(key) {
    return stored((storage) => storage.getItem(this.#prefix + key));
  }

  #set(key, value) {
    stored((storage) => storage.setItem(this.#prefix + key, value));
  }
}
