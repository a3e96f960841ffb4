/**
 * The client of Uproar's chat. What each part does is said in `uproar.js`; here are its types.
 *
 * Times are milliseconds since 1970 by the server's clock. A `seq` rises within a conversation, with holes.
 */

/** Anything that JSON can hold. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What may be given to `new Uproar`. */
export interface UproarOptions {
  /** The display name, 1 to 64 characters; by default one that the server makes up. */
  name?: string;
  /** The guest token of an earlier connection, to be that guest again. Goes before the one in `storage`. */
  guest?: string;
  /**
   * Who one is, for servers that authenticate. A function is asked at each connection, and again when the token that it
   * gave is about to expire.
   */
  token?: string | (() => string | Promise<string>);
  /** Keeps the guest token from visit to visit: `localStorage`, or anything like it. */
  storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
  /** The constructor of connections, where there is no global one (Node 20). */
  WebSocket?: unknown;
  /** Requests, messages above all, that may wait for their answers; more are refused with `queue_full`. 1,000. */
  queueMax?: number;
  /** Numbers from 0 up to 1, for the pauses between attempts. `Math.random`. */
  random?: () => number;
}

/** `waiting`: for the next attempt. `closed`: until `connect` is called. */
export type ChatState = 'connecting' | 'open' | 'waiting' | 'closed';

/** A user as others see it. The name is only a name. */
export interface User {
  readonly user: string;
  readonly name: string;
}

/** A stored message. It has exactly one of `room` and `with`. */
export interface Message {
  readonly seq: number;
  /** The `seq` of the message before it in this conversation. */
  readonly prev: number;
  readonly room?: string;
  /** The other user of a direct conversation. */
  readonly with?: string;
  readonly from: User;
  /** The id under which it was sent: that of `Sending` where it is one's own. */
  readonly clientId: string;
  readonly time: number;
  /** Who said what is `text`; only `history` brings others, which tell what was removed, as the events do. */
  readonly kind: 'text' | 'redact' | 'clear';
  readonly body: Json;
  /** It was sent by this user, here or elsewhere. */
  readonly own: boolean;
}

/** The server has a message. */
export interface Ack {
  readonly seq: number;
  readonly time: number;
  readonly clientId: string;
  /** It survives the server's end; `false` in rooms that are kept in memory. */
  readonly stored: boolean;
}

/** A message on its way. */
export interface Sending extends Promise<Ack> {
  /** The id of the message to come: its `clientId`. */
  readonly clientId: string;
}

/** Where one is in a conversation's log. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

/** A page of what was said, oldest first. */
export interface History {
  readonly epoch: string;
  readonly messages: Message[];
  /** There are more in the direction that was asked for. */
  readonly more: boolean;
}

/** One's rooms, and a page of one's direct conversations by the other's id; `seq` is that of the last message. */
export interface Rooms {
  readonly rooms: { readonly room: string; readonly seq: number }[];
  readonly conversations: { readonly with: string; readonly seq: number }[];
  /** There are more conversations after the last one. */
  readonly more: boolean;
}

/** The server's bounds. */
export interface Limits {
  readonly messageBytesMax: number;
  readonly historyMessagesMax: number;
  readonly roomsPerSessionMax: number;
}

/**
 * What went wrong. `code` is one of the protocol's error codes (`docs/protocol.md`) or one of these:
 *
 * - `queue_full`: too much waits already; send again when some of it was acknowledged;
 * - `uncertain`: the connection was lost on the way, and it cannot be known whether the message was stored;
 * - `left`: the room was left before the message was sent;
 * - `closed`: the chat was closed; `bye`, `forbidden`, `replaced`: by the server, for good;
 * - `bad_url`: there can be no connection to this address; `token`: the function `token` failed.
 */
export class UproarError extends Error {
  constructor(code: string, message: string, retryAfterMs?: number);
  readonly code: string;
  readonly retryAfterMs?: number;
}

/** Every event of this module is of this class, with the properties below. */
export class UproarEvent extends Event {
  constructor(type: string, fields: object);
}

export interface StateEvent extends UproarEvent {
  readonly state: ChatState;
  /** With `waiting`: when the next attempt is, by this machine's clock, and in how many milliseconds. */
  readonly retryAt?: number;
  readonly retryInMs?: number;
  /** With `closed`: why. */
  readonly error?: UproarError;
}

