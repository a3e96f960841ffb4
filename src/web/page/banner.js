// What is said while there is no connection: why, and when the next attempt is.

const $ = (id) => document.getElementById(id);

export class Banner {
  #timer = 0;

  /** `retry` is called when somebody does not want to wait. */
  constructor(retry) {
    $('retry').addEventListener('click', () => {
      $('text').focus(); // The button is about to go.
      retry();
    });
  }

  /** The chat's state, as its event tells it. The seconds are left out of what is read out: they change all the time. */
  show({ state, retryAt, error }) {
    clearTimeout(this.#timer);
    const words = {
      open: '',
      connecting: 'Connecting…',
      waiting: 'Not connected. What you write is kept and sent later.',
      closed: `Disconnected: ${error?.message ?? 'the chat was closed'}.`,
    };
    $('banner').hidden = state === 'open';
    $('banner').dataset.state = state;
    if ($('state').textContent !== words[state]) $('state').textContent = words[state];
    $('retry').hidden = state !== 'waiting' && state !== 'closed';
    $('wait').textContent = '';
    if (state === 'waiting') this.#countDown(retryAt);
  }

  #countDown(retryAt) {
    const leftMs = Math.max(0, retryAt - Date.now());
    $('wait').textContent = `Next try in ${Math.ceil(leftMs / 1_000)} s`;
    if (leftMs > 0) this.#timer = setTimeout(() => this.#countDown(retryAt), leftMs % 1_000 || 1_000);
  }
}
