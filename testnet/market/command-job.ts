/** A job of the command line: `aitbc job run`, and `aitbc job watch` whenever the one before ended without an answer. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listRuns, RECEIPT_FILE } from '../../src/cli/jobs/runs.ts';
import { ERRORS } from '../../src/errors.ts';
import { CHILD_PRELOAD, COMPILE_CACHE, NODE_PROGRAM } from '../layout.ts';
import { orderEnvironment } from '../node-process.ts';
import type { ProcessId } from '../processes.ts';
import { processId } from '../processes.ts';
import type { JobOutcome } from './outcome.ts';
import { outcomeOf } from './outcome.ts';
import { OUTPUT, slowWriter } from './program.ts';

/** Of one job, killed or not; whoever waits for a node that is down is told so, and asks again. */
const JOB_MS = 120_000;
const AGAIN_MS = 500;

export interface CommandJobOptions {
  /** Its own. */
  readonly home: string;
  readonly rpc: string;
  readonly keyFile: string;
  /** Path that its kill orders begin with. */
  readonly killPoints: string;
}

export const WORK = {
  kind: 'wasm.run',
  max_output_bytes: 16 * 1024,
  parts: [{ media_type: 'application/wasm', base64: slowWriter() }],
};

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class CommandJob {
  readonly #options: CommandJobOptions;
  readonly #specPath: string;
  #child: ChildProcess | null = null;
  #running: Promise<Ended>;
  #isOver = false;

  constructor(options: CommandJobOptions) {
    this.#options = options;
    mkdirSync(options.home, { recursive: true });
    this.#specPath = join(options.home, 'job.yaml');
    writeFileSync(this.#specPath, JSON.stringify({ ...WORK, max_price: '1ait', queue: '2m', execution: '30s' }));
    this.#running = this.#run('job', 'run', this.#specPath);
  }

  get process(): ProcessId | undefined {
    return this.#child?.pid === undefined ? undefined : processId(this.#child.pid);
  }

  /** Ended, in whatever way. */
  get isOver(): boolean {
    return this.#isOver;
  }

  async finish(): Promise<JobOutcome> {
    const deadline = performance.now() + JOB_MS;
    for (let resumed = 0; ; resumed++) {
      const ended = await this.#running;
      const [run] = await listRuns(this.#options.home);
      const isDone = ended.code === 0 || ended.code === ERRORS.JOB_FAILED.exit;
      if (isDone && run) {
        const answer = (JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '{}') as { answer?: string }).answer;
        const receipt = readJson<Parameters<typeof outcomeOf>[1]>(join(run.folder, RECEIPT_FILE));
        const outcome = outcomeOf(run.record.job, receipt, answer ?? null, OUTPUT, resumed);
        const isValid = /Receipt valid/.test(ended.stderr);
        return isValid ? outcome : { ...outcome, faults: [...outcome.faults, `no valid receipt: ${lastLine(ended)}`] };
      }
      if (performance.now() > deadline) throw new Error(`the job did not end: exit ${ended.code}, ${lastLine(ended)}`);
      if (resumed > 0) await sleep(AGAIN_MS);
      const id = run?.record.job.job_id;
      const isUnsent = errorCodeOf(ended) === 'NOT_FOUND';
      // Nothing was kept, or nothing had left: it was never begun.
      this.#running =
        id === undefined || isUnsent ? this.#run('job', 'run', this.#specPath) : this.#run('job', 'watch', id);
    }
  }

  abort(): void {
    this.#child?.kill('SIGKILL');
  }

  #run(...args: string[]): Promise<Ended> {
    const { home, rpc, keyFile, killPoints } = this.#options;
    const inherited = Object.entries(process.env).filter(([name]) => !/^(AITBC|TESTNET)_/.test(name));
    const options = ['--rpc', rpc, '--key-file', keyFile, '-y', '--json'];
    const child = spawn(process.execPath, ['--import', CHILD_PRELOAD, NODE_PROGRAM, ...args, ...options], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...Object.fromEntries(inherited),
        ...{ AITBC_HOME: home, NODE_COMPILE_CACHE: COMPILE_CACHE },
        ...orderEnvironment({ killPoints }),
      },
    });
    this.#child = child;
    this.#isOver = false;
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    return new Promise((resolve) => {
      child.on('close', (code) => {
        this.#isOver = true;
        writeFileSync(join(home, 'stderr'), `${args.join(' ')}: exit ${code}\n${stderr}\n`, { flag: 'a' });
        resolve({ code, stdout, stderr });
      });
    });
  }
}

/** Of what was told as JSON at the end. */
function errorCodeOf({ stderr }: Ended): string | undefined {
  const last = stderr.trim().split('\n').at(-1) ?? '';
  return last.startsWith('{') ? (JSON.parse(last) as { error?: { code?: string } }).error?.code : undefined;
}

function lastLine({ stderr }: Ended): string {
  return stderr.trim().split('\n').slice(-3).join(' · ');
}

function readJson<T>(path: string): T | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return null;
  }
}
