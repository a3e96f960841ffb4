// The rules for names of rooms, as the server has them, so that a page can say at once what is wrong.

import { byteLength } from './text.js';

const ROOM_BYTES_MAX = 200;

/** Why the server would refuse this room, or nothing. */
export function roomFault(room) {
  if (byteLength(room) > ROOM_BYTES_MAX) return `A room's name has at most ${ROOM_BYTES_MAX} bytes.`;
  if (room === '.' || room === '..') return 'A room cannot have this name.';
  if (/[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/u.test(room)) return "A room's name has no control characters.";
  return '';
}

/** The room that an address names behind its `#`; empty where it names none. */
export function roomOfHash() {
  const raw = location.hash.slice(1);
  try {
    return decodeURIComponent(raw).normalize('NFC');
  } catch {
    return raw;
  }
}
