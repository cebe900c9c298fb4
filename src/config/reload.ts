/** What a running node takes over when its configuration is read again, and what waits for the next start. */
import type { Setting } from '../config.ts';
import type { ConfigPath } from './options.ts';

/** API keys are no options: `aitbc key` changes them at once. */
const RELOADED: ReadonlySet<ConfigPath> = new Set([
  'log.level',
  'rpc.reads_per_s',
  'rpc.heavy_reads_per_s',
  'rpc.writes_per_s',
]);

export interface ConfigChanges {
  readonly taken: readonly ConfigPath[];
  readonly needRestart: readonly ConfigPath[];
}

/** @param running as the node was started, and reloaded since */
export function configChanges(running: readonly Setting[], next: readonly Setting[]): ConfigChanges {
  const before = new Map(running.map(({ path, value }) => [path, JSON.stringify(value)]));
  const changed = next.flatMap(({ path, value }) => (before.get(path) === JSON.stringify(value) ? [] : [path]));
  return {
    taken: changed.filter((path) => RELOADED.has(path)),
    needRestart: changed.filter((path) => !RELOADED.has(path)),
  };
}
