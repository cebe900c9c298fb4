/** A folder with the join document and the bundles of a network of three sites, made once for a test file. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MadeNetwork } from '../../../../src/cli/network/make.ts';
import { makeNetwork } from '../../../../src/cli/network/make.ts';
import { parseLayout, planNodes } from '../../../../src/cli/network/plan.ts';
import type { JoinDocument } from '../../../../src/chain/join-document.ts';
import { joinDocumentToJson } from '../../../../src/chain/join-document-json.ts';
import type { NodeConfig } from '../../../../src/config.ts';
import { loadConfig } from '../../../../src/config.ts';
import { makeFolder, removeFolder } from '../run.ts';

export const CHAIN_ID = 'ait-testnet';
export const DAY_MS = 86_400_000;
const PASSWORD = 'correct horse battery';

export interface NetworkFolder {
  readonly network: MadeNetwork;
  readonly passwordFile: string;
  at(...names: string[]): string;
}

/** Of the suite that calls this: there before its tests, gone after them. */
export function useNetworkFolder(): NetworkFolder {
  let folder = '';
  let network: MadeNetwork;
  const at = (...names: string[]): string => join(folder, ...names);
  before(async () => {
    folder = makeFolder();
    network = await fill(at);
  });
  after(() => {
    removeFolder(folder);
  });
  return {
    at,
    get network() {
      return network;
    },
    get passwordFile() {
      return at('password');
    },
  };
}

async function fill(at: NetworkFolder['at']): Promise<MadeNetwork> {
  writeFileSync(at('password'), `${PASSWORD}\n`);
  const sites = parseLayout('at1=1,aitbc1=1,ns3=1');
  const network = await makeNetwork({
    ...{ chainId: CHAIN_ID, sites, nodes: planNodes(sites, []), accounts: [], operatorUait: '1000000' },
    ...{ nowMs: Date.now(), validityMs: DAY_MS, password: PASSWORD, scryptN: 2 },
  });
  mkdirSync(at('bundles'));
  for (const { name, text } of network.bundles) writeFileSync(at('bundles', `${name}.bundle.json`), text);
  writeFileSync(at('join.json'), textOf(network.join));
  return network;
}

export function textOf(document: JoinDocument): string {
  return JSON.stringify(joinDocumentToJson(document));
}

export function configOf(home: string): NodeConfig {
  return loadConfig({ fileText: readFileSync(join(home, 'config.toml'), 'utf8') });
}
