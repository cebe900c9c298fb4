/** A process with children at work: one waits for its receiver, the module of the other computes forever. */
import { createBuiltin } from '../../../../src/compute/executors/builtin/builtin.ts';
import { never, PausedJob, recordingLog, textPart } from '../../../util/executor-jobs.ts';
import { FOREVER, writing } from '../../../util/wasm-program.ts';

const executor = createBuiltin({ modelsFolder: null, log: recordingLog() });
const module = { role: '', mediaType: 'application/wasm', data: writing(1, 'x'.repeat(5_000), FOREVER) };
const bounds = { params: [], maxOutputBytes: 100_000 };
const embed = new PausedJob(executor, {
  kind: 'text.embed',
  model: 'aitbc-hash-256',
  parts: [textPart('a')],
  ...bounds,
});
const computing = executor.run(
  { kind: 'wasm.run', model: 'wasi-preview1', parts: [module], ...bounds },
  {
    signal: never,
    async emit() {
      await embed.paused;
      process.stdout.write('both at work\n');
    },
  },
);
await computing;
