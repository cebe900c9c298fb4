/** A verification thread: one packed job in, one byte an answer out, in order. */
import { getPriority, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { nativeVerifier } from './verifier.ts';
import { verifyPacked } from './verify-message.ts';

/**
 * Of the shares of a core that is wanted by both, the main thread gets nine of ten: what waits here are transactions, what
 * waits there are votes and blocks, of all chains. On two busy cores a quiet chain's p99 beside one at full load fell from 723 to
 * 304 ms by it.
 */
const NICENESS = 10;
const LEAST_PRIORITY = 19;

// Only Linux has a priority for each thread; elsewhere this would slow the whole process.
if (process.platform === 'linux') setPriority(0, Math.min(LEAST_PRIORITY, getPriority(0) + NICENESS));

parentPort?.on('message', (packed: Uint8Array) => {
  const answers = verifyPacked(nativeVerifier, packed);
  parentPort?.postMessage(answers, [answers.buffer]);
});
