/** Whether a folder holds the cluster that is asked for. */
import { NodeError } from '../src/errors.ts';
import type { ClusterOptions } from './create.ts';
import { chainIdsOf } from './create.ts';
import type { Manifest } from './manifest.ts';
import { readSettings } from './settings.ts';

/** @throws NodeError DATA_FOLDER */
export function checkSame(saved: Manifest, options: ClusterOptions): Manifest {
  const refuse = (what: string): never => {
    throw new NodeError('DATA_FOLDER', `${options.dataDir} holds another cluster: ${what}`, {
      hint: 'give the same options, use another --data, or remove the folder',
    });
  };
  const chainIds = chainIdsOf(saved).join(', ');
  const wanted = [options.chainId, ...(options.furtherChains ?? [])].join(', ');
  if (chainIds !== wanted) refuse(`its ${saved.further_chains ? 'chains are' : 'chain is'} ${chainIds}`);
  const settings = readSettings(options.dataDir);
  if (settings.validators !== options.validators) refuse(`it was made with --nodes ${settings.validators}`);
  const miners = settings.miners?.length ?? 0;
  if ((options.miners ?? 0) !== miners) refuse(`it was made with --miners ${miners}`);
  if (options.basePort !== undefined && settings.basePort !== options.basePort) {
    refuse(settings.basePort === null ? 'its ports were drawn freely' : `its base port is ${settings.basePort}`);
  }
  return saved;
}
