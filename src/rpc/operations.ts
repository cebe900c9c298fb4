/** All operations of a node, and the documents that describe them: for everyone, and for its operator. */
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Access } from './access/access.ts';
import type { ApiKeys } from './access/api-keys.ts';
import type { MinerApi, NodeApi } from './api.ts';
import type { JobDesks } from './jobs/desk.ts';
import type { Described, Operation } from './operation.ts';
import { accountOperations } from './routes/accounts.ts';
import { apiKeyOperations } from './routes/api-keys.ts';
import { blobOperations } from './routes/blobs.ts';
import { chainOperations } from './routes/chain.ts';
import { chainActOperations, chainsOperation } from './routes/chains.ts';
import { documentOperations } from './routes/documents.ts';
import { healthOperations } from './routes/health.ts';
import { jsonRpcOperation } from './routes/json-rpc.ts';
import { jobOperations } from './routes/jobs.ts';
import { legacyOperations } from './routes/legacy.ts';
import { faucetOperation } from './routes/faucet.ts';
import { goneOperations, legacySubmissions } from './routes/legacy-writes.ts';
import { listOperations } from './routes/lists.ts';
import { LIVE_DESCRIPTIONS } from './routes/live.ts';
import { loginOperations } from './routes/login.ts';
import { marketOperations } from './routes/market.ts';
import { WORK_DESCRIPTION } from './routes/market-work.ts';
import { minerOperations } from './routes/miners.ts';
import { ollamaOperations } from './routes/ollama.ts';
import { nodeOperations } from './routes/node.ts';
import { openAiOperations } from './routes/openai.ts';
import { ownMinerOperations } from './routes/own-miner.ts';
import { proofOperations } from './routes/proofs.ts';
import { receiptOperations } from './routes/receipts.ts';
import { transactionOperations } from './routes/transactions.ts';
import type { TransactionDesks } from './tx-intake.ts';

export interface OperationModules {
  readonly desks: TransactionDesks;
  readonly jobDesks: JobDesks;
  readonly access: Access;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createOperations(node: NodeApi, modules: OperationModules): readonly Operation[] {
  const { desks, jobDesks, access, clock, log } = modules;
  const transactions = transactionOperations(node, desks);
  const work = { node, desks: jobDesks, clock };
  const current = [
    ...chainOperations(node),
    ...accountOperations(node),
    ...proofOperations(node),
    ...transactions,
    faucetOperation(node),
    ...listOperations(node),
    ...marketOperations(node),
    ...minerOperations(node),
    ...blobOperations(node),
    ...jobOperations(node, jobDesks, clock),
    ...receiptOperations(node, jobDesks),
    ...openAiOperations(work),
    ...ollamaOperations(work),
    ...nodeOperations(node),
    ...healthOperations(node),
    chainsOperation(node),
    ...loginOperations(node, access),
  ];
  const operations = [
    ...current,
    ...legacyOperations(node, current),
    ...transactions.filter(({ verb }) => verb === 'POST').flatMap(legacySubmissions),
    ...goneOperations(),
  ];
  const described = [...operations, jsonRpcOperation(node, operations, { access, log })];
  return [...described, ...documentOperations(node, [...described, ...STREAMS])];
}

/** What is described with them, and is served by routes of its own. */
export const STREAMS: readonly Described[] = [...LIVE_DESCRIPTIONS, WORK_DESCRIPTION];

/** What only the admin socket answers. */
export function createAdminOperations(node: NodeApi, keys: ApiKeys, miner: MinerApi): readonly Operation[] {
  const operations = [...chainActOperations(node), ...apiKeyOperations(keys), ...ownMinerOperations(miner)];
  return [...operations, ...documentOperations(node, operations)];
}
