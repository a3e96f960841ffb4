// One message of one's own, from being said to being stored: what is shown of that, and what can be done when it fails.

import { messageItem, place } from './message.js';
import { element } from './text.js';

/** After these the id is of no use: it is another message's, or too old. */
const NEW_ID_AFTER = new Set(['id_conflict', 'id_expired']);

export class Outgoing {
  /** The id by which its event will be known. */
  clientId;
  item;
  body;
  /** The server's, once there is one. */
  ack = null;
  /** Its event has come. */
  isPlaced = false;
  #foot;
  #delivery = element('span', 'delivery');
  #actions = null;
  #retry;
  #discard;

  /** `from`: oneself. `retry` and `discard` are called when a failed one is to be sent again or to go. */
  constructor(body, from, { retry, discard }) {
    this.body = body;
    this.#retry = retry;
    this.#discard = discard;
    this.item = messageItem({ from, own: true, body, time: Date.now() });
    this.#foot = this.item.querySelector('.foot');
    this.#foot.append(this.#delivery);
    this.sending();
  }

  sending() {
    this.#show('sending');
  }

  /** The server has it, for good or in memory. */
  acknowledged(ack) {
    this.ack = ack;
    this.#show(ack.stored ? 'stored' : 'sent');
  }

  /** The message itself has come: it has its place. Until the ack nobody knows more than that it was sent. */
  placed(message) {
    this.isPlaced = true;
    place(this.item, message);
    if (!this.ack) this.#show('sent');
  }

  failed(error) {
    if (NEW_ID_AFTER.has(error.code)) this.clientId = undefined;
    this.#show('failed');
    this.#delivery.textContent = `failed: ${error.message}`;
    this.#actions = element('span', 'actions');
    this.#actions.append(this.#button('Retry', this.#retry), this.#button('Discard', this.#discard));
    this.#foot.append(this.#actions);
  }

  #show(delivery) {
    this.item.dataset.delivery = delivery;
    this.#delivery.textContent = delivery;
    this.#actions?.remove();
    this.#actions = null;
  }

  #button(text, action) {
    const button = element('button', '', text);
    button.type = 'button';
    button.addEventListener('click', () => action(this));
    return button;
  }
}
