/**
 * `npm run sim:mutants`: known ways to get agreement wrong, each put into a copy of the program, which the simulator must
 * then catch. Prints the score; fails when one survives or no longer fits the source.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { toNodeError } from '../../src/errors.ts';
import { hunt } from './mutant-hunt.ts';
import type { Mutant } from './mutant-list.ts';
import { MUTANTS } from './mutant-list.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '300' },
    /** Those with this in their name. */
    only: { type: 'string', default: '' },
    jobs: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    json: { type: 'boolean', default: false },
  },
});

const seeds = Number(values.seeds);
const waiting = MUTANTS.filter(({ name }) => name.includes(values.only));
const tried = waiting.length;
let caught = 0;

async function judge(mutant: Mutant): Promise<void> {
  const startMs = performance.now();
  const found = await hunt(mutant, seeds).catch((error: unknown) => ({ error: toNodeError(error).message }));
  const seconds = Math.round((performance.now() - startMs) / 1000);
  if (found && 'seed' in found) caught++;
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ mutant: mutant.name, seconds, caught: found })}\n`);
    return;
  }
  const how =
    found === null
      ? 'SURVIVES'
      : 'error' in found
        ? `NOT TRIED: ${found.error}`
        : `seed ${found.seed}: ${found.violation.slice(0, 140)}`;
  process.stdout.write(`${mutant.name}: ${how} (${seconds} s)\n`);
}

async function work(): Promise<void> {
  for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) await judge(mutant);
}

await Promise.all(Array.from({ length: Number(values.jobs) }, work));
if (values.json) process.stdout.write(`${JSON.stringify({ caught, tried, seeds })}\n`);
else process.stdout.write(`${caught} of ${tried} mutants caught within ${seeds} seeds\n`);
process.exitCode = caught === tried ? 0 : 1;
