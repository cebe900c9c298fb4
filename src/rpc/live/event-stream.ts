/** The text of `/v1/stream`: server-sent events whose ids are places, so that a stream goes on where another ended. */
import { NodeError } from '../../errors.ts';
import { toProblem } from '../problem.ts';
import type { Delta, Place, Subscription } from './subscription.ts';
import type { Topic } from './topics.ts';
import { parseTopic } from './topics.ts';

/** A browser waits so long before it connects again. */
const RETRY_MS = 3000;

/** @param names separated by commas @throws NodeError INVALID_PARAMS | BAD_ADDRESS */
export function parseTopics(names: string, limit: number): Topic[] {
  const topics = names.split(',').map(parseTopic);
  if (topics.length > limit) {
    throw new NodeError('INVALID_PARAMS', 'these are too many topics for one stream', { data: { limit } });
  }
  if (new Set(topics.map(({ name }) => name)).size < topics.length) {
    throw new NodeError('INVALID_PARAMS', 'a topic is named twice');
  }
  return topics;
}

/**
 * The place after the last event a client has, by its id `chain:height:index`.
 *
 * @throws NodeError INVALID_PARAMS for an id that this chain did not give
 */
export function placeAfter(id: string, chainId: string): Place {
  const match = /^([a-z0-9._-]{1,32}):(0|[1-9][0-9]{0,14}):(0|[1-9][0-9]?)$/.exec(id);
  if (!match || match[1] !== chainId) {
    throw new NodeError('INVALID_PARAMS', 'Last-Event-ID is not of this stream', {
      data: { last_event_id: id.slice(0, 64), chain_id: chainId },
      hint: 'ids are chain:height:index, for the same chain and the same topics in the same order',
    });
  }
  const height = Number(match[2]);
  // Height 0 is what came before the first block.
  return height === 0 ? { height: 1, index: 0 } : { height, index: Number(match[3]) + 1 };
}

/** What stands first on a stream; its id lets a client that got nothing else go on from here. */
export function openingText(subscription: Subscription, snapshots: readonly object[]): string {
  const { topics, feed } = subscription;
  const events = snapshots.map((snapshot, i) => {
    const data = { topic: topics[i]?.name, chain_id: feed.chainId, genesis_hash: feed.genesisHash, seq: 0, snapshot };
    return `event: snapshot\ndata: ${JSON.stringify(data)}\n\n`;
  });
  return `retry: ${RETRY_MS}\n${idLine(feed.chainId, before(subscription))}\n${events.join('')}`;
}

export function deltaEvent({ feed, seq }: Subscription, { topic, place, text }: Delta): string {
  const head = JSON.stringify({ topic: topic.name, chain_id: feed.chainId, seq });
  const id = place ? idLine(feed.chainId, place) : '';
  const height = place ? `,"height":${place.height}` : '';
  return `event: delta\n${id}data: ${head.slice(0, -1)}${height},"data":${text}}\n\n`;
}

/** Moves the client's last id on, and is no event. */
export function progressEvent(subscription: Subscription): string {
  return `${idLine(subscription.feed.chainId, before(subscription))}\n`;
}

/** Keeps the connection open where intermediaries end silent ones. */
export const COMMENT = ': alive\n\n';

/** The stream ends with it. */
export function failureEvent(error: NodeError, requestId: string): string {
  return `event: failure\ndata: ${JSON.stringify(toProblem(error, requestId))}\n\n`;
}

function idLine(chainId: string, { height, index }: Place): string {
  return `id: ${chainId}:${height}:${index}\n`;
}

/** The last place told. */
function before({ next, topics }: Subscription): Place {
  return next.index > 0
    ? { height: next.height, index: next.index - 1 }
    : { height: next.height - 1, index: topics.length - 1 };
}
