/** One process of the pool: runs what it is handed, one after another, until its parent is gone. */
import type { Job } from './job.ts';
import { LIMIT_MS } from './pool.ts';
import type { Answer } from './pool.ts';
import { runSeed } from './simulation.ts';
import { startWatchdog } from './watchdog.ts';

// The parent ends a process that is late; this one ends it when the parent is gone as well.
const watchdog = startWatchdog(2 * LIMIT_MS);
let used = process.cpuUsage();

process.on('message', (message) => {
  const { job, verbose } = message as { readonly job: Job; readonly verbose: boolean };
  watchdog.watch(job.seed);
  const onLine = (line: string): void => {
    process.stdout.write(`${line}\n`);
  };
  runSeed({ ...job, ...(verbose && { onLine }) }).then(
    (outcome) => {
      const { user, system } = process.cpuUsage(used);
      used = process.cpuUsage();
      watchdog.watch(0);
      const answer: Answer = {
        outcome: outcome.violations.length > 0 ? outcome : { ...outcome, trace: [], struck: [] },
        cpuMs: (user + system) / 1000,
      };
      process.send?.(answer);
    },
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});

process.on('disconnect', () => {
  process.exit(0);
});
