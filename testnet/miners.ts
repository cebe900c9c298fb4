/** What a cluster with miners waits for, and what it gives to programs that have work done. */
import { createClient } from '../src/sdk/client.ts';
import { fetchOver } from '../src/cli/admin-socket.ts';
import { GATEWAY_NAME } from './accounts.ts';
import { getJson } from './http.ts';
import { nodeLayout } from './layout.ts';
import type { Manifest, ManifestMiner } from './manifest.ts';

/** What programs without a wallet may spend of the first validator's a day. */
const GATEWAY_BUDGET_UAIT = 100_000_000;

/** Models that a node knows a miner to offer; none while it knows no offer. */
export async function offeredModels(rpc: string, address: string): Promise<readonly string[]> {
  const offers = await getJson<OffersAnswer>(`${rpc}/v1/marketplace/offers`);
  const own = offers?.find(({ provider }) => provider === address)?.models ?? [];
  return [...new Set(own.map(({ model }) => model))];
}

type OffersAnswer = readonly {
  readonly provider: string;
  readonly models: readonly { readonly model: string }[];
}[];

export function withModels(manifest: Manifest, models: ReadonlyMap<string, readonly string[]>): Manifest {
  const miners = manifest.miners?.map(
    (miner): ManifestMiner => ({ ...miner, models: [...(models.get(miner.name) ?? miner.models)] }),
  );
  return { ...manifest, ...(miners && { miners }) };
}

/**
 * An API key of the first validator, whose account `gateway` pays for jobs; made once, on development networks.
 *
 * @throws NodeError of the node
 */
export async function openGateway({ chain_id, nodes, accounts, gateway }: Manifest): Promise<Manifest['gateway']> {
  const [first] = nodes;
  if (gateway || !first || !accounts.some(({ name }) => name === GATEWAY_NAME)) return gateway;
  const { adminSocket } = nodeLayout(first.home, chain_id);
  const operator = createClient({ url: 'http://localhost', fetch: fetchOver(adminSocket) });
  // Of a start that was broken off before it was noted.
  const { keys } = await operator.apiKeys();
  for (const { id, name, revoked_at } of keys)
    if (name === GATEWAY_NAME && !revoked_at) await operator.revokeApiKey(id);
  const { key } = await operator.createApiKey({
    name: GATEWAY_NAME,
    scopes: ['read', 'submit', 'jobs'],
    budget_per_day_uait: String(GATEWAY_BUDGET_UAIT),
  });
  return { url: first.rpc, api_key: key };
}
