/** Writes of the replaced system's clients: transactions are taken in our forms, everything else is gone for good. */
import { NodeError } from '../../errors.ts';
import { ofChain, strict } from '../app.ts';
import { LegacySubmitted, LegacyTxHash } from '../legacy-views.ts';
import type { Answer, Operation } from '../operation.ts';
import { fresh, operation } from '../operation.ts';
import { anyObject } from '../schemas.ts';

/** Of a block as the replaced system's nodes sent it. */
const MAX_GONE_BODY_BYTES = 1024 * 1024;

interface Taken {
  readonly hash: string;
}

/** @param submission the operation that takes transactions */
export function legacySubmissions(submission: Operation): Operation[] {
  const forms = (submission.body?.forms ?? []).filter(({ key }) => key !== 'txs');
  const taking = (
    path: string,
    schema: typeof LegacyTxHash | typeof LegacySubmitted,
    view: (taken: Taken) => unknown,
  ) => ({
    ...submission,
    methods: [],
    path,
    successor: submission.path,
    body: { forms, maxBytes: submission.body?.maxBytes ?? 0 },
    answers: {
      200: { description: 'Taken', schema },
      202: { description: 'Taken, and to be asked for by its hash', schema },
    },
    handle: async (input: Parameters<Operation['handle']>[0]): Promise<Answer> => {
      const answer = await submission.handle(input);
      return fresh(view(answer.body() as Taken), answer.status, answer.headers);
    },
  });
  const short = ['/rpc/sendTx', '/rpc/send_tx', '/rpc/broadcast_tx'];
  return [
    ...short.map((path) => taking(path, LegacyTxHash, ({ hash }) => ({ tx_hash: hash }))),
    taking('/rpc/transaction', LegacySubmitted, ({ hash }) => ({
      ...{ success: true, transaction_hash: hash, message: 'Transaction submitted to mempool' },
    })),
  ];
}

const BLOCKS_COME_FROM_PEERS = 'blocks come from peers with the certificate of their validators, and from nowhere else';
const STATE_FROM_BLOCKS = 'the state follows from blocks alone: use a signed transaction';

const KEYS_STAY = 'keys stay with their owner, and no node signs for anyone: aitbc wallet, aitbc send';
const MINERS_ARE_NODES = 'a miner is a node of its own, found by its offers and paid by vouchers: aitbc miner init';
const MONEY_IS_AN_AGREEMENT = 'money for work is set aside on chain: aitbc submit, aitbc agreement open';
const NO_OTHER_CHAINS = 'nothing moves between chains here';

/** Paths that no longer do anything, and why. */
const GONE: Readonly<Record<string, string>> = {
  'POST /rpc/importBlock': BLOCKS_COME_FROM_PEERS,
  'POST /rpc/blocks/import': BLOCKS_COME_FROM_PEERS,
  'POST /blocks/import': BLOCKS_COME_FROM_PEERS,
  'POST /rpc/import-chain': BLOCKS_COME_FROM_PEERS,
  'GET /rpc/export-chain': 'whole chains go into files: aitbc chain export',
  'POST /rpc/force-sync': 'a node catches up by itself with what its peers can prove',
  'POST /rpc/admin/mintFaucet': STATE_FROM_BLOCKS,
  'POST /rpc/register-account': 'an account needs no registration: it is there with its first transfer',
  'GET /rpc/addresses': 'accounts are not listed; one is read by its address',
  'POST /rpc/submitReceipt': MONEY_IS_AN_AGREEMENT,
  'POST /rpc/escrow/create': MONEY_IS_AN_AGREEMENT,
  'POST /rpc/staking/stake': 'a miner puts money at stake by a signed transaction: aitbc miner stake',
  'POST /rpc/bridge/lock': NO_OTHER_CHAINS,
  'POST /rpc/bridge/confirm': NO_OTHER_CHAINS,
  'POST /v1/wallet/create': KEYS_STAY,
  'POST /v1/wallet/import': KEYS_STAY,
  'POST /v1/wallet/send': KEYS_STAY,
  'GET /v1/wallet/balance': KEYS_STAY,
  'POST /v1/miners/register': MINERS_ARE_NODES,
  'POST /v1/miners/heartbeat': MINERS_ARE_NODES,
  'POST /v1/miners/poll': MINERS_ARE_NODES,
};

export function goneOperations(): Operation[] {
  return Object.entries(GONE).map(([name, reason]) => {
    const [verb, path = ''] = name.split(' ') as ['GET' | 'POST', string];
    const body = { forms: [{ key: null, schema: anyObject }], isRaw: true, maxBytes: MAX_GONE_BODY_BYTES };
    return operation({
      ...{ methods: [], verb, path, scope: null, successor: null, summary: `Gone: ${reason}` },
      params: strict({}),
      query: ofChain,
      ...(verb === 'POST' && { body }),
      answers: {},
      errors: ['GONE'],
      handle: () => {
        throw new NodeError('GONE', reason, { data: { path } });
      },
    });
  });
}
