/** Gossip of one chain: publishes within bounds, and turns what handlers find into gossipsub's verdicts. */
import type { GossipSub, Message } from '@chainsafe/libp2p-gossipsub';
import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import type { PeerId as Libp2pPeerId } from '@libp2p/interface';
import { TOPIC_CODECS } from '../../protocols/codec.ts';
import type { Topic, Topics } from '../../protocols/messages.ts';
import type { GossipHandlers } from '../../protocols/network.ts';
import { TOPICS } from '../../protocols/registry.ts';
import { topicName } from '../../protocols/topics.ts';
import type { GossipCode } from '../../protocols/verdicts.ts';
import { GOSSIP_VERDICTS } from '../../protocols/verdicts.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Clock } from '../clock.ts';
import { isNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Backlog, FirstHand } from './gossip-service.ts';
import type { LogLimit } from './log-limit.ts';
import { createLogLimit } from './log-limit.ts';
import type { NetMetrics } from './metrics.ts';
import type { PeerBook } from './peers.ts';
import { plainBytes } from './plain-bytes.ts';
import type { PeerQuotas } from './peer-quotas.ts';

const MIB = 1024 * 1024;

/** Bytes waiting in all streams above which own messages of a topic are dropped: transactions long before votes. */
export const PUBLISH_BOUNDS: { readonly [T in Topic]: number } = {
  tx: 32 * MIB,
  offer: 32 * MIB,
  status: 64 * MIB,
  evidence: 128 * MIB,
  proposal: 128 * MIB,
  vote: 128 * MIB,
};

/** Agreement waits for these: they do not wait for the end of a turn, in which a block may be executed. */
const URGENT: ReadonlySet<Topic> = new Set(['proposal', 'vote']);

const TOPIC_NAMES = Object.keys(TOPICS) as Topic[];

const RESULTS = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
} as const;

export interface ChainGossipOptions {
  readonly chain: ChainContext;
  readonly gossip: GossipSub;
  /** Receives those that are. */
  readonly firstHand: FirstHand;
  readonly handlers: GossipHandlers;
  readonly hasher: Hasher;
  readonly backlog: Backlog;
  readonly flush: () => void;
  readonly book: PeerBook;
  readonly quotas: PeerQuotas;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: NetMetrics;
}

export class ChainGossip {
  readonly #options: ChainGossipOptions;
  readonly #limit: LogLimit;
  readonly #inFlight = new Map<Topic, number>();

  constructor(options: ChainGossipOptions) {
    this.#options = options;
    this.#limit = createLogLimit(options.log, options.clock);
  }

  start(): void {
    const { gossip, chain } = this.#options;
    for (const topic of TOPIC_NAMES) {
      const name = topicName(chain, topic);
      gossip.topicValidators.set(name, (from, message) => this.#validate(topic, from, message));
      gossip.subscribe(name);
    }
  }

  stop(): void {
    const { gossip, chain } = this.#options;
    for (const topic of TOPIC_NAMES) {
      const name = topicName(chain, topic);
      gossip.unsubscribe(name);
      gossip.topicValidators.delete(name);
    }
  }

  publish<T extends Topic>(topic: T, message: Topics[T]): void {
    const { chain, gossip, backlog, flush, metrics } = this.#options;
    const labels = { chain: chain.chainId, topic };
    const drop = (reason: string, context: Record<string, unknown>): void => {
      metrics.gossipDropped.inc({ ...labels, reason });
      this.#limit.log('warn', `${topic} ${reason}`, 'gossip message not sent', { topic, reason, ...context });
    };
    let bytes: Uint8Array;
    try {
      bytes = TOPIC_CODECS[topic].encode(message);
    } catch (error) {
      drop('codec', { error });
      return;
    }
    const { maxBytes } = TOPICS[topic];
    if (bytes.length > maxBytes) {
      drop('size', { bytes: bytes.length, maxBytes });
      return;
    }
    const waitingBytes = backlog.bytes();
    if (waitingBytes + bytes.length > PUBLISH_BOUNDS[topic]) {
      drop('backlog', { waitingBytes });
      return;
    }
    backlog.add(bytes.length);
    gossip.publish(topicName(chain, topic), bytes).then(
      () => {
        metrics.gossipPublished.inc(labels);
        if (URGENT.has(topic)) flush();
      },
      (error: unknown) => {
        drop('failed', { error });
      },
    );
  }

  async #validate(topic: Topic, fromId: Libp2pPeerId, message: Message): Promise<TopicValidatorResult> {
    const { chain, book, clock, metrics, firstHand } = this.#options;
    const from = fromId.toString();
    const labels = { chain: chain.chainId, topic };
    const startMs = clock.monotonic();
    const code = await this.#check(topic, from, plainBytes(message.data));
    metrics.gossipReceived.inc({ ...labels, code });
    metrics.gossipReceivedBytes.inc(labels, message.data.length);
    metrics.gossipSeconds.observe((clock.monotonic() - startMs) / 1_000, labels);
    const verdict = GOSSIP_VERDICTS[code];
    if (code === 'FIRST_HAND') firstHand.add(message.data);
    if (verdict === 'reject') book.report(from, 'invalid-gossip', `${topic}: ${code}`);
    return RESULTS[verdict];
  }

  async #check<T extends Topic>(topic: T, from: string, bytes: Uint8Array): Promise<GossipCode> {
    const { chain, quotas, handlers, hasher } = this.#options;
    const rule = TOPICS[topic];
    if (bytes.length > rule.maxBytes) return 'MALFORMED';
    if (!quotas.take(from, `${chain.chainId} gossip ${topic}`, rule.quota, rule.cost(bytes.length))) return 'REFUSED';
    const inFlight = this.#inFlight.get(topic) ?? 0;
    if (inFlight >= rule.maxInFlight) return 'REFUSED';
    this.#inFlight.set(topic, inFlight + 1);
    try {
      const message = TOPIC_CODECS[topic].decode(hasher, bytes);
      return await handlers[topic](message, from);
    } catch (error) {
      if (isNodeError(error) && error.code === 'CODEC') return 'MALFORMED';
      this.#limit.log('error', topic, 'gossip handler failed', { topic, error });
      return 'INTERNAL';
    } finally {
      this.#inFlight.set(topic, (this.#inFlight.get(topic) ?? 1) - 1);
    }
  }
}
