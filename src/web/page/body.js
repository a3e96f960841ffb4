// What a message says. Clients send any JSON they like: this page's say `{text}`, and everything else is shown as it is.

import { linked } from './links.js';
import { clip, element } from './text.js';

/** More would be too long to read and too slow to lay out. */
const SHOWN_CHARS_MAX = 20_000;

/** A message's body as an element that holds text and links, and nothing else. */
export function bodyElement(body) {
  const words = wordsOf(body);
  const text = words ?? JSON.stringify(body, null, 2) ?? '';
  if (!/[^\s\p{C}\u115f\u1160\u2800\u3164\uffa0]/u.test(text)) return element('p', 'text blank', '(nothing to see)');
  const node = element('p', words === null ? 'text data' : 'text');
  node.dir = 'auto';
  node.append(linked(clip(text, SHOWN_CHARS_MAX)));
  return node;
}

function wordsOf(body) {
  if (typeof body === 'string') return body;
  return typeof body?.text === 'string' ? body.text : null;
}
