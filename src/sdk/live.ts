/**
 * What a node tells as it happens, for browsers and Node: one WebSocket for up to 20 subscriptions, opened again when it
 * is lost. Events of final blocks go on exactly after the last one received: none is missed, none comes twice.
 *
 * What is told is the node's word; `LightClient` proves what matters.
 */
import type { ErrorCode } from '../errors.ts';
import { NodeError } from '../errors.ts';
import { checkedUrl, problemError } from './client.ts';
import type { LiveTopics, PendingEvent, SubscribeResponse, TopicName, TransactionsSnapshot } from './live-types.ts';

/** As many as a node allows on one connection. */
export const MAX_LIVE_SUBSCRIPTIONS = 20;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** Without a word from the node for so long it is asked for one, and given so long to answer. */
const ASK_AFTER_MS = 30_000;
const ANSWER_WITHIN_MS = 10_000;
const CONNECT_WITHIN_MS = 10_000;
const SUBPROTOCOL = 'aitbc.v1';

/**
 * `idle`: nothing is subscribed to, so there is no connection. `waiting`: it was lost or refused, and is tried again after
 * a pause.
 */
export type LiveState = 'idle' | 'connecting' | 'open' | 'waiting' | 'closed';

export interface LiveOptions {
  /** e.g. http://127.0.0.1:8006 */
  readonly url: string;
  /** For nodes that ask for one. It travels as a subprotocol, since pages can set no header here. */
  readonly apiKey?: string;
  /** Which of the node's chains is meant; its default one when absent. */
  readonly chainId?: string;
  readonly onState?: (state: LiveState) => void;
  /** The pauses before a new connection double from the first to the longest, each shortened at random by up to half. */
  readonly waits?: { readonly firstMs: number; readonly longestMs: number };
}

type Family<T extends TopicName> = T extends keyof LiveTopics ? T : 'account';

export interface Subscriber<T extends TopicName> {
  /** First height told; the one after the head when absent. Not for `consensus`, `peers` and `jobs`. */
  readonly fromHeight?: number;
  /** What was so at the beginning. For `consensus`, `peers` and `jobs` also after each reconnection: it replaces what was told. */
  readonly onSnapshot?: (snapshot: LiveTopics[Family<T>]['snapshot'], chainId: string) => void;
  readonly onEvent: (event: LiveTopics[Family<T>]['event'], at: EventPlace) => void;
  /** It is over and does not come back, e.g. PRUNED: the node keeps no longer what was missed. */
  readonly onError?: (error: NodeError) => void;
}

export interface EventPlace {
  readonly chainId: string;
  /** Of the block; null for what has none. */
  readonly height: number | null;
}

export interface Live {
  readonly state: LiveState;
  /**
   * Connects when it is the first.
   *
   * @returns a function that ends it
   * @throws NodeError RATE_LIMITED beyond 20; CONFLICT after `close`
   */
  subscribe<T extends TopicName>(topic: T, subscriber: Subscriber<T>): () => void;
  close(): void;
}

/** @throws NodeError INVALID_PARAMS for a URL that is none */
export function connectLive(options: LiveOptions): Live {
  return new LiveConnection(options);
}

interface Entry {
  readonly topic: TopicName;
  readonly subscriber: Subscriber<TopicName>;
  /** Height of the next event; null before the first answer, and for what has no heights. */
  next: number | null;
  genesisHash: string | null;
  /** Of the node, while it runs. */
  id: string | null;
  /** Of the last message. */
  seq: number;
  /** Refusals in a row, and the pause after the last. */
  refusals: number;
  retry: ReturnType<typeof setTimeout> | null;
}

/** Another try may succeed: the chain is starting, the node is full. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'CHAIN_STOPPED',
  'RATE_LIMITED',
  'SYNCING',
  'NO_QUORUM',
  'INTERNAL',
  'STORAGE',
]);

/** A key travels as one, since pages can set no header on a WebSocket. */
export function subprotocols(apiKey: string | undefined): string[] {
  return apiKey === undefined ? [SUBPROTOCOL] : [SUBPROTOCOL, `aitbc.key.${apiKey}`];
}

