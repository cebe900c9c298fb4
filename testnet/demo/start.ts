/** All run and agree: who speaks with whom over which way, and that there is no other. */
import { getJson } from '../http.ts';
import type { SiteNetwork } from '../sites/site-network.ts';
import { pathBetween, sitePairs, sitesOfNodes } from '../sites/topology.ts';
import { waitUntil } from '../wait.ts';
import type { PeerPath, Scene } from './scene.ts';
import { span } from './scene.ts';

const CONNECT_MS = 30_000;

interface PeersAnswer {
  readonly peers: readonly { readonly peer_id: string; readonly path: 'direct' | 'relay' }[];
}

/** @param tookMs until all agreed @returns the verdict */
export async function checkWays(scene: Scene, tookMs: number): Promise<string> {
  const { bed, sites } = scene;
  const missing = (connected: readonly PeerPath[]): string[] =>
    expectedPairs(sites).flatMap(([a, b]) =>
      connected.some(({ from, to }) => from === a && to === b) ? [] : [`${a} is not connected with ${b}`],
    );
  let connected: PeerPath[] = [];
  await waitUntil(async () => {
    connected = await pathsSeen(scene);
    return missing(connected).length === 0;
  }, CONNECT_MS);
  for (const fault of missing(connected)) bed.card.violate(fault);
  const routes = sites.ground.kind === 'loopback' ? null : routesFound(sites);
  if (routes !== null && routes > 0) bed.card.violate(`${routes} pairs of sites have a route around the proxies`);
  scene.ways = { routes_around: routes, connected };

  const { topology } = sites;
  const where = routes === null ? 'all on the loopback, proxies between' : 'each site a network namespace';
  const relayed = new Set(
    connected.flatMap(({ from, to, path }) => (path === 'relay' ? [[from, to].sort().join('–')] : [])),
  );
  const relays = relayed.size === 0 ? '' : `, ${[...relayed].join(', ')} through a relay`;
  const count = sitesOfNodes(topology).length;
  return `${count} validators on ${topology.sites.length} sites, ${where}; all agree after ${span(tookMs)}${relays}`;
}

/** Ordered pairs of nodes that must find each other: a relay leads over one site at most. */
function expectedPairs(sites: SiteNetwork): [string, string][] {
  const indexes = sitesOfNodes(sites.topology).map((_, i) => i + 1);
  return indexes.flatMap((a) =>
    indexes.flatMap((b): [string, string][] => {
      const path = pathBetween(sites.topology, sites.siteOf(a), sites.siteOf(b));
      return a === b || !path || path.via.length > 1 ? [] : [[`n${a}`, `n${b}`]];
    }),
  );
}

async function pathsSeen({ bed }: Scene): Promise<PeerPath[]> {
  const { nodes } = bed.cluster.manifest;
  const nameOf = new Map(nodes.map(({ peer_id, name }) => [peer_id, name]));
  const answers = await Promise.all(nodes.map(({ rpc }) => getJson<PeersAnswer>(`${rpc}/rpc/peers`)));
  return answers.flatMap((answer, i) =>
    (answer?.peers ?? []).flatMap(({ peer_id, path }) => {
      const to = nameOf.get(peer_id);
      return to === undefined ? [] : [{ from: nodes[i]?.name ?? '', to, path }];
    }),
  );
}

function routesFound({ topology, ground }: SiteNetwork): number {
  return sitePairs(topology)
    .flatMap(([a, b]) => [
      [a, b],
      [b, a],
    ])
    .filter(([from = '', to = '']) => ground.hasRoute(from, ground.host(to, 0, false))).length;
}
