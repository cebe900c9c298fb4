/** What a network without miners and relays says to those who ask for them. */
import type { ChainNetwork } from '../../protocols/network.ts';
import { NodeError } from '../../src/errors.ts';

export const noMiners: Pick<ChainNetwork, 'scopeOf' | 'connect' | 'serveWork' | 'openWork' | 'vouch'> = {
  scopeOf: () => 'loopback',
  connect: () => Promise.reject(new NodeError('UNREACHABLE', 'no such peer')),
  serveWork: () => Promise.resolve(),
  openWork: () => Promise.reject(new NodeError('UNREACHABLE', 'no miner there')),
  vouch: () => undefined,
};
