// A WebSocket server over real sockets, from Node's standard library alone: as much of RFC 6455 as the client's tests
// need. What it says is the test's matter.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TEXT = 0x1;
const CLOSE = 0x8;

/** Serves on a port of this machine, any free one by default. Each connection goes to `connected(peer)`. */
export async function serve(connected, port = 0) {
  const sockets = new Set();
  const server = createServer();
  server.on('upgrade', (request, socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    const { 'sec-websocket-key': key, 'sec-websocket-protocol': protocol } = request.headers;
    const accept = createHash('sha1').update(key + GUID).digest('base64');
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
    );
    connected(new Peer(socket));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    url: `ws://127.0.0.1:${server.address().port}/chat`,
    /** Stops, and cuts every connection without a word. */
    stop: async () => {
      for (const socket of sockets) socket.resetAndDestroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** One connection: frames that came are given to `received`. */
class Peer {
  received = () => {};
  #socket;
  #bytes = Buffer.alloc(0);

  constructor(socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      while (this.#read());
    });
  }

  /** Sends these frames with one write. */
  say(...frames) {
    this.#socket.write(Buffer.concat(frames.map((frame) => encoded(TEXT, Buffer.from(JSON.stringify(frame))))));
  }

  /** Begins the close handshake. */
  close(code) {
    this.#socket.write(encoded(CLOSE, Buffer.from([code >> 8, code & 0xff])));
  }

  /** Reads one whole frame, if there is one; whether there was. */
  #read() {
    const bytes = this.#bytes;
    if (bytes.length < 2) return false;
    let length = bytes[1] & 0x7f;
    let at = 2;
    if (length === 126) {
      if (bytes.length < 4) return false;
      length = bytes.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      if (bytes.length < 10) return false;
      length = Number(bytes.readBigUInt64BE(2));
      at = 10;
    }
    const end = at + 4 + length;
    if (bytes.length < end) return false;
    const mask = bytes.subarray(at, at + 4);
    const payload = Buffer.from(bytes.subarray(at + 4, end)).map((byte, i) => byte ^ mask[i % 4]);
    this.#bytes = bytes.subarray(end);
    if ((bytes[0] & 0x0f) === TEXT) this.received(JSON.parse(payload.toString()));
    if ((bytes[0] & 0x0f) === CLOSE) this.#socket.end(encoded(CLOSE, payload));
    return true;
  }
}

function encoded(opcode, payload) {
  const head = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...head]), payload]);
}
