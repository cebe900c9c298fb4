/**
 * `node testnet/session.ts PROGRAM ARGUMENTS`: runs a program that starts clusters as the leader of a new session, in which
 * its nodes stay. Linux divides the processors among sessions first (autogroup), and niceness orders threads within one
 * only: of nodes with a session each, one's verification of transactions would weigh as much as another's main thread,
 * whose votes all wait for.
 *
 * Signals are passed on, and the exit code is the program's. The program ends with this process, even by SIGKILL.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { CHILD_ENV } from './child-env.ts';
import { CHILD_PRELOAD } from './layout.ts';
import { processId } from './processes.ts';

const self = processId(process.pid);
const child = spawn(process.execPath, [...process.execArgv, '--import', CHILD_PRELOAD, ...process.argv.slice(2)], {
  detached: true,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: {
    ...process.env,
    [CHILD_ENV.ownSession]: '1',
    ...(self && { [CHILD_ENV.launcher]: `${self.pid} ${self.started}` }),
  },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    child.kill(signal);
  });
}
child.once('exit', (code, signal) => {
  process.exitCode = code ?? 128 + (signal ? constants.signals[signal] : 0);
});
