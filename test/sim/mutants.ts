/**
 * `npm run sim:mutants`: known ways to get agreement wrong, each put into a copy of the program, which the simulator must
 * then catch. Prints the score; fails when one survives or no longer fits the source.
 */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const RULES = 'src/consensus/rules.ts';
const VALIDATOR = 'src/engine/validator.ts';

const MUTANTS: readonly Mutant[] = [
  {
    name: 'no lock check on fresh proposals',
    file: RULES,
    from: 'polRound === -1 ? state.lockedRound === -1 : state.lockedRound <= polRound',
    to: 'polRound === -1 || state.lockedRound <= polRound',
  },
  {
    name: 'round 0 counts as unlocked',
    file: RULES,
    from: 'polRound === -1 ? state.lockedRound === -1 :',
    to: 'polRound === -1 ? state.lockedRound <= 0 :',
  },
  {
    name: 'a precommit takes no lock',
    file: RULES,
    from: '    lock(state, blockId);\n',
    to: '',
  },
  {
    name: 'lock not persisted',
    file: VALIDATOR,
    from: 'lockedRound: held.lockedRound,\n        lockedId: held.lockedId,',
    to: 'lockedRound: -1,\n        lockedId: null,',
  },
  {
    name: 'validity taken from the presence of a verdict',
    file: RULES,
    from: 'const acceptable = verdict?.valid === true && (verdict.timely || !fresh);',
    to: 'const acceptable = verdict !== null;',
  },
  {
    name: 'quorum of more than half',
    file: 'src/chain/validator-set.ts',
    from: 'return 3 * power >= 2 * set.totalPower;',
    to: 'return 2 * power > set.totalPower;',
  },
  {
    name: 'skips rounds on one vote',
    file: 'src/chain/validator-set.ts',
    from: 'return 3 * power > set.totalPower;',
    to: 'return power > 0 && set.totalPower > 0;',
  },
  {
    name: 'does not wake on a vote',
    file: 'src/consensus/machine.ts',
    from: 'return validatorIndex(state.validators, input.vote.validator) >= 0;',
    to: 'return validatorIndex(state.validators, input.vote.validator) >= Infinity;',
  },
  {
    name: 'guard written after publishing',
    file: VALIDATOR,
    from: 'await this.#save({ held, round, step: type, signedVotes: votes, signedProposals: this.#proposals });',
    to: 'void this.#save({ held, round, step: type, signedVotes: votes, signedProposals: this.#proposals }).catch(() => 0);',
  },
  {
    name: 'guard not read at the start',
    file: VALIDATOR,
    from: "if (status.kind !== 'ready' || status.record.height !== height) return null;",
    to: "if (status.kind !== 'ready' || status.record.height !== height || height > 0) return null;",
  },
  {
    name: 'guard checks nothing and is not read',
    file: VALIDATOR,
    from: "if (status.kind !== 'ready' || status.record.height !== height) return null;",
    to: "if (status.kind !== 'ready' || height > 0) { this.#guard.save = () => Promise.resolve(); return null; }",
  },
  {
    name: 'guard without the votes that justify the round',
    file: VALIDATOR,
    from: 'justification: held.justification,',
    to: 'justification: [],',
  },
  {
    name: 'guard without the polka of the valid value',
    file: VALIDATOR,
    from: 'polka: held.polka,',
    to: 'polka: null,',
  },
  {
    name: 'signs on before the block is synced',
    file: 'src/engine/ledger.ts',
    from: 'await this.store.commit([committed(applied, certificate, guard)]);',
    to: 'void this.store.commit([committed(applied, certificate, guard)]).catch(() => 0);',
  },
  {
    name: 'timeliness judged on re-proposals',
    file: RULES,
    from: '(verdict.timely || !fresh)',
    to: 'verdict.timely',
  },
  {
    name: 'votes counted by message instead of by validator',
    file: 'src/consensus/votes.ts',
    from: 'if (holds(slot, vote.blockId)) return null;',
    to: 'if (holds(slot, vote.blockId)) { this.#raise(count, power); return null; }',
  },
  {
    name: 'commits what was not found valid',
    file: RULES,
    from: 'if (candidate.verdict?.valid === true) {',
    to: 'if (candidate.verdict !== null) {',
  },
  {
    name: 'votes are not said again',
    file: 'src/engine/engine.ts',
    from: "if (machine.step === 'idle' || machine.step === 'committed') return;\n    this.#armRepair();",
    to: "if (machine.step !== 'committed') return;\n    this.#armRepair();",
  },
  {
    name: 'signatures of the last commit are not verified',
    file: 'src/engine/bodies.ts',
    from: 'const good = (await this.#headSignatures(block)) && ',
    to: 'const good = ',
  },
];

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

const root = join(import.meta.dirname, '..', '..');

async function copyProgram(folder: string): Promise<void> {
  for (const part of ['src', 'protocols', 'test/sim', 'test/util', 'package.json', 'tsconfig.json']) {
    await cp(join(root, part), join(folder, part), { recursive: true });
  }
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
}

/** @returns the first lines of what the simulator found; null when it found nothing */
async function hunt({ name, file, from, to }: Mutant): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), 'aitbc-mutant-'));
  try {
    await copyProgram(folder);
    const source = await readFile(join(folder, file), 'utf8');
    if (source.split(from).length !== 2) throw new Error(`mutant "${name}" does not fit ${file} any more`);
    await writeFile(join(folder, file), source.replace(from, to));
    return await new Promise((resolve) => {
      const args = ['test/sim/main.ts', '--seeds', values.seeds, '--bail'];
      execFile(process.execPath, args, { cwd: folder, maxBuffer: 1 << 26 }, (error, _, stderr) => {
        if (!error) resolve(null);
        else resolve(/seed \d+ (fails|does not end)[^]*?\n.*\n/.exec(stderr)?.[0].trim() ?? stderr.slice(0, 300));
      });
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

let caught = 0;
let tried = 0;
for (const mutant of MUTANTS) {
  if (values.only !== undefined && !mutant.name.includes(values.only)) continue;
  tried++;
  const found = await hunt(mutant);
  if (found !== null) caught++;
  const how = found === null ? 'SURVIVES' : found.replace(/\s+/g, ' ').slice(0, 160);
  process.stdout.write(
    values.json ? `${JSON.stringify({ mutant: mutant.name, found })}\n` : `${mutant.name}: ${how}\n`,
  );
}
process.stdout.write(`${caught} of ${tried} mutants caught within ${values.seeds} seeds\n`);
process.exitCode = caught === tried ? 0 : 1;
