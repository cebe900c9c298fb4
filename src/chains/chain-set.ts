/**
 * The chains of one node: each opened, started, stopped and started again by itself. What fails in one is kept in its
 * entry here and reaches no other.
 */
import type { Json, JsonObject } from '../chain/modules/types.ts';
import type { RunningChain } from '../chains.ts';
import { NodeError, toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { MAX_CHAINS } from '../../protocols/hello.ts';
import type { ChainNetwork } from '../../protocols/network.ts';

/** `failed`: it ended by a failure, or could not be opened; it may be started again. */
export type ChainState = 'stopped' | 'starting' | 'running' | 'failed';

export interface OpenedChain {
  readonly chain: RunningChain;
  /** The source of its genesis. */
  readonly genesisJson: Json;
  /** What others join with, signed by validators. @throws NodeError NOT_FOUND | STORAGE */
  readonly joinDocument: () => Promise<JsonObject>;
}

/** A chain as it is held at this moment. */
export interface HeldChain {
  readonly chainId: string;
  readonly state: ChainState;
  /** Why it failed; null in every other state. */
  readonly error: NodeError | null;
  /** Null unless it is open: it answers as soon as it is, also before it takes part. */
  readonly open: OpenChain | null;
}

export interface OpenChain extends OpenedChain {
  /** Aborted when it begins to stop. */
  readonly closed: AbortSignal;
}

export interface ChainSetModules {
  /** Whether this node has a chain of that name that is not among those held. */
  readonly exists: (chainId: string) => boolean;
  /** Opens what is on disk; nothing runs yet. @param onFatal to be called when the chain cannot go on */
  readonly open: (chainId: string, onFatal: (error: NodeError) => void) => Promise<OpenedChain>;
  readonly join: (chain: RunningChain) => Promise<ChainNetwork>;
  /** Starts what runs beside a chain while it runs, and must end before it. @returns ends it; neither fails */
  readonly beside?: (open: OpenChain) => Promise<() => Promise<void>>;
  /** Called after a chain is gone, whatever ended it. */
  readonly onClosed: (chainId: string) => Promise<void>;
  readonly log: Logger;
}

interface Slot {
  readonly chainId: string;
  state: ChainState;
  error: NodeError | null;
  open: OpenChain | null;
  closing: AbortController;
  endBeside: (() => Promise<void>) | null;
  /** What is being done to it; one thing at a time. */
  work: Promise<void> | null;
}

export class ChainSet {
  readonly #modules: ChainSetModules;
  /** The first is the default. */
  readonly #slots = new Map<string, Slot>();
  #closed = false;

  /** @param chainIds those of the configuration, the default first */
  constructor(chainIds: readonly string[], modules: ChainSetModules) {
    this.#modules = modules;
    for (const chainId of chainIds) this.#add(chainId);
  }

  /** The default first, then as they came. */
  list(): readonly HeldChain[] {
    return [...this.#slots.values()];
  }

  get running(): number {
    return this.list().filter(({ state }) => state === 'running').length;
  }

  /** Asked for by people who name no chain: the first of the configuration, whatever its state. */
  get defaultChainId(): string {
    return this.list()[0]?.chainId ?? '';
  }

  /** @throws NodeError UNKNOWN_CHAIN naming those held */
  get(chainId: string): HeldChain {
    return this.#slots.get(chainId) ?? this.#unknown(chainId);
  }

  /**
   * Opens every chain of the configuration at once; `joinAll` then starts those that could be opened.
   *
   * @throws NodeError of the first one when none can be opened
   */
  async openAll(): Promise<void> {
    await this.#each((slot) => this.#open(slot));
  }

  /** @throws NodeError of the first one when none can be started */
  async joinAll(): Promise<void> {
    await this.#each((slot) => this.#join(slot));
  }

  /**
   * Starts a chain that is held and does not run, or one that was added to the data folder since. One that runs is left
   * as it is.
   *
   * @throws NodeError UNKNOWN_CHAIN | TOO_LARGE | CONFLICT while it is being started or stopped | what keeps it from
   *   starting, which is its state from then on
   */
  async start(chainId: string): Promise<void> {
    const slot = this.#slots.get(chainId) ?? this.#added(chainId);
    this.#requireIdle(slot);
    if (slot.state === 'running') return;
    await this.#work(slot, async () => {
      await this.#open(slot);
      await this.#join(slot);
    });
  }

  /** Stops a chain; one that does not run is left as it is, without its failure. @throws NodeError as `start` */
  async stop(chainId: string): Promise<void> {
    const slot = this.#slots.get(chainId) ?? this.#unknown(chainId);
    this.#requireIdle(slot);
    slot.state = 'stopped';
    slot.error = null;
    await this.#work(slot, () => this.#end(slot));
    this.#modules.log.info('chain stopped', { chain: chainId });
  }

  /** Stops all; nothing is started any more. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(
      [...this.#slots.values()].map(async (slot) => {
        await slot.work?.catch(() => undefined);
        slot.state = 'stopped';
        await this.#end(slot);
      }),
    );
  }

  // One chain

  async #open(slot: Slot): Promise<void> {
    slot.state = 'starting';
    slot.error = null;
    slot.closing = new AbortController();
    try {
      const opened = await this.#modules.open(slot.chainId, (error) => {
        this.#onFatal(slot, error);
      });
      slot.open = { ...opened, closed: slot.closing.signal };
    } catch (error) {
      throw await this.#failed(slot, error);
    }
  }

  async #join(slot: Slot): Promise<void> {
    if (!slot.open) return;
    const { chain } = slot.open;
    try {
      await chain.start(await this.#modules.join(chain));
      slot.endBeside = (await this.#modules.beside?.(slot.open)) ?? null;
      this.#refuseFailed(slot);
      slot.state = 'running';
      this.#modules.log.info('chain is running', { chain: slot.chainId, height: chain.ledger.tip.height });
    } catch (error) {
      throw await this.#failed(slot, error);
    }
  }

  /** A failure may come before the start returns. */
  #refuseFailed({ error }: Slot): void {
    if (error) throw error;
  }

  /** Not from within the part that fails: it is about to be stopped itself. */
  #onFatal(slot: Slot, error: NodeError): void {
    if (slot.state === 'starting') slot.error = error;
    if (slot.state !== 'running') return;
    const { open } = slot;
    slot.state = 'failed';
    slot.error = error;
    setImmediate(() => {
      if (slot.open !== open || slot.work) return;
      void this.#work(slot, async () => {
        await this.#failed(slot, error);
      });
    });
  }

  /** Closes what is open and keeps why. @returns the failure with its code */
  async #failed(slot: Slot, thrown: unknown): Promise<NodeError> {
    const error = toNodeError(thrown);
    slot.state = 'failed';
    slot.error = error;
    const { chainId } = slot;
    this.#modules.log.error('chain failed', { chain: chainId, error, again: `aitbc chain start ${chainId}` });
    await this.#end(slot);
    return error;
  }

  /** Never throws: what cannot be closed must not hold up others. */
  async #end(slot: Slot): Promise<void> {
    const { open, chainId, endBeside } = slot;
    slot.open = slot.endBeside = null;
    slot.closing.abort();
    try {
      await endBeside?.();
      await open?.chain.stop();
      await this.#modules.onClosed(chainId);
    } catch (error) {
      this.#modules.log.warn('a chain did not stop cleanly', { chain: chainId, error: toNodeError(error) });
    }
  }

  // All of them

  /** @throws NodeError of the first chain when all that are starting fail */
  async #each(step: (slot: Slot) => Promise<void>): Promise<void> {
    const slots = [...this.#slots.values()].filter(({ state }) => state !== 'failed');
    await Promise.all(slots.map((slot) => this.#work(slot, () => step(slot)).catch(() => undefined)));
    const [first] = this.list();
    if (first?.error && this.list().every(({ state }) => state === 'failed')) throw first.error;
  }

  async #work(slot: Slot, act: () => Promise<void>): Promise<void> {
    const work = act();
    slot.work = work;
    try {
      await work;
    } finally {
      slot.work = null;
    }
  }

  #requireIdle({ chainId, work, state }: Slot): void {
    if (this.#closed) throw new NodeError('CONFLICT', 'the node is stopping', { data: { chainId } });
    if (!work) return;
    throw new NodeError('CONFLICT', `chain ${chainId} is being ${state === 'starting' ? 'started' : 'stopped'}`, {
      data: { chainId },
      hint: 'try again shortly; aitbc chain list shows what it does',
    });
  }

  #add(chainId: string): Slot {
    if (this.#slots.size >= MAX_CHAINS) {
      throw new NodeError('TOO_LARGE', `a node holds at most ${MAX_CHAINS} chains`, { data: { cap: MAX_CHAINS } });
    }
    const slot: Slot = {
      ...{ chainId, state: 'stopped' as const, error: null, open: null, work: null },
      closing: new AbortController(),
      endBeside: null,
    };
    this.#slots.set(chainId, slot);
    return slot;
  }

  #added(chainId: string): Slot {
    return this.#modules.exists(chainId) ? this.#add(chainId) : this.#unknown(chainId);
  }

  #unknown(chainId: string): never {
    const held = [...this.#slots.keys()].join(', ');
    throw new NodeError('UNKNOWN_CHAIN', `this node holds no chain ${chainId}; it holds ${held}`, {
      data: { chain_id: chainId, chains: held },
      hint: 'name one of those, or ask a node of that chain',
    });
  }
}
