/** Work done again by the back ends of this machine: see `coordinator/replay.ts`. */
import type { Hash } from '../bytes.ts';
import { concatBytes, equalBytes } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import type { Replayed, Replayer, ReplayJob } from './coordinator/replay.ts';
import type { Capability, Executor } from './executors/executor.ts';
import { CHAT, readChat } from './executors/job.ts';

export interface ReplayerOptions {
  /** What there is; asked for once. */
  readonly capabilities: readonly Capability[];
  /** Lets the work be done, and ends what it began for that. */
  readonly run: Executor['run'];
}

export function createReplayer({ capabilities, run }: ReplayerOptions): Replayer {
  const find = (kind: string, model: string, digest: Hash | null): Capability | undefined =>
    capabilities.find(
      (each) => each.kind === kind && each.model === model && digest && each.digest && equalBytes(each.digest, digest),
    );
  return {
    covers: (kind, model, digest) => find(kind, model, digest)?.deterministic === true,
    async replay(job: ReplayJob, digest: Hash, signal: AbortSignal): Promise<Replayed> {
      const capability = find(job.kind, job.model, digest);
      if (!capability) {
        const named = capabilities.some(({ kind, model }) => kind === job.kind && model === job.model);
        throw new NodeError('NO_MODEL', named ? 'another build answers under that name here' : 'nothing here does it', {
          data: { kind: job.kind, model: job.model },
        });
      }
      if (!capability.deterministic) requireChoices(job);
      const pieces: Uint8Array[] = [];
      const emit = (piece: Uint8Array): Promise<void> => {
        pieces.push(piece.slice());
        return Promise.resolve();
      };
      await run(job, { signal, emit });
      return { output: concatBytes(pieces), isDeterministic: capability.deterministic };
    },
  };
}

/** @throws NodeError BAD_JOB for an answer that was drawn by chance: a second draw compares with nothing */
function requireChoices(job: ReplayJob): void {
  if (job.kind !== CHAT) return;
  const { temperatureMilli, seed } = readChat(job);
  if (temperatureMilli === 0 || seed !== null) return;
  throw new NodeError('BAD_JOB', 'its answer was drawn by chance, without a seed');
}
