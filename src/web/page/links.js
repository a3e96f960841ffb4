// Addresses in a text, as links that show where they lead.

import { element } from './text.js';

/** Where an address may stand. Whether it is one, `URL` decides. */
const CANDIDATE = /\bhttps?:\/\/[^\s<>"'`\\]+/giu;
/** Punctuation that belongs to the sentence. */
const TRAILING = '.,:;!?)]}*_~';
/** A text of nothing but links would be slow to lay out. */
const LINKS_MAX = 100;

/** The text, with its links as elements. */
export function linked(text) {
  const nodes = document.createDocumentFragment();
  let end = 0;
  let links = 0;
  for (const { 0: candidate, index } of text.matchAll(CANDIDATE)) {
    const written = withoutTrailing(candidate);
    const address = addressOf(written);
    if (!address) continue;
    nodes.append(text.slice(end, index), link(written, address));
    end = index + written.length;
    links += 1;
    if (links === LINKS_MAX) break;
  }
  nodes.append(text.slice(end));
  return nodes;
}

/** Step by step from the end: a pattern would try each of a thousand dots as the first of the last ones. */
function withoutTrailing(candidate) {
  let end = candidate.length;
  while (end > 0 && TRAILING.includes(candidate[end - 1])) end -= 1;
  return candidate.slice(0, end);
}

/** Where it leads, or nothing if that is not what the reader sees: invisible characters, other hosts, passwords. */
function addressOf(written) {
  if (/\p{C}/u.test(written) || !URL.canParse(written)) return null;
  const address = new URL(written);
  const isWeb = address.protocol === 'http:' || address.protocol === 'https:';
  const isOpen = address.username === '' && address.password === '';
  return isWeb && isOpen && written.toLowerCase().split('/')[2].startsWith(address.host) ? address.href : null;
}

function link(written, address) {
  const node = element('a', '', written);
  node.href = address;
  node.target = '_blank';
  node.rel = 'noopener noreferrer';
  return node;
}
