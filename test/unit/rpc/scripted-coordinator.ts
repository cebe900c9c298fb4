/** Jobs without a market: what becomes of one is said by the test, or by a rule for all. */
import { randomBytes } from 'node:crypto';
import type { Hash } from '../../../src/bytes.ts';
import { bytesKey, equalBytes, utf8 } from '../../../src/bytes.ts';
import { addressOf } from '../../../src/chain/address.ts';
import type { ListProof } from '../../../src/chain/list-root.ts';
import { signJob } from '../../../src/chain/market/job.ts';
import type { SignedOffer } from '../../../src/chain/market/offer.ts';
import { signOffer } from '../../../src/chain/market/offer.ts';
import type { ChainContext } from '../../../src/chain/signing.ts';
import type {
  Coordinator,
  JobEvent,
  JobFault,
  JobReasons,
  JobReceipt,
  JobRequest,
  JobState,
  JobView,
} from '../../../src/compute/coordinator/coordinator.ts';
import { isEnded } from '../../../src/compute/coordinator/coordinator.ts';
import type { WrongResult } from '../../../src/compute/coordinator/replay.ts';
import { NodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import type { JobOptions, JobsApi } from '../../../src/rpc/api.ts';
import { signer } from '../../util/chain-fixture.ts';
import { hashOf, makeReceipt } from '../../util/fake-receipt.ts';

interface Held {
  request: JobRequest;
  view: JobView;
  readonly pieces: Uint8Array[];
  readonly events: JobEvent[];
  receipt: JobReceipt | undefined;
  /** Set while an attempt is lost, once: what was read of it is void. */
  lost: boolean;
}

export const TINY = 'aitbc-tiny-1m';
export const HASHES = 'aitbc-hash-256';

export class ScriptedCoordinator implements Coordinator, JobsApi {
  readonly coordinator = this;
  readonly requests: JobRequest[] = [];
  readonly canceled: string[] = [];
  options: JobOptions = { maxPriceUait: 1_000_000, maxFeesUait: 0, startMs: 1_000, executionMs: 60_000 };
  /** What is offered; null: a chat model and one for vectors. */
  offered: readonly SignedOffer[];
  /** Called with every new job. */
  onJob: (id: Hash, request: JobRequest) => void = () => undefined;
  fault: NodeError | null = null;
  /** Of reads and cancellations. */
  readFault: NodeError | null = null;
  reasons: JobReasons['reasons'] = [];
  /** By job. */
  /** By receipt and root. */
  readonly places = new Map<string, ListProof>();
  readonly wrong = new Map<string, WrongResult>();
  readonly #chain: ChainContext;
  readonly #jobs = new Map<string, Held>();
  readonly #waiting = new Set<() => void>();
  readonly #listeners = new Set<(job: JobView) => void>();
  #nowMs = 1_795_000_000_000;

  constructor(chain: ChainContext) {
    this.#chain = chain;
    this.offered = [offerOf(chain)];
  }

  offers(): readonly SignedOffer[] {
    return this.offered;
  }

  /** Jobs that nobody reads from or waits for any longer hold no listener. */
  get waiting(): number {
    return this.#waiting.size + this.#listeners.size;
  }

  async submit(request: JobRequest): Promise<JobView> {
    if (this.fault) throw this.fault;
    const known = request.idempotencyKey === null ? undefined : this.#byKey(request.owner, request.idempotencyKey);
    if (known) {
      if (JSON.stringify(known.request) === JSON.stringify(request)) return known.view;
      throw new NodeError('CONFLICT', 'another request had this key');
    }
    this.requests.push(request);
    const id = new Uint8Array(randomBytes(32));
    const { kind, model, owner, maxPriceUait, totalMs } = request;
    const view: JobView = {
      ...{ id, kind, model, owner, maxPriceUait, state: 'submitted', createdAtMs: ++this.#nowMs },
      ...{ expiresAtMs: this.#nowMs + totalMs, endedAtMs: null, attempt: 0, miner: null, answeredBy: null },
      ...{ agreement: null, outputBytes: 0, spentUait: 0, feesUait: 0, fault: null, receiptId: null },
      ...{ inputTokens: null, outputTokens: null, finish: null },
    };
    this.#jobs.set(bytesKey(id), { request, view, pieces: [], events: [], receipt: undefined, lost: false });
    this.move(id, 'submitted');
    this.onJob(id, request);
    return this.#held(id).view;
  }

  /** The newest one. */
  get last(): JobView {
    const job = [...this.#jobs.values()].at(-1);
    if (!job) throw new NodeError('NOT_FOUND', 'no job was submitted');
    return job.view;
  }

  move(id: Hash, state: JobState, changes: Partial<JobView> = {}): void {
    const held = this.#held(id);
    held.view = { ...held.view, ...changes, state };
    if (isEnded(state)) held.view = { ...held.view, endedAtMs: ++this.#nowMs };
    const sequence = held.events.length + 1;
    held.events.push({ sequence, atMs: ++this.#nowMs, state, attempt: held.view.attempt, reason: held.view.fault });
    this.#wake();
    for (const listener of this.#listeners) listener(held.view);
  }

  /** A miner begins. */
  start(id: Hash): void {
    const miner = addressOf(nativeCrypto, signer('account-2').publicKey);
    const model = this.#held(id).request.model || TINY;
    this.move(id, 'running', { attempt: 1, miner, answeredBy: model, agreement: hashOf('agreement') });
  }

  give(id: Hash, piece: string | Uint8Array): void {
    const held = this.#held(id);
    const bytes = typeof piece === 'string' ? utf8(piece) : piece;
    held.pieces.push(bytes);
    held.view = { ...held.view, outputBytes: held.view.outputBytes + bytes.length, spentUait: 145 };
    this.#wake();
  }

  complete(id: Hash, changes: Partial<JobView> = {}): void {
    const held = this.#held(id);
    const { outputBytes, kind } = held.view;
    held.receipt = makeReceipt(this.#chain, { job: id, outputBytes, kind });
    const receiptId = held.receipt.id;
    this.move(id, 'completed', {
      receiptId,
      inputTokens: 9,
      outputTokens: 6,
      finish: 'stop',
      spentUait: 145,
      ...changes,
    });
  }

  /** All at once. */
  answer(id: Hash, ...pieces: readonly (string | Uint8Array)[]): void {
    this.start(id);
    for (const piece of pieces) this.give(id, piece);
    this.complete(id);
  }

  /** Done again, its work gave another result. */
  prove(id: Hash): void {
    const { view, receipt } = this.#held(id);
    if (!receipt) return;
    const { kind, createdAtMs } = view;
    const { client, inputHash } = receipt.receipt.receipt;
    const job = signJob(this.#chain, signer('session'), {
      ...{ client, inputHash, kind, createdAtMs, model: '', nonce: hashOf('nonce'), inputBytes: 3, maxOutputBytes: 99 },
      ...{ maxPriceUait: 1_000, queueMs: 1, executionMs: 1, totalMs: 1 },
    });
    this.wrong.set(bytesKey(id), { job, content: utf8('abc'), receipt: receipt.receipt, outputHash: hashOf('again') });
  }

  fail(id: Hash, fault: JobFault, state: JobState = 'failed'): void {
    this.move(id, state, { fault });
  }

  /** Who has read some of it cannot go on; the job can. */
  lose(id: Hash): void {
    const held = this.#held(id);
    held.pieces.length = 0;
    held.lost = true;
    held.view = { ...held.view, attempt: held.view.attempt + 1 };
    this.#wake();
  }

  job(id: Hash): JobView | undefined {
    return this.#jobs.get(bytesKey(id))?.view;
  }

  find(owner: string, idempotencyKey: string): JobView | undefined {
    return this.#byKey(owner, idempotencyKey)?.view;
  }

  jobs({ limit, before, owner }: { limit: number; before: Hash | null; owner: string | null }): readonly JobView[] {
    const newest = [...this.#jobs.values()].map(({ view }) => view).reverse();
    const from = before ? newest.findIndex(({ id }) => equalBytes(id, before)) + 1 : 0;
    return newest
      .slice(from)
      .filter((view) => owner === null || view.owner === owner)
      .slice(0, limit);
  }

  async cancel(id: Hash): Promise<JobView> {
    if (this.readFault) throw this.readFault;
    this.canceled.push(bytesKey(id));
    if (!isEnded(this.#held(id).view.state)) this.move(id, 'canceled', { finish: 'canceled' });
    return this.#held(id).view;
  }

  why(id: Hash): JobReasons | undefined {
    const held = this.#jobs.get(bytesKey(id));
    if (!held) return undefined;
    const { state } = held.view;
    const miner = addressOf(nativeCrypto, signer('account-2').publicKey);
    const candidates = [{ miner, score: 0.5, why: ['cheap'] }];
    return { state, summary: 'all miners are busy', reasons: this.reasons, candidates };
  }

  receipt(id: Hash): JobReceipt | undefined {
    for (const { view, receipt } of this.#jobs.values()) {
      if (receipt && (equalBytes(view.id, id) || equalBytes(receipt.id, id))) return receipt;
    }
    return undefined;
  }

  work(): undefined {
    return undefined;
  }

  placeOf(receipt: JobReceipt, root: Hash): ListProof | null {
    return this.places.get(bytesKey(receipt.id) + bytesKey(root)) ?? null;
  }

  wrongResult(id: Hash): WrongResult | undefined {
    return this.wrong.get(bytesKey(id));
  }

  async *output(id: Hash, from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    if (this.readFault) throw this.readFault;
    const held = this.#held(id);
    let skip = from;
    let given = 0;
    let index = 0;
    for (;;) {
      if (held.lost && given > 0) {
        held.lost = false;
        throw new NodeError('LEASE_LOST', 'the miner fell silent');
      }
      const piece = held.pieces[index];
      if (piece) {
        index++;
        const rest = piece.subarray(Math.min(skip, piece.length));
        skip -= piece.length - rest.length;
        given += rest.length;
        if (rest.length > 0) yield rest;
      } else if (isEnded(held.view.state)) {
        const { state, fault } = held.view;
        if (state !== 'completed' && fault) throw new NodeError(fault.code, fault.message);
        return;
      } else if (!(await this.#change(signal))) return;
    }
  }

  async *events(id: Hash, from: number, signal: AbortSignal): AsyncGenerator<JobEvent> {
    const held = this.#held(id);
    for (let at = from - 1; ; ) {
      const event = held.events[at];
      if (event) {
        at++;
        yield event;
      } else if (isEnded(held.view.state) || !(await this.#change(signal))) return;
    }
  }

  onChange(listener: (job: JobView) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#wake();
  }

  #held(id: Hash): Held {
    const held = this.#jobs.get(bytesKey(id));
    if (held) return held;
    throw new NodeError('NOT_FOUND', 'no such job');
  }

  #byKey(owner: string, key: string): Held | undefined {
    const isIt = ({ request }: Held) => request.idempotencyKey === key && request.owner === owner;
    return [...this.#jobs.values()].find(isIt);
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** @returns false when nobody waits any longer */
  #change(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = (isChange: boolean): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', onAbort);
        resolve(isChange);
      };
      const wake = (): void => {
        end(true);
      };
      const onAbort = (): void => {
        end(false);
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', onAbort);
    });
  }
}

function offerOf(chain: ChainContext): SignedOffer {
  const model = (kind: string, name: string) => ({
    ...{ kind, model: name, digest: hashOf(name), contextTokens: 512, streams: true, deterministic: true, warm: true },
    price: { fixedUait: 100, inputUaitPerKib: 10, outputUaitPerKib: 2000 },
    bytesPerSecond: 1000,
    tags: ['demo'],
  });
  return signOffer(chain, signer('account-2'), {
    ...{ name: 'm1', peer: '12D3KooMiner', addresses: [], sequence: 1_795_000_000_000, ttlMs: 300_000 },
    ...{ slots: 2, free: 2, region: '', gpus: [] },
    models: [model('llm.chat', TINY), model('text.embed', HASHES)],
  });
}
