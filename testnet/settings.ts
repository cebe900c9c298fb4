/** How a cluster was made: what a later start must agree with. Private to the launcher, unlike testnet.json. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ConfigValues } from '../src/config.ts';
import { NodeError } from '../src/errors.ts';
import { replaceFile } from './manifest.ts';

export interface ClusterSettings {
  readonly validators: number;
  /** null: ports were drawn freely. */
  readonly basePort: number | null;
  /** Options of every node besides those that make the cluster. */
  readonly config?: ConfigValues;
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
