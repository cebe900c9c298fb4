/** Several back ends as one: asked together, the first that offers a kind and model answers for it. */
import { NodeError, toNodeError } from '../../errors.ts';
import type { Capability, Executor, ExecutorIo, ExecutorJob, ExecutorOutcome } from './executor.ts';

export interface ExecutorsOptions {
  /** By preference: of two that offer the same kind and model, the first is used. */
  readonly executors: readonly Executor[];
}

export interface OwnedCapability extends Capability {
  readonly executor: string;
}

export interface ProbeReport {
  readonly capabilities: readonly OwnedCapability[];
  /** Back ends that could not be asked; the others are offered nevertheless. */
  readonly failures: readonly { readonly executor: string; readonly error: NodeError }[];
}

export interface Executors extends Omit<Executor, 'id' | 'probe'> {
  /** Asks all of them anew. What a back end that fails now offered before is no longer routed to it. */
  probe(signal: AbortSignal): Promise<ProbeReport>;
}

export function createExecutors({ executors }: ExecutorsOptions): Executors {
  const owners = new Map<string, Executor>();
  const probes = new Map<Executor, readonly Capability[]>();

  function rebuild(): OwnedCapability[] {
    owners.clear();
    const merged: OwnedCapability[] = [];
    for (const executor of executors) {
      for (const capability of probes.get(executor) ?? []) {
        const key = routeKey(capability.kind, capability.model);
        if (owners.has(key)) continue;
        owners.set(key, executor);
        merged.push({ ...capability, executor: executor.id });
      }
    }
    return merged;
  }

  function ownerOf(kind: string, model: string): Executor {
    const owner = owners.get(routeKey(kind, model));
    if (owner !== undefined) return owner;
    throw new NodeError('NO_MODEL', 'no back end here offers that kind and model', {
      data: { kind, model },
      hint: 'see what this miner offers',
    });
  }

  return {
    async probe(signal) {
      const failures: { executor: string; error: NodeError }[] = [];
      await Promise.all(
        executors.map(async (executor) => {
          try {
            probes.set(executor, await executor.probe(signal));
          } catch (error) {
            probes.delete(executor);
            failures.push({ executor: executor.id, error: toNodeError(error) });
          }
        }),
      );
      return { capabilities: rebuild(), failures };
    },
    async prepare(kind: string, model: string, signal: AbortSignal): Promise<void> {
      await ownerOf(kind, model).prepare(kind, model, signal);
    },
    async run(job: ExecutorJob, io: ExecutorIo): Promise<ExecutorOutcome> {
      return ownerOf(job.kind, job.model).run(job, io);
    },
    async close() {
      await Promise.all(executors.map((executor) => executor.close()));
    },
  };
}

function routeKey(kind: string, model: string): string {
  return JSON.stringify([kind, model]);
}
