/** A verification thread: one packed job in, one byte an answer out, in order. */
import { parentPort } from 'node:worker_threads';
import { nativeVerifier } from './verifier.ts';
import { verifyPacked } from './verify-message.ts';

parentPort?.on('message', (packed: Uint8Array) => {
  const answers = verifyPacked(nativeVerifier, packed);
  parentPort?.postMessage(answers, [answers.buffer]);
});
