/** The market's part of a network without miners. */
import type { ChainNetwork } from '../../protocols/network.ts';
import { NodeError } from '../../src/errors.ts';

export const noMiners: Pick<ChainNetwork, 'scopeOf' | 'connect' | 'serveWork' | 'openWork'> = {
  scopeOf: () => 'loopback',
  connect: () => Promise.reject(new NodeError('UNREACHABLE', 'no such peer')),
  serveWork: () => Promise.resolve(),
  openWork: () => Promise.reject(new NodeError('UNREACHABLE', 'no miner there')),
};
