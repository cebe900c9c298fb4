/** What one sender has pending, by nonce: a run that its account leads to and can pay, and what has to wait. */
import type { Account } from '../chain/accounts.ts';
import type { StateKey } from '../chain/state.ts';

export interface Queued {
  /** Fee and what the payload spends. */
  readonly costUait: number;
}

export class SenderQueue<Entry extends Queued> {
  /** Of the sender's account. */
  readonly senderKey: StateKey;
  readonly #entries = new Map<number, Entry>();
  #account: Account;
  #ready: readonly Entry[] = [];
  #end = 0;

  constructor(senderKey: StateKey, account: Account) {
    this.senderKey = senderKey;
    this.#account = account;
    this.#end = account.nonce;
  }

  /** By nonce. */
  get entries(): ReadonlyMap<number, Entry> {
    return this.#entries;
  }

  /** Those from the account's nonce on, without a gap, that its balance covers together. */
  get ready(): readonly Entry[] {
    return this.#ready;
  }

  /** The first nonce from the account's on that is not pending. */
  get end(): number {
    return this.#end;
  }

  set(nonce: number, entry: Entry, account: Account): void {
    this.#entries.set(nonce, entry);
    this.update(account);
  }

  delete(nonce: number): void {
    if (this.#entries.delete(nonce)) this.update(this.#account);
  }

  /** The account is this by now. */
  update(account: Account): void {
    this.#account = account;
    const ready: Entry[] = [];
    let costUait = 0;
    let nonce = account.nonce;
    for (let entry = this.#entries.get(nonce); entry; entry = this.#entries.get(++nonce)) {
      costUait += entry.costUait;
      if (costUait <= account.balanceUait) ready.push(entry);
    }
    this.#ready = ready;
    this.#end = nonce;
  }
}
