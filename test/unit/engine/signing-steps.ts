/**
 * A validator that signs heights, rounds and steps in order, with the real guard on a real disk, and kills itself at a
 * given boundary: around every write, in the middle of one, before and after what is signed leaves. What left is in the file `published`, one signature a line. Each run would sign other things than the
 * one before, if its guard let it.
 *
 *     node signing-steps.ts FOLDER RUN BOUNDARY HEIGHTS
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { equalBytes, toHex } from '../../../src/bytes.ts';
import type { Block } from '../../../src/chain/block.ts';
import { blockId, decodeBlock } from '../../../src/chain/block.ts';
import { getSets } from '../../../src/chain/modules/validators-state.ts';
import type { Held, HeldBody } from '../../../src/engine/validator.ts';
import { Validator } from '../../../src/engine/validator.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { guardFolder, openSignGuard } from '../../../src/store/guard.ts';
import type { DiskPart, GuardDisk } from '../../../src/store/guard-disk.ts';
import { nodeGuardDisk } from '../../../src/store/guard-disk.ts';
import { SECTOR_BYTES } from '../../../src/store/guard-slot.ts';
import { ChainDriver } from '../../util/chain-driver.ts';
import { fixtureGenesis, signer } from '../../util/chain-fixture.ts';

const STEPS = ['propose', 'prevote', 'precommit'] as const;
const ROUNDS = 2;

export interface StepsOptions {
  readonly folder: string;
  /** Decides what this run would sign. */
  readonly run: number;
  /** The process is killed at this boundary, counted from 1; 0: never. */
  readonly killAt: number;
  readonly heights: number;
}

/** Counts boundaries, and ends the process at one of them as a kill -9 does. */
class Boundaries {
  readonly #killAt: number;
  #passed = 0;

  constructor(killAt: number) {
    this.#killAt = killAt;
  }

  pass(): void {
    if (++this.#passed === this.#killAt) process.kill(process.pid, 'SIGKILL');
  }
}

class DyingDisk implements GuardDisk {
  readonly #disk: GuardDisk;
  readonly #boundaries: Boundaries;

  constructor(disk: GuardDisk, boundaries: Boundaries) {
    this.#disk = disk;
    this.#boundaries = boundaries;
  }

  read(name: string, maxBytes: number): Promise<Uint8Array | undefined> {
    return this.#disk.read(name, maxBytes);
  }

