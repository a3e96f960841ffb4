// What the clients do that have to survive: several chats of one page or program, all talking in one room, all noting
// what they hear. Plain enough to run in Node and in a browser.

const ROOM = 'survivors';
/** Messages that each chat has under way. */
const WINDOW = 4;
/** Between two messages of one chat: the test is about what gets lost, not about speed. */
const PAUSE_MS = 5;

export class Talk {
  #chats = [];
  #acked = [];
  #waiting = 0;
  #isStopped = false;
  /** What should not happen, however often the server or the network fails. */
  #faults = [];
  #outages = 0;

  /** Connects so many chats to the room. They say nothing yet: everyone is to hear everything. */
  async begin(Uproar, url, count) {
    for (let i = 0; i < count; i += 1) {
      // Here no connection lives long enough to count as stable: a tenth of the pauses keeps the test short.
      const chat = new Uproar(url, { random: () => Math.random() / 10 });
      chat.addEventListener('state', ({ state }) => (this.#outages += state === 'connecting' ? 1 : 0));
      await chat.connect();
      const room = await chat.join(ROOM);
      const heard = [];
      this.#chats.push({ chat, room, heard });
      room.addEventListener('message', ({ message }) => heard.push(`${message.seq} ${message.clientId}`));
      for (const type of ['gap', 'reset', 'left', 'error']) {
        room.addEventListener(type, (event) => this.#faults.push(`${type} ${event.error?.message ?? ''}`));
      }
    }
  }

  /** Lets each of them talk. */
  start() {
    for (const { room } of this.#chats) for (let n = 0; n < WINDOW; n += 1) this.#talk(room);
    return true;
  }

  async #talk(room) {
    while (!this.#isStopped) {
      this.#waiting += 1;
      try {
        const { seq, clientId, stored } = await room.send({ said: this.#acked.length });
        this.#acked.push(`${seq} ${clientId}`);
        if (!stored) this.#faults.push('not stored');
      } catch (error) {
        this.#faults.push(`${error.code} ${error.message}`);
      }
      this.#waiting -= 1;
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
  }

  /** Says nothing new; what is under way still goes. */
  stop() {
    this.#isStopped = true;
    return true;
  }

  /** Where it is, in numbers. `open`: chats that are connected; `outages`: attempts to connect so far. */
  progress() {
    return {
      acked: this.#acked.length,
      waiting: this.#waiting,
      heard: this.#chats.map(({ heard }) => heard.length),
      open: this.#chats.filter(({ chat }) => chat.state === 'open').length,
      outages: this.#outages,
      faults: this.#faults,
    };
  }

  /** What was acknowledged, and what each chat heard, as `seq clientId`. */
  report() {
    return { acked: this.#acked, heard: this.#chats.map(({ heard }) => heard) };
  }
}
