/** A verification thread: one packed job in, one byte an answer out, in order. */
import { getPriority, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { nativeVerifier } from './verifier.ts';
import { verifyPacked } from './verify-message.ts';

/**
 * Of the shares of a core that is wanted by both, the main thread gets seven of ten: what waits here are transactions, what
 * waits there are votes and blocks, of all chains. Not more: blocks wait for what is verified here, and with nine of ten one of
 * four nodes that were offered three times what they take on two cores, in one session, fell nine seconds behind.
 */
const NICENESS = 4;
const LEAST_PRIORITY = 19;

// Only Linux has a priority for each thread; elsewhere this would slow the whole process.
if (process.platform === 'linux') setPriority(0, Math.min(LEAST_PRIORITY, getPriority(0) + NICENESS));

parentPort?.on('message', (packed: Uint8Array) => {
  const answers = verifyPacked(nativeVerifier, packed);
  parentPort?.postMessage(answers, [answers.buffer]);
});
