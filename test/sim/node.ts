/** One machine of the cluster: its disk and clock last, its processes come and go. */
import { bytesKey, equalBytes } from '../../src/bytes.ts';
import type { Signer } from '../../src/chain/crypto/types.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import type { RunningChain } from '../../src/chains.ts';
import { openChain } from '../../src/chains.ts';
import type { NodeError } from '../../src/errors.ts';
import { toNodeError } from '../../src/errors.ts';
import type { LogContext, Logger } from '../../src/log.ts';
import { nopRegister } from '../../src/metrics.ts';
import type { Topic, Topics } from '../../protocols/messages.ts';
import type { ChainHandlers, ChainNetwork, PeerId } from '../../protocols/network.ts';
import { openSignGuard } from '../../src/store/guard.ts';
import type { Checker } from './checker.ts';
import { GuardCare } from './guard-care.ts';
import type { Files, WriteFate } from './disk.ts';
import { ProcessDisk, simGuardDisk } from './disk.ts';
import type { SimNetwork } from './network.ts';
import type { Plan } from './plan.ts';
import type { Prng } from './prng.ts';
import { simCrypto, simSigner, simVerifier } from './signatures.ts';
import { SimStore, StoredChain } from './store.ts';
import type { VirtualTime } from './time.ts';
import { MachineClock } from './time.ts';
import type { Trace } from './trace.ts';

/** What a machine needs of the run it is part of. */
export interface Surroundings {
  readonly plan: Plan;
  readonly genesis: Genesis;
  readonly time: VirtualTime;
  readonly network: SimNetwork;
  readonly checker: Checker;
  readonly trace: Trace;
  /** While true, disks fail and crash. */
  faultsOn(): boolean;
  /** The process ended by itself: a crash at a write, or an error after which nothing may go on. */
  onEnd(node: SimNode, why: string): void;
  /** A traitor's process acts through this. */
  corrupt(node: SimNode, handlers: ChainHandlers, network: ChainNetwork): ChainNetwork;
  listen(node: SimNode, handlers: ChainHandlers): ChainHandlers;
}

interface Process {
  readonly disk: ProcessDisk;
  alive: boolean;
  chain: RunningChain | null;
}

/** What is in a data folder. */
interface Folder {
  readonly stored: StoredChain;
  readonly guards: ReadonlyMap<string, Files>;
}

/** Far fewer than a node keeps, so that short runs prune too. */
const PRUNED_TO_BLOCKS = 8;

export class SimNode {
  readonly index: number;
  readonly id: PeerId;
  readonly name: string;
  readonly isTraitor: boolean;
  readonly clock: MachineClock;
  readonly #around: Surroundings;
  readonly #rng: Prng;
  #stored = new StoredChain();
  #guards = new Map<string, Files>();
  #backup: Folder | null = null;
  #isRestored = false;
  /** Of the sign guard. */
  readonly care: GuardCare;
  /** The process that signed since the folder was put back; what it signed is on the disk once it publishes. */
  #signing: Process | null = null;
  /** When several blocks came at once, by catching up; null after a single one. */
  #importedAtMs: number | null = null;
  #process: Process | null = null;
  #stopping = false;

  constructor(index: number, around: Surroundings, rng: Prng) {
    this.index = index;
    this.id = `peer-${index}`;
    this.name = `validator-${index}`;
    this.isTraitor = around.plan.traitors.includes(index);
    this.clock = new MachineClock(around.time);
    this.#around = around;
    this.#rng = rng;
    this.care = new GuardCare({
      fail: (message) => {
        around.checker.fail(`${message} (node ${index})`);
      },
      count: (name) => {
        around.trace.count(name);
        around.trace.say(index, name);
      },
    });
  }

  get publicKey(): Uint8Array {
    return simSigner(this.name).publicKey;
  }

  /** Null while the process is down or not yet put together. */
  get chain(): RunningChain | null {
    return this.#process?.chain ?? null;
  }

  get stored(): StoredChain {
    return this.#stored;
  }

  /** An older copy of its folder was put back, and nothing signed since is on its disk. */
  get isRestored(): boolean {
    return this.#isRestored;
  }

  /** Height of the copy of the folder; null without one. */
  get backupHeight(): number | null {
    return this.#backup?.stored.height ?? null;
  }

