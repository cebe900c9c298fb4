/** A server over a scripted market, with all doors to work, and keys that may use them. */
import { systemClock } from '../../../src/clock.ts';
import { nopLogger } from '../../../src/log.ts';
import type { Budgets } from '../../../src/rpc/access/budgets.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { memoryAccess } from '../../util/access.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import { ScriptedCoordinator } from './scripted-coordinator.ts';

export const KEYLESS_BUDGET = 10_000_000;
/** Of the key named bob. */
const SMALL_BUDGET = 500;

export interface JobWorld {
  readonly node: FakeNode;
  readonly market: ScriptedCoordinator;
  readonly budgets: Budgets;
  /** Texts of API keys. */
  readonly bob: string;
  readonly carol: string;
  readonly server: RpcServer;
  readonly url: string;
}

export interface JobWorldOptions {
  readonly clock?: typeof systemClock;
  readonly access?: ReturnType<typeof memoryAccess>;
  readonly keylessBudgetUait?: number;
}

export async function startJobWorld(options: JobWorldOptions = {}): Promise<JobWorld> {
  const { clock = systemClock, keylessBudgetUait = KEYLESS_BUDGET } = options;
  const { access: given = memoryAccess({ keylessBudgetUait }) } = options;
  const { access, keys, budgets } = given;
  const node = new FakeNode();
  const market = new ScriptedCoordinator(node.genesis.chain);
  node.jobs = market;
  node.market.offers = () => market.offers();
  const key = async (name: string, budgetPerDayUait: number): Promise<string> => {
    const limits = { requestsPerMinute: null, models: null, expiresInMs: null };
    return (await keys.create({ name, scopes: ['read', 'jobs'], budgetPerDayUait, ...limits })).text;
  };
  const bob = await key('bob', SMALL_BUDGET);
  const carol = await key('carol', KEYLESS_BUDGET);
  const listen = { host: '127.0.0.1', port: 0 };
  const server = await startRpcServer({ listen }, { api: fakeNode(node), log: nopLogger, clock, access });
  return { node, market, budgets, bob, carol, server, url: server.url };
}
