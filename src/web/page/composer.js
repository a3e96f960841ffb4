// The field that a message is written in.

import { byteLength } from './text.js';

/** Of one body as it goes over the wire, well within the server's own default limit of 64 KiB for the message. */
const BODY_BYTES_MAX = 60 * 1024;
const HINT = 'Enter sends, Shift+Enter starts a new line.';

const $ = (id) => document.getElementById(id);

export class Composer {
  #say;
  #typed;

  /** `say(body)` answers why it cannot be said, or nothing; `typed(isEmpty)` is called at each change. */
  constructor({ say, typed }) {
    this.#say = say;
    this.#typed = typed;
    $('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
      $('text').focus();
    });
    $('text').addEventListener('input', () => {
      this.#check();
      this.#typed($('text').value === '');
    });
    $('text').addEventListener('keydown', (event) => {
      // While an input method composes, Enter picks a candidate.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
  }

  focus() {
    $('text').focus();
  }

  #submit() {
    const text = $('text').value;
    if (!text.trim() || !this.#check()) return;
    const fault = this.#say({ text });
    if (fault) {
      hint(fault);
      return;
    }
    $('text').value = '';
    this.#check();
  }

  /** Says how to send, or why the text as it stands cannot be sent; answers whether it can. */
  #check() {
    const over = byteLength(JSON.stringify({ text: $('text').value })) - BODY_BYTES_MAX;
    $('text').setAttribute('aria-invalid', String(over > 0));
    hint(over > 0 ? `Too long by ${over.toLocaleString()} bytes.` : HINT);
    return over <= 0;
  }
}

/** Set only when it changes, or a screen reader says it again at every key. */
function hint(text) {
  if ($('hint').textContent !== text) $('hint').textContent = text;
}