  /** It signs nothing at this height, rightly. */
  sitsOut(height: number): boolean {
    const floor = this.chain ? this.care.floor : this.care.floorAfterStart(this.#stored.height);
    return this.#isRestored || this.care.isLost || height <= floor;
  }

  /** The block store knows of a guard. */
  get hasGuard(): boolean {
    return this.care.isKnownAt(this.#stored.height);
  }

  /** The files of its sign guard are gone, the blocks are as they were. */
  loseGuard(): void {
    this.crash('crashes');
    this.#guards.delete(bytesKey(this.publicKey));
    this.care.onLoss();
    // The word is of old: it must find that out as if its folder were.
    if (this.care.word !== null) this.#isRestored = true;
    this.#signing = null;
  }

  backUp(): void {
    this.#backup = { stored: this.#stored.copy(), guards: copyGuards(this.#guards) };
  }

  /** The whole folder, block store and sign guard, is replaced by the copy. */
  restore(): void {
    const backup = this.#backup;
    if (!backup) return;
    this.crash('crashes');
    this.#around.trace.count('folder restored');
    this.#around.trace.say(this.index, `an older copy of its folder is put back: ${backup.stored.height}`);
    this.#around.checker.onRestore(this.index, this.publicKey, backup.stored.height);
    this.#stored = backup.stored;
    this.#guards = copyGuards(backup.guards);
    this.#backup = null;
    this.#isRestored = true;
    this.#signing = null;
    this.care.onRestore();
  }

  get isUp(): boolean {
    return this.#process !== null;
  }

  get isStopping(): boolean {
    return this.#stopping;
  }

  start(): void {
    if (this.#process) return;
    const { time, checker } = this.#around;
    const process: Process = {
      alive: true,
      chain: null,
      disk: new ProcessDisk(
        {
          fate: (what) => this.#fate(what),
          latencyMs: () => this.#diskMs(),
          after: (ms, run) => time.after(ms, run),
          crash: (boundary) => {
            this.#around.trace.count(`crash ${boundary}`);
            this.#end(`crash, ${boundary} the write`);
          },
        },
        this.#rng,
      ),
    };
    this.#process = process;
    this.#run(process).catch((error: unknown) => {
      if (!process.alive) return;
      const { code, message, stack = '' } = toNodeError(error);
      if (code !== 'STORAGE') checker.fail(`start: node ${this.index}: ${code} ${message} ${stack}`);
      this.#end(`does not start: ${message}`);
    });
  }

  /** The process ends between two events, or the machine loses power. */
  crash(why: string): void {
    if (this.#process) this.#end(why);
  }

  /** Ends it as an operator does. Resolves when it has stopped by itself. */
  async stop(): Promise<void> {
    const process = this.#process;
    if (!process?.chain || this.#stopping) return;
    this.#stopping = true;
    await process.chain.stop();
    if (process === this.#process) this.#end('stopped');
  }

  #end(why: string): void {
    const process = this.#process;
    if (!process) return;
    process.alive = false;
    process.disk.end();
    this.care.isWriting = false;
    this.#process = null;
    this.#stopping = false;
    this.#around.network.leave(this.id);
    this.#around.trace.say(this.index, why);
    this.#around.onEnd(this, why);
  }

  async #run(process: Process): Promise<void> {
    const { genesis, time, plan, checker, network, trace } = this.#around;
    const clock = this.clock.forProcess(() => process.alive);
    const store = new SimStore(this.#stored, process.disk, (blocks) => {
      checker.onCommit(this.index, blocks);
      this.care.onCommit(this.#stored.height);
      this.#importedAtMs = blocks.length > 1 ? time.nowMs : null;
      for (const { block, blockId, certificate } of blocks) {
        trace.commit(this.index, block.header.height, certificate.round, blockId, block.txs.length);
      }
    });
    const signer = this.#signer(process);
    const guard = await openSignGuard({
      folder: 'simulated',
      ...genesis.chain,
      publicKey: signer.publicKey,
      store: { sequence: store.guardSequence(signer.publicKey), height: store.head()?.height ?? 0 },
      disk: simGuardDisk(this.#files(), process.disk, this.#rng, plan.tornSectors),
    });
    await this.care.open(guard, store.head()?.height ?? 0);
    const verifier = simVerifier({
      delayMs: () => (plan.verifyMs > 0 ? this.#rng.between(0, plan.verifyMs) : 0),
      isFull: () => this.#around.faultsOn() && this.#rng.chance(0.001),
      after: (ms, run) => time.after(ms, run),
    });
    const chain = await openChain(
      {
        timeouts: plan.timeouts,
        retainedBlocks: plan.pruner === this.index ? PRUNED_TO_BLOCKS : Infinity,
        mempool: plan.mempool,
      },
      {
        genesis,
        crypto: simCrypto,
        verifier,
        store,
        signing: { signer, guard },
        snapshots: null,
        joining: null,
        clock,
        log: this.#logger('chain'),
        metrics: nopRegister,
        onFatal: (error) => {
          this.#onFatal(process, error);
        },
      },
    );
    if (!process.alive) return;
    process.chain = chain;
    checker.onOpen(this.index, chain);
    const handlers = this.isTraitor ? this.#around.listen(this, chain.handlers) : chain.handlers;
    const joined = network.join(this.id, handlers);
    await chain.start(this.isTraitor ? this.#around.corrupt(this, chain.handlers, joined) : joined);
  }

  #signer(process: Process): Signer {
    const signer = simSigner(this.name);
    return {
      publicKey: signer.publicKey,
      sign: (message) => {
        // What a process does after its end never leaves it.
        if (this.#around.checker.onSign(this.index, signer.publicKey, message) && process.alive) this.#onSign(process);
        return signer.sign(message);
      },
    };
  }

  onPublish(topic: Topic, message: Topics[Topic]): void {
    if (this.#signing === null || this.#signing !== this.#process) return;
    const height = ownHeight(this.publicKey, topic, message);
    if (height === null) return;
    this.#isRestored = false;
    if (this.care.onSigned(height) && this.#rng.chance(0.5)) this.care.dropWord();
  }

  #onSign(process: Process): void {
    const { checker, time } = this.#around;
    this.#signing = process;
    const isCatchingUp = this.chain !== null && this.chain.sync.progress !== null;
    if (!isCatchingUp) this.#importedAtMs = null;
    // Of the same moment is what began before the blocks were there.
    if (this.#importedAtMs !== null && this.#importedAtMs < time.nowMs) {
      checker.fail(`catching up: node ${this.index} signs while blocks are being fetched`);
    }
  }

  #onFatal(process: Process, error: NodeError): void {
    if (error.code !== 'STORAGE') {
      this.#around.checker.fail(`fatal: node ${this.index}: ${error.code} ${error.message} ${error.stack ?? ''}`);
    }
    this.#around.trace.count(`fatal ${error.code}`);
    this.#around.time.after(1, () => {
      if (process === this.#process) this.#end(`ends: ${error.message}`);
    });
  }

  #files(): Files {
    const key = bytesKey(this.publicKey);
    let files = this.#guards.get(key);
    if (!files) {
      files = new Map();
      this.#guards.set(key, files);
    }
    return files;
  }

  #fate(what: 'guard' | 'store'): WriteFate {
    const { plan } = this.#around;
    if (!this.#around.faultsOn()) return 'ok';
    if (what === 'guard' && this.care.isWriting && this.#rng.chance(0.2)) {
      return this.#rng.pick(['crash-before', 'crash-during', 'crash-after'] as const);
    }
    // A block is written far less often than the guard.
    if (!this.#rng.chance(plan.writeFaults * (what === 'store' ? 3 : 1))) return 'ok';
    return this.#rng.pick(['EIO', 'ENOSPC', 'crash-before', 'crash-during', 'crash-after', 'crash-after'] as const);
  }

  #diskMs(): number {
    const { diskMs } = this.#around.plan;
    if (diskMs === 0) return 0;
    if (this.#around.faultsOn() && this.#rng.chance(0.002)) return this.#rng.between(100, 3_000);
    return this.#rng.between(0, diskMs);
  }

  /** Errors that no fault of the surroundings explains. */
  #judgeError(message: string, context: LogContext = {}): void {
    const error = context['error'];
    const code = error === undefined ? '' : toNodeError(error).code;
    if (code === 'INTERNAL' || code === 'WOULD_DOUBLE_SIGN' || code === 'GUARD') {
      this.#around.checker.fail(`error: node ${this.index}: ${message}: ${toNodeError(error).message}`);
    }
  }

  #logger(module: string): Logger {
    const { trace } = this.#around;
    const say =
      (level: string) =>
      (message: string, context?: LogContext): void => {
        trace.log(this.index, level, `${module}: ${message}`, context);
        if (message === 'proposed block is invalid' && !this.isTraitor) {
          this.#around.checker.onRefuted(this.index, String(context?.['blockId']));
        }
        if (level === 'error' && !this.isTraitor) this.#judgeError(message, context);
      };
    return {
      error: say('error'),
      warn: say('warn'),
      info: say('info'),
      debug: say('debug'),
      child: (name) => this.#logger(name),
    };
  }
}

/** Of a vote or proposal in the message that is by the key; null without one. */
function ownHeight(key: Uint8Array, topic: Topic, message: Topics[Topic]): number | null {
  if (topic === 'proposal') {
    const { proposal } = message as Topics['proposal'];
    return equalBytes(proposal.proposer, key) ? proposal.height : null;
  }
  if (topic !== 'vote') return null;
  return (message as Topics['vote']).votes.find(({ validator }) => equalBytes(validator, key))?.height ?? null;
}

function copyGuards(guards: ReadonlyMap<string, Files>): Map<string, Files> {
  return new Map([...guards].map(([key, files]) => [key, new Map(files)]));
}
