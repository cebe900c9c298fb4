/** What clients are slow with: bodies that are still coming, and answers that were made and are not yet read. */
import type { FastifyRequest } from 'fastify';
import type { Clock } from '../clock.ts';
import type { NodeError } from '../errors.ts';
import type { RpcApp } from './app.ts';
import type { HeldLimits } from './held-bytes.ts';
import { HeldBytes } from './held-bytes.ts';
import { bytesToRead, sizeOf } from './rate-guard.ts';

/** Smaller ones are in the system's buffers at once, mostly. */
const COUNTED_BYTES = 16 * 1024;
/** Whoever has not read an answer by then is cut off. */
export const READ_WITHIN_MS = 60_000;

export const ANSWERS: HeldLimits = {
  all: 64 * 1024 * 1024,
  client: 16 * 1024 * 1024,
  message: 'too many answers wait to be read',
  hint: 'read the answers to earlier requests first, and ask for less at once',
};

/** By their length as declared. */
export const BODIES: HeldLimits = {
  all: 256 * 1024 * 1024,
  client: 16 * 1024 * 1024,
  message: 'too many bodies are on their way to this node',
  hint: 'send fewer large requests at a time',
};

/** Must come after the hook that recognises clients, and after the rate limits. */
export function boundSlowness(app: RpcApp, clock: Clock): void {
  boundBodies(app, new HeldBytes(BODIES));
  boundAnswers(app, new HeldBytes(ANSWERS), clock);
}

/** Counted until they are parsed, or given up. */
function boundBodies(app: RpcApp, bodies: HeldBytes): void {
  const releases = new WeakMap<FastifyRequest, () => void>();
  app.addHook('onRequest', (request, reply, done) => {
    const bytes = bytesToRead(request);
    if (bytes < COUNTED_BYTES) {
      done();
      return;
    }
    try {
      const release = bodies.add(request.client, bytes);
      releases.set(request, release);
      reply.raw.once('close', release);
      done();
    } catch (error) {
      done(error as NodeError);
    }
  });
  app.addHook('preValidation', (request, _reply, done) => {
    releases.get(request)?.();
    done();
  });
}

/** Counted until they are read, or given up. */
function boundAnswers(app: RpcApp, answers: HeldBytes, clock: Clock): void {
  app.addHook('onSend', (request, reply, payload, done) => {
    const bytes = sizeOf(request, payload);
    if (bytes < COUNTED_BYTES) {
      done(null, payload);
      return;
    }
    try {
      const release = answers.add(request.client, bytes);
      const cancel = clock.after(READ_WITHIN_MS, () => {
        request.raw.socket.destroy();
      });
      reply.raw.once('close', () => {
        cancel();
        release();
      });
      done(null, payload);
    } catch (error) {
      done(error as NodeError);
    }
  });
}
