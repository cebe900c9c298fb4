/** The last question to a cluster before its folders are read: does every node serve, sign and agree, with nothing else going on? */
import { toHex } from '../src/bytes.ts';
import { formatAddress } from '../src/chain/address.ts';
import type { Genesis } from '../src/chain/genesis.ts';
import type { Cluster } from './cluster.ts';
import { compareNodes } from './compare.ts';
import { getJson, probe } from './http.ts';
import { accountNonce, isFinal, submitCommit } from './load/rpc.ts';
import type { LoadAccount } from './load/transfers.ts';
import { nextTransfer } from './load/transfers.ts';
import { waitUntil } from './wait.ts';

const QUIET_MS = 30_000;

/**
 * Every node is ready and signs, and takes a transfer that all call final.
 *
 * @param sender its nonce is read first; nobody else may use it
 * @returns what is wrong, one line each
 */
export async function quietCheck(cluster: Cluster, genesis: Genesis, sender: LoadAccount): Promise<string[]> {
  const faults: string[] = [];
  const { nodes } = cluster.read();
  const [first] = nodes;
  if (first) sender.nonce = await accountNonce(first.rpc, formatAddress(sender.address));
  for (const node of nodes) {
    if (node.state !== 'running') faults.push(`${node.name} is ${node.state}`);
    if (!(await waitUntil(async () => (await probe(`${node.rpc}/readyz`)) === 200, QUIET_MS))) {
      faults.push(`${node.name} is not ready`);
    }
    const signs = await waitUntil(
      async () => (await getJson<{ signing: boolean }>(`${node.rpc}/rpc/status`))?.signing === true,
      QUIET_MS,
    );
    if (!signs) faults.push(`${node.name} does not sign`);
    const tx = nextTransfer(genesis.chain, genesis.params, sender, sender.address);
    const answer = await submitCommit(node.rpc, toHex(tx.bytes)).catch(() => undefined);
    if (!answer?.final) {
      faults.push(`a transfer sent to ${node.name} is not final`);
      continue;
    }
    for (const other of nodes) {
      if (!(await waitUntil(() => isFinal(other.rpc, toHex(tx.id)).catch(() => false), QUIET_MS))) {
        faults.push(`a transfer sent to ${node.name} is not final on ${other.name}`);
      }
    }
  }
  const compared = await compareNodes(cluster);
  if (!compared.equal) faults.push(`the nodes differ at height ${compared.height}`);
  return faults;
}
