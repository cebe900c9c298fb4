/**
 * Turns at an account: from asking for its next nonce until the node has the transaction, nobody else may ask, or both
 * would take the same nonce and one of the transactions be void.
 */
import type { Hash } from '../bytes.ts';
import { bytesKey } from '../bytes.ts';
import { NodeError } from '../errors.ts';

/** A transaction that is not sent by then has lost its turn; it may still be sent. */
export const MAX_TURN_MS = 15_000;

export interface Turn {
  /** It lasts until that transaction is with a node: see `Turns.end`. */
  keepFor(transaction: Hash): void;
  end(): void;
}

export interface Turns {
  /** One at a time, in the order asked. @throws NodeError CANCELED once closed */
  take(): Promise<Turn>;
  /** Ends the turn kept for this transaction, if there is one. */
  end(transaction: Hash): void;
  /** Ends the present turn; there is no other. */
  close(): void;
}

/** @param exclusive keeps other processes out; resolves to what lets them in again */
export function createTurns(
  exclusive: () => Promise<() => void> = () => Promise.resolve(() => undefined),
  maxTurnMs = MAX_TURN_MS,
): Turns {
  let last = Promise.resolve();
  let isClosed = false;
  let present: { readonly turn: Turn; transaction: string | null } | null = null;
  return {
    take: async () => {
      const before = last;
      const { promise, resolve } = Promise.withResolvers<undefined>();
      last = promise;
      await before;
      const release = await exclusive().catch((error: unknown) => {
        resolve(undefined);
        throw error;
      });
      if (isClosed) {
        release();
        resolve(undefined);
        throw new NodeError('CANCELED', 'the account is not used any more');
      }
      const end = (): void => {
        if (present?.turn !== turn) return;
        present = null;
        clearTimeout(timer);
        release();
        resolve(undefined);
      };
      const timer = setTimeout(end, maxTurnMs);
      const turn: Turn = {
        keepFor: (transaction) => {
          if (present?.turn === turn) present.transaction = bytesKey(transaction);
        },
        end,
      };
      present = { turn, transaction: null };
      return turn;
    },
    end: (transaction) => {
      if (present?.transaction === bytesKey(transaction)) present.turn.end();
    },
    close: () => {
      isClosed = true;
      present?.turn.end();
    },
  };
}
