/** Processes that are killed at every boundary around the sign guard, for real. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runSteps } from './signing-steps.ts';

const PROGRAM = fileURLToPath(import.meta.resolve('./signing-steps.ts'));
/** Two rounds of three. */
const SIGNATURES = 6;

/** @returns whether it was killed; false when it ended before that boundary */
async function killedAt(folder: string, run: number, boundary: number, heights = 1): Promise<boolean> {
  const args = [PROGRAM, folder, String(run), String(boundary), String(heights)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  assert.ok(signal === 'SIGKILL' || code === 0, `exit code ${code}`);
  return signal === 'SIGKILL';
}

/** @returns places at which something left, by what left there */
function published(folder: string): Map<string, Set<string>> {
  const places = new Map<string, Set<string>>();
  let text = '';
  try {
    text = readFileSync(join(folder, 'published'), 'utf8');
  } catch {
    return places;
  }
  for (const line of text.trim().split('\n')) {
    const [place = '', signature = ''] = line.split(' ');
    places.set(place, (places.get(place) ?? new Set()).add(signature));
  }
  return places;
}

function assertNoDouble(folder: string, what: string): void {
  for (const [place, signatures] of published(folder)) assert.equal(signatures.size, 1, `${what}: ${place}`);
}

describe('a validator killed around its guard', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'aitbc-signing-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('at every boundary once, says the same again and goes on', async function () {
    this.timeout(300_000);
    let boundary = 1;
    for (; ; boundary++) {
      if (!(await killedAt(folder, 1, boundary))) break;
      const before = published(folder);
      await runSteps({ folder, run: 2, killAt: 0, heights: 1 });
      assertNoDouble(folder, `boundary ${boundary}`);
      const after = published(folder);
      assert.equal(after.size, SIGNATURES, `boundary ${boundary}`);
      for (const place of before.keys()) assert.ok(after.has(place));
      rmSync(folder, { recursive: true });
      folder = mkdtempSync(join(tmpdir(), 'aitbc-signing-'));
    }
    // Per signature: a record with its four boundaries, and two of its publication.
    assert.ok(boundary > SIGNATURES * 6, String(boundary));
  });

  it('again and again, at boundaries further and further on', async function () {
    this.timeout(120_000);
    for (const first of [1, 2, 3]) {
      for (let run = 1; await killedAt(folder, run, first + 4 * run, 3); run++) {
        assertNoDouble(folder, `first ${first}, run ${run}`);
        assert.ok(run < 60, 'it gets nowhere');
      }
      assertNoDouble(folder, `first ${first}`);
      rmSync(folder, { recursive: true });
      folder = mkdtempSync(join(tmpdir(), 'aitbc-signing-'));
    }
  });
});
