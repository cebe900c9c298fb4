import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { REPOSITORY } from '../../testnet/layout.ts';
import type { Finished } from './support.ts';
import { until } from './support.ts';

/** The command line as a process that can be watched and ended. */
export class Program {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  #stderr = '';

  constructor(home: string, args: readonly string[]) {
    this.child = spawn(process.execPath, [join(REPOSITORY, 'src/cli/main.ts'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, AITBC_HOME: home },
    });
    let stdout = '';
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.finished = new Promise((resolve) => {
      this.child.on('close', (code) => {
        resolve({ code, stdout, stderr: this.#stderr });
      });
    });
  }

  says(pattern: RegExp): Promise<RegExpExecArray> {
    return until(`${String(pattern)} on stderr`, () => {
      if (this.child.exitCode !== null) throw new Error(this.#stderr);
      return Promise.resolve(pattern.exec(this.#stderr));
    });
  }
}
