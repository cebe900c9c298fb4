/** What a miner finds when it comes back: work that had not ended is over, and what its vouchers paid for is due. */
import type { Hash } from '../../bytes.ts';
import { bytesKey } from '../../bytes.ts';
import type { Hasher } from '../../chain/crypto/types.ts';
import { receiptId } from '../../chain/market/receipt.ts';
import type { ChainContext } from '../../chain/signing.ts';
import { NodeError } from '../../errors.ts';
import type { Row, Rows } from '../coordinator/ports.ts';
import type { AttemptState } from './attempt.ts';
import { openAttempt } from './attempt.ts';
import type { Ledger } from './ledger.ts';
import { creditOf, owedUait, withDue } from './ledger.ts';
import type { SealSecret, StoredAttempt, StoredTransaction, Sums } from './rows.ts';
import {
  gone,
  ledgerRow,
  readAttempt,
  readLedger,
  readOutput,
  readReceipt,
  readSealSecret,
  readSums,
  readTransaction,
  TABLE,
} from './rows.ts';

export interface EndedAttempt {
  readonly state: AttemptState;
  readonly pieces: Uint8Array[];
  readonly endedAtMs: number;
}

export interface Restored {
  readonly ledgers: readonly Ledger[];
  /** Whose receipt is not acknowledged. */
  readonly ended: readonly EndedAttempt[];
  readonly transactions: readonly StoredTransaction[];
  readonly sums: Sums | null;
  readonly sealSecrets: readonly SealSecret[];
  /** Jobs seen, with their highest attempt. */
  readonly fences: readonly (readonly [job: Hash, attempt: number])[];
  /** How many attempts the stop of this miner ended. */
  readonly cutOff: number;
  /** To be kept before anything is done. */
  readonly changes: readonly Row[];
}

/** @throws NodeError CORRUPT | STORAGE */
export async function restore(
  rows: Rows,
  rules: { readonly hasher: Hasher; readonly chain: ChainContext },
  nowMs: number,
): Promise<Restored> {
  const ledgers = new Map<string, Ledger>();
  const attempts: StoredAttempt[] = [];
  const outputs = new Map<string, Uint8Array[]>();
  const transactions: StoredTransaction[] = [];
  let sums: Sums | null = null;
  const sealSecrets: SealSecret[] = [];
  for await (const { key, value } of rows.load()) {
    switch (key[0]) {
      case TABLE.LEDGER: {
        const { ledger } = readLedger(key, value);
        ledgers.set(bytesKey(ledger.agreement), ledger);
        break;
      }
      case TABLE.ATTEMPT:
        attempts.push(readAttempt(key, value));
        break;
      case TABLE.RECEIPT: {
        // Rows come in order: the ledger of an agreement before its receipts, and these by their number.
        const { receipt } = readReceipt(value).receipt;
        const at = bytesKey(receipt.agreement);
        const ledger = ledgers.get(at);
        const id = receiptId(rules.hasher, rules.chain, receipt);
        if (ledger) ledgers.set(at, { ...ledger, receipts: [...ledger.receipts, id] });
        break;
      }
      case TABLE.OUTPUT:
        outputs.set(bytesKey(key.slice(1)), readOutput(value));
        break;
      case TABLE.TRANSACTION:
        transactions.push(readTransaction(key, value));
        break;
      case TABLE.SUMS:
        sums = readSums(value);
        break;
      case TABLE.SEAL_SECRET:
        sealSecrets.push(readSealSecret(key, value));
        break;
      default:
        throw new NodeError(
          'CORRUPT',
          `rows of a miner in a table ${key[0] ?? 'without number'} that it does not know`,
        );
    }
  }
  const { ended, changes, cutOff } = settleAttempts(attempts, ledgers, outputs, nowMs);
  const fences = attempts.map(({ terms }) => {
    const { job, attempt } = terms.assignment.assignment;
    return [job, attempt] as const;
  });
  return { ledgers: [...ledgers.values()], ended, transactions, sums, sealSecrets, fences, cutOff, changes };
}

function settleAttempts(
  attempts: readonly StoredAttempt[],
  ledgers: Map<string, Ledger>,
  outputs: ReadonlyMap<string, Uint8Array[]>,
  nowMs: number,
): Pick<Restored, 'ended' | 'changes' | 'cutOff'> {
  const ended: EndedAttempt[] = [];
  const changes: Row[] = [];
  for (const { terms, phase } of attempts) {
    if (phase.name === 'ended') {
      const pieces = outputs.get(bytesKey(terms.id)) ?? [];
      ended.push({ state: endedState({ terms, phase }), pieces, endedAtMs: phase.atMs });
      continue;
    }
    changes.push(gone(TABLE.ATTEMPT, terms.id));
    const { agreement, baseUait, maxUait } = terms.assignment.assignment;
    const ledger = ledgers.get(bytesKey(agreement));
    if (!ledger) continue;
    const paidFor = Math.max(0, Math.min(creditOf(ledger) - Math.max(baseUait, owedUait(ledger)), maxUait));
    const settled = withDue(ledger, paidFor, nowMs, null);
    ledgers.set(bytesKey(agreement), settled);
    changes.push(ledgerRow(settled));
  }
  return { ended, changes, cutOff: attempts.length - ended.length };
}

function endedState({ terms, phase }: StoredAttempt): AttemptState {
  const state = openAttempt(terms, 0);
  if (phase.name !== 'ended') return state;
  const { receipt } = phase.receipt;
  const { chunks, link, outputBytes, dueUait, startedAtMs, inputBytes } = receipt;
  const progress = { chunks, link, outputBytes, dueUait, startedAtMs, inputBytes };
  return { ...state, ...progress, phase: 'ended', receipt: phase.receipt };
}