class LiveConnection implements Live {
  readonly #options: LiveOptions;
  readonly #url: string;
  readonly #entries = new Set<Entry>();
  readonly #asked = new Map<number, Entry>();
  readonly #running = new Map<string, Entry>();
  #socket: WebSocket | null = null;
  #state: LiveState = 'idle';
  #failures = 0;
  #requests = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(options: LiveOptions) {
    this.#options = options;
    this.#url = `${checkedUrl(options.url).replace(/^http/, 'ws')}/ws`;
  }

  get state(): LiveState {
    return this.#state;
  }

  subscribe<T extends TopicName>(topic: T, subscriber: Subscriber<T>): () => void {
    if (this.#state === 'closed') throw new NodeError('CONFLICT', 'this connection was closed', { data: { topic } });
    if (this.#entries.size >= MAX_LIVE_SUBSCRIPTIONS) {
      throw new NodeError('RATE_LIMITED', 'one connection has no room for more subscriptions', {
        data: { limit: MAX_LIVE_SUBSCRIPTIONS },
        hint: 'open another one with connectLive',
      });
    }
    const entry: Entry = {
      topic,
      subscriber: subscriber,
      next: subscriber.fromHeight ?? null,
      genesisHash: null,
      id: null,
      seq: 0,
      refusals: 0,
      retry: null,
    };
    this.#entries.add(entry);
    if (this.#state === 'open') this.#ask(entry);
    else if (this.#state === 'idle') this.#connect();
    return () => {
      this.#forget(entry);
    };
  }

  close(): void {
    for (const entry of [...this.#entries]) this.#forget(entry);
    this.#drop();
    this.#become('closed');
  }

  // The connection

  #connect(): void {
    this.#become('connecting');
    const socket = new WebSocket(this.#url, subprotocols(this.#options.apiKey));
    this.#socket = socket;
    // Also where the other side took the connection and never answered.
    this.#after(CONNECT_WITHIN_MS, () => {
      this.#lose();
    });
    socket.onopen = () => {
      if (this.#socket !== socket) return;
      this.#become('open');
      this.#listen();
      for (const entry of this.#entries) this.#ask(entry);
    };
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (this.#socket !== socket) return;
      this.#listen();
      this.#receive(data);
    };
    socket.onclose = () => {
      if (this.#socket === socket) this.#lose();
    };
    // It is closed next, which says as much.
    socket.onerror = () => undefined;
  }

  #lose(): void {
    this.#drop();
    this.#become('waiting');
    this.#after(this.#waitMs(this.#failures++), () => {
      this.#connect();
    });
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#asked.clear();
    this.#running.clear();
    for (const entry of this.#entries) {
      entry.id = null;
      clearRetry(entry);
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    socket?.close();
  }

  /** Neither side need notice that the network between them is gone: silence is questioned. */
  #listen(): void {
    this.#after(ASK_AFTER_MS, () => {
      this.#send('ping', {});
      this.#after(ANSWER_WITHIN_MS, () => {
        this.#lose();
      });
    });
  }

  #after(ms: number, fn: () => void): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      fn();
    }, ms);
  }

  /** Half of it at random: clients that lost one node do not come back at one moment. */
  #waitMs(failures: number): number {
    const { firstMs, longestMs } = this.#options.waits ?? { firstMs: FIRST_WAIT_MS, longestMs: LONGEST_WAIT_MS };
    return Math.min(longestMs, firstMs * 2 ** Math.min(failures, 16)) * (0.5 + Math.random() / 2);
  }

  #become(state: LiveState): void {
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    this.#options.onState?.(state);
  }

  // What is sent

  #send(method: string, params: object): number {
    const id = ++this.#requests;
    this.#socket?.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    return id;
  }

  #ask(entry: Entry): void {
    const { chainId } = this.#options;
    const { topic, next } = entry;
    const params = { topic, ...(chainId !== undefined && { chain_id: chainId }), ...(next && { from_height: next }) };
    this.#asked.set(this.#send('subscribe', params), entry);
  }

  #forget(entry: Entry): void {
    if (!this.#entries.delete(entry)) return;
    clearRetry(entry);
    if (this.#entries.size === 0) {
      this.#drop();
      this.#become('idle');
    } else if (entry.id !== null && this.#state === 'open') {
      this.#running.delete(entry.id);
      this.#send('unsubscribe', { subscription: entry.id });
    }
  }

  // What comes

  #receive(data: unknown): void {
    const message = objectOf(typeof data === 'string' ? parse(data) : undefined);
    const params = objectOf(message['params']);
    switch (message['method']) {
      case undefined:
        if (typeof message['id'] === 'number') this.#onAnswer(message['id'], message);
        return;
      case 'subscription':
        this.#onEvent(params);
        return;
      case 'progress': {
        const entry = this.#running.get(String(params['subscription']));
        const height = params['height'];
        if (entry && isHeight(height)) entry.next = Math.max(entry.next ?? 0, height + 1);
        return;
      }
      case 'ended': {
        const entry = this.#running.get(String(params['subscription']));
        if (entry) this.#refuse(entry, errorOf(params['error']));
        return;
      }
      default:
    }
  }

  #onAnswer(request: number, message: Record<string, unknown>): void {
    const entry = this.#asked.get(request);
    if (!entry) return;
    this.#asked.delete(request);
    if (message['error'] !== undefined) {
      this.#refuse(entry, errorOf(message['error']));
      return;
    }
    const answer = objectOf(message['result']) as Partial<SubscribeResponse>;
    if (typeof answer.subscription !== 'string' || typeof answer.genesis_hash !== 'string') {
      this.#lose();
      return;
    }
    if (!this.#entries.has(entry)) {
      this.#send('unsubscribe', { subscription: answer.subscription });
      return;
    }
    const { genesisHash } = entry;
    if (genesisHash !== null && genesisHash !== answer.genesis_hash) {
      entry.id = answer.subscription;
      this.#fail(entry, otherChain(answer.genesis_hash));
      return;
    }
    this.#failures = 0;
    entry.refusals = 0;
    entry.genesisHash = answer.genesis_hash;
    entry.id = answer.subscription;
    entry.seq = 0;
    this.#running.set(answer.subscription, entry);
    const isResumed = genesisHash !== null && entry.next !== null;
    if (isHeight(answer.from_height)) entry.next = answer.from_height;
    const snapshot = answer.snapshot as LiveTopics['blocks']['snapshot'];
    if (!isResumed) entry.subscriber.onSnapshot?.(snapshot, String(answer.chain_id));
    else if (entry.topic === 'txs') this.#resetPending(entry, answer);
  }

  #onEvent(params: Record<string, unknown>): void {
    const entry = this.#running.get(String(params['subscription']));
    if (!entry) return;
    const { seq, height = null, data, chain_id } = params;
    if (seq !== entry.seq + 1 || (height !== null && !isHeight(height))) {
      // Something was lost on the way: all begins again after what was received.
      this.#lose();
      return;
    }
    entry.seq = seq;
    if (height !== null) {
      if (entry.next !== null && height < entry.next) return;
      entry.next = height + 1;
    }
    entry.subscriber.onEvent(data as LiveTopics['blocks']['event'], { chainId: String(chain_id), height });
  }

  /** Final transactions go on where they were; of pending ones only those of now are known. */
  #resetPending({ subscriber }: Entry, { snapshot, chain_id }: Partial<SubscribeResponse>): void {
    const { pending } = snapshot as Partial<TransactionsSnapshot>;
    if (!pending) return;
    const event: PendingEvent = { pending: { reset: true, ...pending, dropped: [] } };
    (subscriber as Subscriber<'txs'>).onEvent(event, { chainId: String(chain_id), height: null });
  }

  #refuse(entry: Entry, error: NodeError): void {
    if (entry.id !== null) this.#running.delete(entry.id);
    entry.id = null;
    if (!this.#entries.has(entry)) return;
    if (!PASSING.has(error.code)) {
      this.#fail(entry, error);
      return;
    }
    clearRetry(entry);
    entry.retry = setTimeout(
      () => {
        entry.retry = null;
        if (this.#state === 'open') this.#ask(entry);
      },
      this.#waitMs(entry.refusals++),
    );
  }

  #fail(entry: Entry, error: NodeError): void {
    this.#forget(entry);
    entry.subscriber.onError?.(error);
  }
}

function clearRetry(entry: Entry): void {
  if (entry.retry !== null) clearTimeout(entry.retry);
  entry.retry = null;
}

function otherChain(genesisHash: string): NodeError {
  return new NodeError('WRONG_GENESIS', 'the node now has another chain of this name', {
    data: { genesis_hash: genesisHash.slice(0, 64) },
    hint: 'subscribe anew, without what was known of the old one',
  });
}

/** The error of an answer, as the node would have thrown it. */
function errorOf(error: unknown): NodeError {
  const { data, message } = objectOf(error);
  return problemError({ detail: message, ...objectOf(data) }, 500);
}

function isHeight(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
