/** `aitbc start`: runs the node until a signal ends it. */
import type { Command } from 'commander';
import type { ConfigSources, ConfigValues, NodeConfig } from '../config.ts';
import { loadConfig } from '../config.ts';
import { NodeError } from '../errors.ts';
import type { RunningNode } from '../node.ts';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import type { NodeOptions } from './node-options.ts';
import { addNodeOptions, nodeSources } from './node-options.ts';
import { reloadOnHangup } from './reload.ts';
import { tellReady } from './service-manager.ts';
import { endNode, watchSignals } from './signals.ts';

export function register(program: Command): void {
  addNodeOptions(program.command('start').description('run the node of this home')).action(
    async (options: NodeOptions, command: Command) => {
      await startNodeOf(createContext(command), options);
    },
  );
}

/** @param flags options beside those of the command line */
export async function startNodeOf(context: Context, options: NodeOptions, flags: ConfigValues = {}): Promise<void> {
  // Most of the program, which help does not need.
  const [{ createLogger }, { startNode }] = await Promise.all([import('../log.ts'), import('../node.ts')]);
  const sources = (): ConfigSources => {
    const given = nodeSources(context, options);
    return { ...given, flags: { ...given.flags, ...flags } };
  };
  const config = loadConfig(sources());
  if (options.signAbove !== undefined && config.chains.length > 1) {
    throw new NodeError('USAGE', '--sign-above is your word for one chain, and this home has several', {
      hint: `say which one: aitbc start --chain ${config.chains[0] ?? ''} --sign-above ${options.signAbove}; then start without both`,
    });
  }
  const json = config.log.format === 'json' || (config.log.format === 'auto' && !process.stderr.isTTY);
  const log = createLogger({ level: config.log.level, format: json ? 'json' : 'pretty', stream: process.stderr });
  const signals = watchSignals();
  let node: RunningNode;
  try {
    node = await startNode({ home: context.home, config, log });
  } finally {
    signals.started();
  }
  const take = (next: NodeConfig): void => {
    log.setLevels(next.log.level);
    node.reload(next);
  };
  // At a terminal it says that the terminal is gone.
  if (!process.stderr.isTTY) reloadOnHangup(sources, take, log);
  await tellReady(process.env, node.chainIds.join(', '), log);
  if (!json) {
    context.out.note(
      `Ready: ${node.chainIds.join(', ')} · rpc ${node.rpcUrl} · p2p ${node.multiaddrs.join(' ') || 'not listening'}`,
    );
  }
  await new Promise<void>((resolve) => {
    signals.onStop(resolve);
  });
  log.info('stopping', { again: 'a second signal ends at once' });
  await endNode(node);
}
