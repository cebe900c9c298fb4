import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isNodeError } from '../../../src/errors.ts';
import { Prng } from '../../sim/prng.ts';
import { DAMAGES, damageFile } from '../../util/file-damage.ts';
import type { Answers, Home, Truth } from './damage-fixtures.ts';
import {
  askEverything,
  BLOCKS,
  copyHome,
  filesOf,
  makeHome,
  REFUSED,
  signAboveOf,
  truthOf,
} from './damage-fixtures.ts';
import { inFolder } from './fixtures.ts';

/** Times each kind for each file. */
const ROUNDS = Number(process.env['DAMAGE_ROUNDS'] ?? '1');

/** What a damaged home may come to. */
type Outcome = 'refused' | 'refused at a read' | 'harmless' | 'its end is lost' | 'a snapshot is lost';

/** Holds every answer against the truth. */
async function judge(home: Home, truth: Truth, whole: Answers): Promise<Outcome> {
  let found: Answers;
  try {
    found = await askEverything(home, truth);
  } catch (error) {
    assert.ok(isNodeError(error), String(error instanceof Error ? error.stack : error));
    assert.ok(error.hint, `no hint: ${error.code} ${error.message}`);
    return 'refused';
  }
  let refused = 0;
  let lost = 0;
  let snapshots = 0;
  const isEarlier = found.height < whole.height;
  if (isEarlier) assert.equal(found.stateRoot, whole.roots.get(found.height), 'a state that never was');
  for (const [question, answer] of whole.answers) {
    const given = found.answers.get(question);
    if (given === answer) continue;
    if (question.startsWith('snapshot ') && given === undefined) snapshots++;
    else if (given === REFUSED) refused++;
    else if (question.startsWith('pending ')) lost++;
    else
      assert.ok(isEarlier && isOfLater(question, answer, given, found.height), `${question}: ${given} for ${answer}`);
  }
  for (const question of found.answers.keys()) assert.ok(whole.answers.has(question), question);
  assert.equal(refused > 0, found.damages.length > 0, 'damage is told of');
  if (snapshots > 0) return 'a snapshot is lost';
  return refused > 0 ? 'refused at a read' : isEarlier || lost > 0 ? 'its end is lost' : 'harmless';
}

/** A chain that ends earlier knows nothing of what came later; its state was checked by its root. */
function isOfLater(question: string, answer: string, given: string | undefined, height: number): boolean {
  if (/^(state|proof) /.test(question)) return true;
  const at = Number(
    /^(?:block|block bytes|header|certificate|receipts) (\d+)$/.exec(question)?.[1] ?? heightIn(answer),
  );
  return given === 'none' && at > height;
}

function heightIn(answer: string): number {
  const place = JSON.parse(answer) as number | { height: number };
  return typeof place === 'number' ? place : place.height;
}

/** Damage of these shows as another identity, which the node tells its operator: nothing is in them to compare with. */
const KEYS = /(node_key|validator_key)$/;

describe('damage of any file of a home', function () {
  this.timeout(300_000);

  for (const isEncrypted of [false, true]) {
    it(`is refused, or harms no answer, with values ${isEncrypted ? 'encrypted' : 'in the open'}`, () =>
      inFolder(async (folder) => {
        const rng = new Prng(`damage/${isEncrypted}/${process.env['DAMAGE_SEED'] ?? '1'}`);
        const home = await makeHome(join(folder, 'whole'), isEncrypted);
        // Not the home itself: opening it would write the log's content into a table.
        const asked = { folder: join(folder, 'asked'), isEncrypted };
        await copyHome(home, asked.folder);
        const truth = await truthOf(asked);
        const whole = await askEverything(asked, truth);
        assert.equal(whole.height, BLOCKS);
        assert.equal([...whole.answers.values()].includes(REFUSED), false);
        const outcomes = new Map<string, number>();
        const damaged = { folder: join(folder, 'damaged'), isEncrypted };
        for (const name of await filesOf(home.folder)) {
          if (KEYS.test(name)) continue;
          for (let round = 0; round < ROUNDS; round++) {
            for (const kind of DAMAGES) {
              await copyHome(home, damaged.folder);
              const what = await damageFile(join(damaged.folder, name), kind, rng);
              const outcome = await judge(damaged, truth, whole).catch((error: unknown) => {
                throw new Error(`${name} ${what}: ${error instanceof Error ? error.message : String(error)}`, {
                  cause: error,
                });
              });
              if (outcome === 'its end is lost')
                assert.match(basename(name), /\.log$|^MANIFEST-|^CURRENT$/, `${name} ${what}`);
              if (outcome === 'a snapshot is lost') assert.match(name, /\/snapshots\//, `${name} ${what}`);
              if (name.includes('/joining/')) assert.equal(outcome, 'harmless', `${name} ${what}`);
              assert.ok((await signAboveOf(damaged)) >= BLOCKS, `${name} ${what}: signs again`);
              outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
              await rm(damaged.folder, { recursive: true });
            }
          }
        }
        process.stderr.write(`      ${[...outcomes].map(([outcome, count]) => `${outcome}: ${count}`).join(', ')}\n`);
      }));
  }
});
