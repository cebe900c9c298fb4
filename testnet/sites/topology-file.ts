import { readFileSync } from 'node:fs';
import { NodeError } from '../../src/errors.ts';
import type { Topology } from './topology.ts';
import { parseTopology, withLayout } from './topology.ts';

/** @param layout as `2/2/2`; numbers of validators as the file has them when absent @throws NodeError USAGE */
export function readTopology(path: string, layout?: string): Topology {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new NodeError('USAGE', `cannot read ${path}`, { cause: error, hint: 'e.g. --topology testnet/sites.json' });
  }
  const topology = parseTopology(text, path);
  return layout === undefined ? topology : withLayout(topology, layout);
}
