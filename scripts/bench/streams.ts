/** Many answers at once, each of them coming for as long as is measured: what one coordinator needs of memory meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Coordinator, JobRequest } from '../../src/compute/coordinator/coordinator.ts';
import { nopRegister } from '../../src/metrics.ts';
import type { BenchArgs } from './args.ts';
import { startMarket } from './market/simulated.ts';
import { PIECE_BYTES, PIECE_MS } from './market/terms.ts';
import type { Check } from './result.ts';
import { below, invariant } from './result.ts';

const SAMPLE_MS = 1_000;
/** To begin all of them, and to end them. */
const MARGIN_MS = 60_000;

interface Reading {
  bytes: number;
  pieces: number;
  isWhole: boolean;
}

export async function streams(
  args: BenchArgs,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  const { market, close } = await startMarket(args.miners, nopRegister);
  const measuredMs = args.seconds * 1_000;
  const bytesEach = Math.ceil(measuredMs / PIECE_MS) * PIECE_BYTES;
  try {
    tell(`${args.miners} answers at once, a piece of ${PIECE_BYTES} bytes every ${PIECE_MS} ms in each …`);
    const readings = Array.from({ length: args.miners }, (): Reading => ({ bytes: 0, pieces: 0, isWhole: false }));
    let isOver = false;
    const reading = Promise.all(readings.map((each) => read(market, requestOf(bytesEach, measuredMs), each))).finally(
      () => {
        isOver = true;
      },
    );
    reading.catch(() => undefined);
    while (!isOver && readings.some(({ pieces }) => pieces === 0)) await sleep(SAMPLE_MS / 10);
    const cpu = process.cpuUsage();
    const startedAt = performance.now();
    const rssMib: number[] = [];
    let least = args.miners;
    while (!isOver && readings.every(({ bytes }) => bytes < bytesEach)) {
      least = Math.min(least, readings.filter(({ bytes }) => bytes < bytesEach).length);
      rssMib.push(Math.round(process.memoryUsage().rss / 2 ** 20));
      await sleep(SAMPLE_MS);
    }
    const { user, system } = process.cpuUsage(cpu);
    const cpuShare = (user + system) / 1_000 / (performance.now() - startedAt);
    tell(`memory, MiB, one a second: ${rssMib.join(' ')}`);
    await reading;
    const third = Math.max(1, Math.floor(rssMib.length / 3));
    const [before, after] = [Math.max(...rssMib.slice(0, third)), Math.max(...rssMib.slice(-third))];
    const whole = readings.filter(({ isWhole }) => isWhole).length;
    return {
      checks: [
        below('memory in the last third, of the most in the first', (100 * after) / before, 110, ' %'),
        invariant('every answer came whole', whole === args.miners, `${args.miners - whole} did not`),
        invariant('all of them at once', least === args.miners, least),
      ],
      figures: {
        ...{ streams: args.miners, seconds: rssMib.length, bytes_each: bytesEach },
        ...{ rss_mib: { first: rssMib[0], before, after }, cpu_percent: Math.round(100 * cpuShare) },
        measured_as: 'memory and CPU of the coordinator, which reads each answer as it comes, while all of them come',
      },
    };
  } finally {
    await close();
  }
}

function requestOf(maxOutputBytes: number, measuredMs: number): JobRequest {
  const ms = measuredMs + MARGIN_MS;
  return {
    ...{ kind: 'no.op', model: 'none', params: [], maxOutputBytes, maxPriceUait: 10_000, owner: '' },
    parts: [{ role: 'user', mediaType: 'text/plain', data: new TextEncoder().encode('count') }],
    ...{ queueMs: ms, executionMs: ms, totalMs: 2 * ms, idempotencyKey: null, agreement: 'session' },
  };
}

async function read(market: Coordinator, request: JobRequest, into: Reading): Promise<void> {
  const { id } = await market.submit(request);
  for await (const piece of market.output(id, 0, AbortSignal.timeout(request.totalMs))) {
    into.bytes += piece.length;
    into.pieces++;
  }
  into.isWhole = into.bytes === request.maxOutputBytes;
}
