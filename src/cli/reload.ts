/** SIGHUP: the configuration is read again, and what can change while the node runs is taken over. */
import type { ConfigSources, NodeConfig } from '../config.ts';
import { loadConfig, resolveSettings } from '../config.ts';
import { configChanges } from '../config/reload.ts';
import { toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';

/**
 * A configuration that does not hold is reported, and nothing of it is taken.
 *
 * @param sources config.toml as it is now, with flags and environment of the start
 */
export function reloadOnHangup(sources: () => ConfigSources, take: (config: NodeConfig) => void, log: Logger): void {
  const started = resolveSettings(sources());
  let running = started;
  process.on('SIGHUP', () => {
    try {
      const now = sources();
      const next = resolveSettings(now);
      const { taken } = configChanges(running, next);
      const { needRestart } = configChanges(started, next);
      take(loadConfig(now));
      running = next;
      log.info('configuration was read again', { taken, needRestart });
    } catch (error) {
      log.error('configuration was not taken: the node goes on as it was', { error: toNodeError(error) });
    }
  });
}
