/** All signatures of a transaction: its own, and those that its payload carries. None is looked at by execution. */
import type { SignatureCheck } from './crypto/types.ts';
import { INVALID_PAYLOAD, payloadOf } from './execute.ts';
import { txTypeByNumber } from './modules/table.ts';
import type { ChainContext } from './signing.ts';
import type { Transaction } from './tx.ts';
import { txCheck } from './tx.ts';

/** They depend on the transaction alone, so that it is equally good or bad on every node and at every height. */
export function txChecks(chain: ChainContext, tx: Transaction): SignatureCheck[] {
  const payload = payloadOf(tx);
  const inPayload = payload === INVALID_PAYLOAD ? [] : (txTypeByNumber(tx.type).checks?.(chain, payload) ?? []);
  return [txCheck(chain, tx), ...inPayload];
}
