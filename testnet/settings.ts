/** How a cluster was made: what a later start must agree with. Private to the launcher, unlike testnet.json. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ConfigValues } from '../src/config.ts';
import { NodeError } from '../src/errors.ts';
import { replaceFile } from './manifest.ts';
import type { NodePorts } from './ports.ts';

export interface ClusterSettings {
  readonly validators: number;
  /** null: ports were drawn freely. */
  readonly basePort: number | null;
  /** Options of every node besides those that make the cluster. */
  readonly config?: ConfigValues;
  /** Ports of the miners, in their order. */
  readonly miners?: readonly NodePorts[];
}

function settingsPath(dataDir: string): string {
  return join(dataDir, 'cluster.json');
}

export function writeSettings(dataDir: string, settings: ClusterSettings): void {
  replaceFile(settingsPath(dataDir), JSON.stringify(settings));
}

/** @throws NodeError DATA_FOLDER */
export function readSettings(dataDir: string): ClusterSettings {
  try {
    return JSON.parse(readFileSync(settingsPath(dataDir), 'utf8')) as ClusterSettings;
  } catch (error) {
    throw new NodeError('DATA_FOLDER', `cannot read ${settingsPath(dataDir)}`, {
      cause: error,
      hint: 'remove the folder to start afresh',
    });
  }
}

/** @param index from 1 @throws NodeError DATA_FOLDER */
export function minerPorts(dataDir: string, index: number): NodePorts {
  const ports = readSettings(dataDir).miners?.[index - 1];
  if (ports) return ports;
  throw new NodeError('DATA_FOLDER', `${settingsPath(dataDir)} has no ports of m${index}`, {
    hint: 'remove the folder to start afresh',
  });
}
