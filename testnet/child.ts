/**
 * Loaded into every node process before the program itself (`node --import`): ends the node when the launcher it
 * belongs to is gone, keeps its log file bounded, and leaves its exit code where the launcher finds it. For tests it sets
 * the clock ahead, and has processes killed at their writes: nothing in the program itself knows of that.
 * Into a launcher, too, that session.ts starts, which ends with that process likewise.
 */
import { writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { CHILD_ENV } from './child-env.ts';
import { boundLog } from './log-file.ts';
import { isAlive } from './processes.ts';

const LAUNCHER_CHECK_MS = 500;
const LOG_CHECK_MS = 5000;
/** Node writes what it compiled when it exits, which a node that is killed never does. */
const FLUSH_CACHE_MS = 3000;
/** From the request to stop until the process ends itself the hard way. */
const STOP_MS = 10_000;

if (isMainThread) {
  setTimeout(flushCompileCache, FLUSH_CACHE_MS).unref();
  const launcher = process.env[CHILD_ENV.launcher];
  if (launcher) endWith(launcher);
  const logFile = process.env[CHILD_ENV.log];
  if (logFile) {
    setInterval(() => {
      boundLog(logFile);
    }, LOG_CHECK_MS).unref();
  }
  const exitFile = process.env[CHILD_ENV.exit];
  if (exitFile) recordExit(exitFile);
  const aheadMs = Number(process.env[CHILD_ENV.clockAheadMs] ?? 0);
  if (aheadMs > 0) setClockAhead(aheadMs);
  const killPoints = process.env[CHILD_ENV.killPoints];
  const profile = process.env[CHILD_ENV.profile];
  if (profile) (await import('./profiler.ts')).profileOnSignal(profile);
  if (killPoints) (await import('./market/kill-points.ts')).takeOrders(killPoints);
}

function endWith(launcher: string): void {
  const [pid = '0', started = ''] = launcher.split(' ');
  const timer = setInterval(() => {
    if (isAlive({ pid: Number(pid), started })) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), STOP_MS).unref();
  }, LAUNCHER_CHECK_MS).unref();
}

function setClockAhead(aheadMs: number): void {
  const now = Date.now.bind(Date);
  Date.now = () => now() + aheadMs;
}

function recordExit(path: string): void {
  process.on('exit', (code) => {
    try {
      writeFileSync(path, JSON.stringify({ pid: process.pid, code }));
    } catch {
      // The folder is gone or full; the launcher says "code unknown".
    }
  });
}
