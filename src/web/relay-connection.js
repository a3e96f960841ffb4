// The relay page's connection: when to attempt, when to pause. What goes over it is not here.

const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 30_000;
/** A network that swallows packets would otherwise hold an attempt for minutes. */
const CONNECT_TIMEOUT_MS = 10_000;

/** One connection after another to the same address, with growing pauses while it cannot be reached. */
export class Connection {
  #url;
  #socket = null;
  #failures = 0;
  #timer = 0;
  #events;

  /** `events`: `state(name, seconds)`, `open(socket)`, `message(data)`, `lost(socket)`. */
  constructor(events) {
    this.#events = events;
  }

  /** Leaves where it was, without a `lost`, and connects to `url`. */
  connect(url) {
    this.#leave();
    this.#url = url;
    this.#failures = 0;
    this.#attempt();
  }

  /** Does not wait for the end of the pause; does nothing unless there is one. */
  hurry() {
    if (!this.#socket) this.#attempt();
  }

  #attempt() {
    clearTimeout(this.#timer);
    this.#events.state('connecting');
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#timer = setTimeout(() => socket.close(), CONNECT_TIMEOUT_MS);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      clearTimeout(this.#timer);
      this.#failures = 0;
      this.#events.state('open');
      this.#events.open(socket);
    };
    socket.onmessage = (event) => this.#events.message(event.data);
    socket.onclose = () => {
      this.#leave();
      this.#events.lost(socket);
      this.#pause();
    };
  }

  /** Half of each pause is by chance, so that a restarted server does not meet everyone in the same moment. */
  #pause() {
    const longest = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures);
    this.#failures += 1;
    this.#countDown(performance.now() + longest / 2 + (Math.random() * longest) / 2);
  }

  #countDown(end) {
    const left = end - performance.now();
    if (left <= 0) {
      this.#attempt();
      return;
    }
    this.#events.state('waiting', Math.ceil(left / 1_000));
    this.#timer = setTimeout(() => this.#countDown(end), Math.min(left, left % 1_000 || 1_000));
  }

  #leave() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }
}
