/** `npm run testnet`: starts, resumes and perturbs clusters of real validator processes. */
import { toNodeError } from '../src/errors.ts';
import type { Action, LauncherArgs } from './args.ts';
import { parseLauncherArgs, USAGE } from './args.ts';
import { Cluster } from './cluster.ts';
import { onStopRequest, watchCluster } from './foreground.ts';
import { manifestLine } from './manifest.ts';
import { failureReport, readyReport, selection, statesLine } from './report.ts';
import { readSettings } from './settings.ts';

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
  const cluster = await Cluster.open({
    dataDir: args.dataDir,
    chainId: args.chainId,
    furtherChains: args.furtherChains,
    validators: args.nodes,
    miners: args.miners,
    loadAccounts: args.accounts,
    ...(args.basePort !== undefined && { basePort: args.basePort }),
  });
  const stop = onStopRequest(() => {
    void cluster.abort().finally(() => process.exit(1));
  });
  await cluster.start(!args.detach);
  try {
    await Promise.race([cluster.waitReady(), stop.requested]);
  } catch (error) {
    await cluster.down();
    throw error;
  }
  if (!stop.isRequested()) {
    await cluster.refreshQuorum();
    const { validators } = readSettings(args.dataDir);
    tell(readyReport(cluster.manifest, args.dataDir, performance.now() - startedAt, validators));
    if (args.json) process.stdout.write(`${manifestLine(cluster.manifest)}\n`);
    if (args.detach) {
      tell(`Running in the background. Stop: npm run testnet -- --down${selection(cluster.manifest, args.dataDir)}`);
      return;
    }
    tell('  Ctrl-C stops all.');
  }
  await watchCluster(cluster, stop, tell);
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
