/** `npm run testnet`: starts, resumes and perturbs clusters of real validator processes. */
import { NodeError, toNodeError } from '../src/errors.ts';
import type { Action, LauncherArgs } from './args.ts';
import { parseLauncherArgs, USAGE } from './args.ts';
import { Cluster } from './cluster.ts';
import { onStopRequest, watchCluster } from './foreground.ts';
import { manifestLine } from './manifest.ts';
import { createRandom } from './load/random.ts';
import { columns, failureReport, readyReport, selection, statesLine } from './report.ts';
import { readSettings } from './settings.ts';
import { pathRows, SiteNetwork } from './sites/site-network.ts';
import { readTopology } from './sites/topology-file.ts';
import type { Topology } from './sites/topology.ts';
import { sitesOfNodes } from './sites/topology.ts';

async function main(argv: readonly string[]): Promise<void> {
  const args = parseLauncherArgs(argv);
  if (args.help) {
    process.stdout.write(USAGE);
  } else if (args.action) {
    await act(Cluster.attach(args.dataDir), args.action, args);
  } else {
    await launch(args);
  }
}

/** People read on stdout, unless a program does. */
function teller(args: LauncherArgs): (text: string) => void {
  const stream = args.json ? process.stderr : process.stdout;
  return (text) => {
    stream.write(`${text}\n`);
  };
}

async function launch(args: LauncherArgs): Promise<void> {
  const tell = teller(args);
  const startedAt = performance.now();
  const topology = args.topologyPath === undefined ? undefined : readTopology(args.topologyPath);
  const cluster = await Cluster.open({
    dataDir: args.dataDir,
    chainId: args.chainId,
    furtherChains: args.furtherChains,
    validators: topology ? sitesOfNodes(topology).length : args.nodes,
    miners: args.miners,
    loadAccounts: args.accounts,
    ...(args.basePort !== undefined && { basePort: args.basePort }),
  });
  const stop = onStopRequest(() => {
    void cluster.abort().finally(() => process.exit(1));
  });
  const sites = await layOut(cluster, topology, tell);
  try {
    await cluster.start(!args.detach);
    try {
      await Promise.race([cluster.waitReady(), stop.requested]);
    } catch (error) {
      await cluster.down();
      throw error;
    }
    if (!stop.isRequested()) await welcome(cluster, args, performance.now() - startedAt, sites, tell);
    if (!args.detach || stop.isRequested()) await watchCluster(cluster, stop, tell);
  } finally {
    await sites?.close();
  }
}

/** Puts the nodes of a cluster that does not run on sites, or finds that it never was on any. */
async function layOut(
  cluster: Cluster,
  topology: Topology | undefined,
  tell: (text: string) => void,
): Promise<SiteNetwork | undefined> {
  if (topology) {
    const sites = await SiteNetwork.open(cluster, topology, true, createRandom(cluster.dataDir));
    if (sites.ground.obstacle !== null) tell(`All sites on the loopback: ${sites.ground.obstacle}.`);
    return sites;
  }
  if (!isOnSites(cluster)) return undefined;
  throw new NodeError('DATA_FOLDER', `the cluster in ${cluster.dataDir} was made with --topology`, {
    hint: 'give the same --topology again, or use another --data',
  });
}

function isOnSites({ manifest }: Cluster): boolean {
  return manifest.nodes.some(({ site }) => site !== undefined);
}

async function welcome(
  cluster: Cluster,
  args: LauncherArgs,
  readyMs: number,
  sites: SiteNetwork | undefined,
  tell: (text: string) => void,
): Promise<void> {
  await cluster.refreshQuorum();
  const { validators } = readSettings(args.dataDir);
  tell(readyReport(cluster.manifest, args.dataDir, readyMs, validators));
  if (sites) tell(`\nBetween the sites:\n${columns(pathRows(sites.topology))}`);
  if (args.json) process.stdout.write(`${manifestLine(cluster.manifest)}\n`);
  if (args.detach) {
    tell(`Running in the background. Stop: npm run testnet -- --down${selection(cluster.manifest, args.dataDir)}`);
  } else {
    tell('  Ctrl-C stops all.');
  }
}

async function act(cluster: Cluster, action: Action, args: LauncherArgs): Promise<void> {
  const tell = teller(args);
  switch (action.type) {
    case 'kill':
      await cluster.kill([action.node]);
      break;
    case 'restart':
      await cluster.restart([action.node]);
      break;
    case 'pause':
      await cluster.pause(action.node);
      break;
    case 'resume':
      await cluster.resume(action.node);
      break;
    case 'add': {
      if (isOnSites(cluster)) {
        throw new NodeError('USAGE', 'a cluster on sites has the nodes that its file gives it', {
          hint: 'start another one with a further site or validator in the file of --topology',
        });
      }
      const node = cluster.node(await cluster.add());
      tell(`✓ ${node.name} follows the chain at ${node.rpc}. Its consensus key: ${node.validator}`);
      tell('  A validator is voted in by the operators: npx aitbc validator propose --help');
      break;
    }
    case 'down':
      await cluster.down();
      break;
  }
  await cluster.refreshQuorum();
  tell(statesLine(cluster.manifest));
  if (args.json) process.stdout.write(`${manifestLine(cluster.manifest)}\n`);
}

try {
  await main(process.argv.slice(2));
  process.exitCode = 0;
} catch (error) {
  process.stderr.write(`${failureReport(error)}\n`);
  process.exitCode = toNodeError(error).kind.exit;
}
