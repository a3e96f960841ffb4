// Text as it gets into the page: always as text, never as markup, and never without end.

/** The only way text gets into the page. */
export function element(tag, className = '', text = '') {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  return node;
}

/** Text whose direction stays its own affair, such as somebody's name in a sentence. */
export function isolated(text) {
  return element('bdi', '', text);
}

/** What fits into `max` UTF-16 units, with a mark where there was more; a surrogate pair is not torn. */
export function clip(text, max) {
  if (text.length <= max) return text;
  const cut = text.slice(0, max);
  return `${/[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}

export function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

/** The same name has the same colour in every tab. */
export function hue(name) {
  let sum = 0;
  for (const char of name) sum = (sum * 31 + char.codePointAt(0)) % 9_973;
  return `hue-${sum % 6}`;
}
