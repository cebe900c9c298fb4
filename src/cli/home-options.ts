/** Options of a new home, which `init` and `join` share. */
import type { Command } from 'commander';
import type { ConfigValues } from '../config.ts';
import { collect } from './options.ts';

export interface HomeOptions {
  readonly name?: string;
  readonly p2pListen?: readonly string[];
  readonly rpcListen?: string;
  readonly metricsListen?: string;
  readonly peer?: readonly string[];
  readonly encrypt?: boolean;
}

export function addHomeOptions(command: Command): Command {
  return command
    .option('--name <name>', 'name of this node')
    .option('--p2p-listen <multiaddr>', 'where other nodes connect to (repeatable)', collect)
    .option('--rpc-listen <host:port>', 'where HTTP is served')
    .option('--metrics-listen <host:port>', 'where metrics are served, or "off"')
    .option('--peer <multiaddr>', 'node to stay connected with (repeatable)', collect)
    .option('--encrypt', 'encrypt the databases made from now on, and make the key for it');
}

/** What of a new config.toml was given. */
export function configOf(options: HomeOptions): ConfigValues {
  const values = {
    name: options.name,
    'p2p.listen': options.p2pListen,
    'p2p.peers': options.peer,
    'rpc.listen': options.rpcListen,
    'metrics.listen': options.metricsListen,
    'store.encrypt': options.encrypt ? 'on' : undefined,
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
