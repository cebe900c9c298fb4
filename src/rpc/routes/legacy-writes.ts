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

/** Paths that no longer do anything, and why. */
const GONE: Readonly<Record<string, string>> = {
  '/rpc/importBlock': BLOCKS_COME_FROM_PEERS,
  '/rpc/blocks/import': BLOCKS_COME_FROM_PEERS,
  '/blocks/import': BLOCKS_COME_FROM_PEERS,
  '/rpc/import-chain': BLOCKS_COME_FROM_PEERS,
  '/rpc/force-sync': 'a node catches up by itself with what its peers can prove',
  '/rpc/admin/mintFaucet': STATE_FROM_BLOCKS,
  '/rpc/register-account': 'an account needs no registration: it is there with its first transfer',
};

export function goneOperations(): Operation[] {
  return Object.entries(GONE).map(([path, reason]) =>
    operation({
      ...{ methods: [], verb: 'POST', path, scope: null, successor: null, summary: `Gone: ${reason}` },
      params: strict({}),
      query: ofChain,
      body: { forms: [{ key: null, schema: anyObject }], isRaw: true, maxBytes: MAX_GONE_BODY_BYTES },
      answers: {},
      errors: ['GONE'],
      handle: () => {
        throw new NodeError('GONE', reason, { data: { path } });
      },
    }),
  );
}