export interface DirectEvent extends UproarEvent {
  readonly message: Message;
}

export interface ErrorEvent extends UproarEvent {
  readonly error: UproarError;
}

export interface MessageEvent extends UproarEvent {
  readonly message: Message;
  /** It came with the entry into the room, or with a new epoch, as what was said before. */
  readonly history: boolean;
}

export interface SignalEvent extends UproarEvent {
  readonly from: User;
  readonly body: Json;
}

/** `members` and `count` of the room have changed. */
export interface PresenceEvent extends UproarEvent {
  /** `members`: a whole new list. */
  readonly change: 'join' | 'leave' | 'count' | 'members';
  /** With `join` and `leave`: who. */
  readonly user?: string;
  readonly name?: string;
  readonly count: number;
}

/** The messages after `from` up to and with `to` are gone. */
export interface GapEvent extends UproarEvent {
  readonly from: number;
  readonly to: number;
}

/** These messages were removed: they are not to be shown any more. */
export interface RedactEvent extends UproarEvent {
  /** The position of the event itself. */
  readonly seq: number;
  readonly seqs: number[];
}

/** All messages up to and with `to` were removed: they are not to be shown any more. */
export interface ClearEvent extends UproarEvent {
  /** The position of the event itself. */
  readonly seq: number;
  readonly to: number;
}

/** The log began anew: what was shown is not in it, and what is in it comes as history now. */
export interface ResetEvent extends UproarEvent {
  readonly epoch: string;
}

export interface LeftEvent extends UproarEvent {
  /** `left` where the page left; else why the server does not let it in any more, `forbidden` for one. */
  readonly error: UproarError;
}

/** The events of `Uproar`. */
export interface ChatEvents {
  state: StateEvent;
  /** A message of a direct conversation that is not open: open it with `direct`, which brings it again. */
  direct: DirectEvent;
  error: ErrorEvent;
}

/** The events of `Room`. */
export interface RoomEvents {
  message: MessageEvent;
  signal: SignalEvent;
  presence: PresenceEvent;
  gap: GapEvent;
  redact: RedactEvent;
  clear: ClearEvent;
  reset: ResetEvent;
  left: LeftEvent;
  error: ErrorEvent;
}

type Listener<E> = ((event: E) => void) | { handleEvent(event: E): void };

/** One user's chat with one server. */
export class Uproar extends EventTarget {
  constructor(url?: string | URL, options?: UproarOptions);
  readonly state: ChatState;
  readonly url: string;
  /** This and the next two are empty before the first welcome. */
  readonly user: string;
  readonly name: string;
  readonly session: string;
  readonly guest: string | undefined;
  readonly limits: Limits | null;
  readonly conversations: readonly { readonly with: string; readonly seq: number }[];
  readonly queued: number;
  readonly now: number;
  connect(): Promise<Uproar>;
  retry(): void;
  close(): void;
  join(name: string, options?: { history?: number }): Promise<Room>;
  direct(user: string, options?: { history?: number }): Promise<Room>;
  rooms(page?: { after?: string; limit?: number }): Promise<Rooms>;
  addEventListener<T extends keyof ChatEvents>(
    type: T,
    listener: Listener<ChatEvents[T]> | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<T extends keyof ChatEvents>(
    type: T,
    listener: Listener<ChatEvents[T]> | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** One conversation, made by `join` and `direct`. */
export class Room extends EventTarget {
  private constructor();
  readonly name: string | undefined;
  readonly with: string | undefined;
  readonly state: 'joining' | 'joined' | 'left';
  readonly position: Position | null;
  readonly more: boolean;
  readonly members: ReadonlyMap<string, User> | null;
  readonly count: number | null;
  /** Throws a `TypeError` where the body is nothing that JSON can hold. */
  send(body: unknown, options?: { clientId?: string }): Sending;
  signal(body: unknown): boolean;
  history(page?: { before?: number; after?: number; limit?: number }): Promise<History>;
  leave(): Promise<void>;
  addEventListener<T extends keyof RoomEvents>(
    type: T,
    listener: Listener<RoomEvents[T]> | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<T extends keyof RoomEvents>(
    type: T,
    listener: Listener<RoomEvents[T]> | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
