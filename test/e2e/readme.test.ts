/** A new user's first ten minutes: the commands of README.md, run as they stand there against a node. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REPOSITORY } from '../../testnet/layout.ts';
import type { Step } from '../util/transcript.ts';
import { compareOutput, readTranscripts } from '../util/transcript.ts';
import type { TestCluster } from './support.ts';
import { startCluster } from './support.ts';

const MARK = '\u0001';

interface Printed {
  readonly output: string;
  readonly code: number;
}

describe('README.md', function () {
  this.timeout(120_000);
  let at: TestCluster;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'aitbc-readme-'));
    at = await startCluster({ validators: 1 });
    // Where `npm run testnet` has it, from where the commands are typed.
    symlinkSync(at.cluster.dataDir, join(folder, 'ait-devnet'));
  });
  after(async () => {
    await at.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** All commands in one shell, as one types them, each with all it prints and its exit code. */
  async function type(steps: readonly Step[]): Promise<Printed[]> {
    const main = join(REPOSITORY, 'src', 'cli', 'main.ts');
    const script = [
      'npx() { shift; "$NODE" "$MAIN" "$@"; }',
      ...steps.flatMap(({ command }) => [
        `{ ${command.replaceAll('.testnet/', '')}\n} 2>&1`,
        `printf '${MARK}%s${MARK}' $?`,
      ]),
    ].join('\n');
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(AITBC|XDG)_/.test(name)));
    const child = spawn('bash', ['-c', script], {
      cwd: folder,
      env: { ...env, NODE: process.execPath, MAIN: main },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    const parts = text.split(MARK);
    return steps.map((_, i) => ({ output: parts[2 * i] ?? '', code: Number(parts[2 * i + 1]) }));
  }

  it('shows commands that do what it says, and mistakes whose messages lead on', async () => {
    const steps = readTranscripts(readFileSync(join(REPOSITORY, 'README.md'), 'utf8'));
    assert(steps.filter(({ lines }) => lines.some((line) => line.startsWith('✗'))).length >= 5, 'five mistakes');
    const printed = await type(steps);
    for (const [i, step] of steps.entries()) {
      const { output = '', code } = printed[i] ?? {};
      compareOutput(step, output);
      const isMistake = step.lines.some((line) => line.startsWith('✗'));
      assert.equal(code === 0, !isMistake, `${step.command}: exit code ${code}`);
    }
  });
});
