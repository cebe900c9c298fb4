/** Of every block: the round it was decided in, and the site of its proposer. */
import { getJson } from '../http.ts';
import type { ManifestNode } from '../manifest.ts';

const PAGE = 100;

interface Page {
  readonly items: readonly { readonly height: number; readonly round: number; readonly proposer: string }[];
  readonly next_cursor: string | null;
}

/** As a node that answers tells it, lowest first. */
export async function blockSites(nodes: readonly ManifestNode[]): Promise<[number, number, string][]> {
  const siteOf = new Map(nodes.map(({ validator, site = '' }) => [validator, site]));
  const rounds: [number, number, string][] = [];
  const rpc = nodes.find(({ state }) => state === 'running')?.rpc ?? '';
  let cursor: string | null = null;
  do {
    const at: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page: Page | undefined = await getJson<Page>(`${rpc}/rpc/blocks?limit=${PAGE}${at}`);
    for (const { height, round, proposer } of page?.items ?? [])
      rounds.push([height, round, siteOf.get(proposer) ?? '']);
    cursor = page?.next_cursor ?? null;
  } while (cursor !== null);
  return rounds.reverse();
}
