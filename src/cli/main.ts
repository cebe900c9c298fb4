/** The program `aitbc`. */
import { runCli } from './program.ts';

// Whoever reads has had enough, e.g. head.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await runCli(process.argv.slice(2));
