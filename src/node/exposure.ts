/** What an operator should know about a listener that others can reach. */
import type { HostPort } from '../config/options.ts';
import type { Logger } from '../log.ts';
import type { NodeApi } from '../rpc/api.ts';
import { isLoopback } from '../rpc/clients.ts';

/** A validator that serves strangers can be kept busy by them, and tells them where it is. */
export function warnOfExposure(api: NodeApi, { host, port }: HostPort, log: Logger): void {
  if (host === 'localhost' || isLoopback(host)) return;
  const chains = api.chains().flatMap(({ chainId, api: chain }) => (chain?.node.validator ? [chainId] : []));
  if (chains.length === 0) return;
  log.warn('the RPC of a validator can be reached from other machines', {
    chains,
    listen: `${host}:${port}`,
    hint: 'set rpc.listen to a loopback address, and let a node that does not validate answer others',
  });
}