  async writeSynced(name: string, parts: readonly DiskPart[]): Promise<void> {
    this.#boundaries.pass();
    const isNew = (await this.#disk.read(name, 0)) === undefined;
    if (isNew) await this.#disk.writeSynced(name, parts);
    else
      for (const { at, bytes } of parts) {
        // Half of its sectors: less than one is not written.
        const half = SECTOR_BYTES * Math.floor(bytes.length / SECTOR_BYTES / 2);
        await this.#disk.writeSynced(name, [{ at, bytes: bytes.subarray(0, half) }]);
        this.#boundaries.pass();
        await this.#disk.writeSynced(name, [{ at: at + half, bytes: bytes.subarray(half) }]);
        this.#boundaries.pass();
      }
    this.#boundaries.pass();
  }

  remove(name: string): Promise<void> {
    return this.#disk.remove(name);
  }

  close(): Promise<void> {
    return this.#disk.close();
  }
}

/** @throws Error when the guard is not certain, or lets a contradiction pass */
export async function runSteps({ folder, run, killAt, heights }: StepsOptions): Promise<void> {
  const genesis = fixtureGenesis({ timeMs: 900_000 });
  const key = signer('validator-0');
  const boundaries = new Boundaries(killAt);
  const witnessFile = join(folder, 'witness');
  const witness = existsSync(witnessFile)
    ? (JSON.parse(readFileSync(witnessFile, 'utf8')) as { sequence: number; height: number })
    : { sequence: 0, height: 0 };
  const guard = await openSignGuard({
    ...genesis.chain,
    folder,
    publicKey: key.publicKey,
    store: witness,
    disk: new DyingDisk(nodeGuardDisk(guardFolder(folder, key.publicKey)), boundaries),
  });
  if ('reason' in guard.status) throw new Error(`${guard.status.kind}: ${guard.status.reason}`);
  const validator = new Validator(genesis.chain, key, guard);
  const publish = (place: string, signature: Uint8Array): void => {
    boundaries.pass();
    appendFileSync(join(folder, 'published'), `${place} ${toHex(signature)}\n`);
    boundaries.pass();
  };
  for (let height = witness.height + 1; height <= heights; height++) {
    await signHeight(validator, genesis, height, run, publish);
    writeFileSync(witnessFile, JSON.stringify({ sequence: guard.sequence, height }), { flush: true });
    boundaries.pass();
  }
  await guard.close();
}

async function signHeight(
  validator: Validator,
  genesis: ReturnType<typeof fixtureGenesis>,
  height: number,
  run: number,
  publish: (place: string, signature: Uint8Array) => void,
): Promise<void> {
  const driver = new ChainDriver(genesis, ['validator-0', 'validator-1', 'validator-2']);
  const { block } = driver.build();
  const fresh = (round: number): HeldBody => {
    const timeMs = genesis.timeMs + 10_000 * run + 100 * height + round;
    const header = { ...block.header, height, timeMs, proposer: validator.publicKey };
    return { blockId: blockId(nativeCrypto, header), block: { ...block, header } };
  };
  const resumption = validator.begin(height, getSets(driver.tip.state).current, []);
  const values = (resumption?.values ?? []).map((bytes): HeldBody => {
    const value: Block = decodeBlock(nativeCrypto, bytes);
    return { blockId: blockId(nativeCrypto, value.header), block: value };
  });
  for (const { round, type, signature } of validator.signedVotes) publish(`${height}/${round}/${type}`, signature);
  for (const { round, signature } of resumption?.resume.proposals ?? []) {
    publish(`${height}/${round}/propose`, signature);
  }
  const signed = new Set([
    ...validator.signedVotes.map(({ round, type }) => `${round}/${type}`),
    ...(resumption?.resume.proposals ?? []).map(({ round }) => `${round}/propose`),
  ]);
  let locked = values.find(
    ({ blockId: id }) => resumption?.resume.lockedId && equalBytes(id, resumption.resume.lockedId),
  );
  let lockedRound = resumption?.resume.lockedRound ?? -1;
  const ownId = resumption?.ownProposal?.proposal.blockId;
  let proposed = values.find(({ blockId: id }) => ownId && equalBytes(id, ownId));
  const held = (): Held => ({
    height,
    lockedRound,
    lockedId: locked?.blockId ?? null,
    validRound: lockedRound,
    validId: locked?.blockId ?? null,
    justification: [],
    polka: null,
    bodies: locked ? [locked] : [],
  });
  await contradict(validator, signed, held(), fresh(99).blockId);
  for (let round = 0; round < ROUNDS; round++) {
    for (const step of STEPS) {
      if (signed.has(`${round}/${step}`)) continue;
      if (step === 'propose') {
        proposed = locked ?? fresh(round);
        const { header, lastCommit, evidence } = proposed.block;
        const core = { height, round, polRound: -1, blockId: proposed.blockId };
        const unsigned = { attempt: 0, header, lastCommit, evidence, txIds: [], polka: null };
        const { proposal } = await validator.propose(unsigned, core, held(), proposed.block);
        publish(`${height}/${round}/propose`, proposal.signature);
        continue;
      }
      if (step === 'precommit' && proposed && round === 0) {
        locked = proposed;
        lockedRound = round;
      }
      // Round 1 ends with nil, so that what is voted changes with rounds, steps and runs.
      const voted = round === 0 ? (proposed?.blockId ?? null) : step === 'prevote' ? (locked?.blockId ?? null) : null;
      const { signature } = await validator.vote(step, round, voted, held());
      publish(`${height}/${round}/${step}`, signature);
    }
  }
}

/** Nothing that was signed can be signed otherwise, whatever asks for it. */
async function contradict(validator: Validator, signed: Set<string>, held: Held, other: Uint8Array): Promise<void> {
  for (const place of signed) {
    const [round, step] = place.split('/');
    if (step !== 'prevote' && step !== 'precommit') continue;
    try {
      await validator.vote(step, Number(round), other, held);
    } catch (error) {
      if (isNodeError(error) && error.code === 'WOULD_DOUBLE_SIGN') continue;
      throw error;
    }
    throw new Error(`signed ${place} twice`);
  }
}

if (import.meta.main) {
  const [folder = '', run = '0', killAt = '0', heights = '2'] = process.argv.slice(2);
  await runSteps({ folder, run: Number(run), killAt: Number(killAt), heights: Number(heights) });
}
