/** The key that a request brings, in any of the places where clients can put one. */
import type { IncomingHttpHeaders } from 'node:http';
import { NodeError } from '../../errors.ts';
import { KEY_PREFIX } from './key-text.ts';

/** Before a key among the subprotocols of a WebSocket: pages cannot set other headers on one. */
const KEY_SUBPROTOCOL = 'aitbc.key.';

/**
 * `Authorization: Bearer KEY`, `X-Api-Key: KEY`, or the subprotocol `aitbc.key.KEY` of a WebSocket. What does not begin
 * as a key of a node does is passed over: proxies have credentials of their own, and some clients always send something.
 *
 * @returns null when there is none @throws NodeError UNAUTHENTICATED for two different ones
 */
export function presentedKey(headers: IncomingHttpHeaders): string | null {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
  const plain = headers['x-api-key'];
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  const inProtocol = offered.filter((name) => name.startsWith(KEY_SUBPROTOCOL));
  const all = [bearer, ...[plain].flat(), ...inProtocol.map((name) => name.slice(KEY_SUBPROTOCOL.length))];
  const keys = new Set(all.filter((text) => text?.startsWith(KEY_PREFIX) === true) as string[]);
  if (keys.size > 1) {
    throw new NodeError('UNAUTHENTICATED', 'the request brings two different API keys', {
      hint: 'send one, as Authorization: Bearer KEY',
    });
  }
  return [...keys][0] ?? null;
}
