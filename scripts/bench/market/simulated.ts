/** The world of a coordinator that is measured: miners in other processes, a chain that takes all, rows on disk. */
import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesKey, concatBytes } from '../../../src/bytes.ts';
import { addressOf } from '../../../src/chain/address.ts';
import { Reader } from '../../../src/chain/codec.ts';
import type { SignedOffer } from '../../../src/chain/market/offer.ts';
import { decodeOffer, MAX_OFFER_BYTES } from '../../../src/chain/market/offer.ts';
import { systemClock } from '../../../src/clock.ts';
import type { Coordinator } from '../../../src/compute/coordinator/coordinator.ts';
import { createCoordinator } from '../../../src/compute/coordinator/create-coordinator.ts';
import type { Miners, MinerStream, Money, Rows } from '../../../src/compute/coordinator/ports.ts';
import { NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import type { MetricsRegister } from '../../../src/metrics.ts';
import { createNativeSigner, nativeCrypto } from '../../../src/native/crypto.ts';
import { nativeSealing } from '../../../src/native/sealing.ts';
import { openDatabase } from '../../../src/store/db.ts';
import { KIND, Mux } from './mux.ts';
import { CHAIN } from './terms.ts';

const PROCESSES = 2;
const RICH_UAIT = 1_000_000_000_000;
const ROW = new Uint8Array([200]);

interface SimulatedMiners extends Miners {
  close(): void;
}

/** Of one process; its miners are numbered from 0 in it. */
class MinersProcess {
  readonly child: ChildProcess;
  readonly offers: SignedOffer[] = [];
  #mux: Mux | null = null;
  #next = 1;
  readonly #quotes = new Map<number, (bytes: Uint8Array) => void>();
  readonly #streams = new Map<number, (bytes: Uint8Array) => void>();

  constructor(first: number, count: number) {
    this.child = fork(new URL('./miners-process.ts', import.meta.url), [String(first), String(count)]);
  }

  async ready(): Promise<void> {
    const [port] = (await once(this.child, 'message')) as [number];
    const offered = Promise.withResolvers<void>();
    this.#mux = new Mux(connect(port, '127.0.0.1'), (channel, kind, bytes) => {
      if (kind === KIND.offers) {
        const reader = new Reader(bytes.slice(), 'offers');
        for (let left = reader.u32(); left > 0; left--) this.offers.push(decodeOffer(reader.bytes16(MAX_OFFER_BYTES)));
        offered.resolve();
      } else if (kind === KIND.quote) {
        this.#quotes.get(channel)?.(bytes.slice());
        this.#quotes.delete(channel);
      } else this.#streams.get(channel)?.(bytes.slice());
    });
    await offered.promise;
  }

  quote(miner: number, request: Uint8Array): Promise<Uint8Array> {
    const channel = this.#next++;
    return new Promise((resolve) => {
      this.#quotes.set(channel, resolve);
      this.#mux?.send(channel, KIND.quote, numbered(miner, request));
    });
  }

  open(miner: number): MinerStream {
    const channel = this.#next++;
    const came: Uint8Array[] = [];
    let wake: (() => void) | null = null;
    let isClosed = false;
    this.#streams.set(channel, (bytes) => {
      came.push(bytes);
      wake?.();
    });
    this.#mux?.send(channel, KIND.open, numbered(miner, new Uint8Array()));
    return {
      send: (frame) => {
        this.#mux?.send(channel, KIND.frame, frame);
        return Promise.resolve();
      },
      read: async () => {
        while (came.length === 0 && !isClosed) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        return came.shift() ?? null;
      },
      close: () => {
        isClosed = true;
        this.#streams.delete(channel);
        this.#mux?.send(channel, KIND.close, new Uint8Array());
        wake?.();
      },
    };
  }
}

function numbered(miner: number, bytes: Uint8Array): Uint8Array {
  return concatBytes([new Uint8Array([miner >> 8, miner & 0xff]), bytes]);
}

async function startMiners(count: number, processes: number): Promise<SimulatedMiners> {
  const each = Math.ceil(count / processes);
  const started = Array.from({ length: processes }, (_, i) => new MinersProcess(i * each, each));
  await Promise.all(started.map((one) => one.ready()));
  const places = new Map<string, { process: MinersProcess; miner: number }>();
  for (const process of started) {
    for (const [miner, { offer }] of process.offers.entries()) places.set(bytesKey(offer.miner), { process, miner });
  }
  const find = (key: Uint8Array): { process: MinersProcess; miner: number } => {
    const place = places.get(bytesKey(key));
    if (!place) throw new NodeError('UNREACHABLE', 'no such simulated miner');
    return place;
  };
  return {
    offers: () => started.flatMap(({ offers }) => offers),
    onOffers: () => () => undefined,
    quote: ({ miner }, request) => {
      const place = find(miner);
      return place.process.quote(place.miner, request);
    },
    open: ({ miner }) => {
      const place = find(miner);
      return Promise.resolve(place.process.open(place.miner));
    },
    close: () => {
      for (const { child } of started) child.disconnect();
    },
  };
}

/** A coordinator of its own on rows on disk, with simulated miners in other processes; to be closed. */
export async function startMarket(
  miners: number,
  metrics: MetricsRegister,
): Promise<{ readonly market: Coordinator; readonly close: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'aitbc-bench-'));
  const simulated = await startMiners(miners, PROCESSES);
  const rows = await openRows(join(folder, 'rows'));
  const market = await createCoordinator({
    ...{ chain: CHAIN, crypto: nativeCrypto, createSigner: createNativeSigner, sealing: nativeSealing },
    ...{ miners: simulated, money: simulatedMoney(), rows, clock: systemClock, log: nopLogger, metrics },
    random: (bytes: number) => randomBytes(bytes),
    limits: { maxEndedJobs: 2_000 },
  });
  const close = async (): Promise<void> => {
    await market.close();
    await rows.close();
    simulated.close();
    await rm(folder, { recursive: true, force: true });
  };
  return { market, close };
}

interface DiskRows extends Rows {
  close(): Promise<void>;
}

async function openRows(folder: string): Promise<DiskRows> {
  const db = await openDatabase(folder);
  return {
    load: async function* () {
      for await (const [key, value] of db.entries({ gte: ROW, lt: new Uint8Array([201]) })) {
        yield { key: key.slice(1), value };
      }
    },
    persist: (rows) =>
      db.write(
        (batch) => {
          for (const { key, value } of rows) {
            const at = concatBytes([ROW, key]);
            if (value === null) batch.del(at);
            else batch.put(at, value);
          }
        },
        { sync: true },
      ),
    close: () => db.close(),
  };
}

/** Opens at once whatever is asked for: what a chain takes is measured elsewhere. */
function simulatedMoney(): Money {
  const account = createNativeSigner(nativeCrypto.hash(new Uint8Array([1])));
  const client = addressOf(nativeCrypto, account.publicKey);
  let nonce = 0;
  return {
    client,
    signAsAccount: (message) => ({ publicKey: account.publicKey, signature: account.sign(message) }),
    terms: () =>
      Promise.resolve({
        ...{ minCapUait: 1_000_000, minStakeUait: 1, maxTermMs: 30 * 24 * 3_600_000 },
        ...{ openFeeUait: 1, renewFeeUait: 1 },
      }),
    balanceUait: () => Promise.resolve(RICH_UAIT),
    stakedUait: () => Promise.resolve(RICH_UAIT),
    agreement: () => Promise.resolve(null),
    head: () => Promise.resolve({ height: 1, timeMs: Date.now() }),
    prepareOpen: () => {
      const transaction = new Uint8Array(256);
      new DataView(transaction.buffer).setUint32(0, ++nonce);
      return Promise.resolve({ agreement: nativeCrypto.hash(transaction), transaction });
    },
    send: () => Promise.resolve({ height: 1 }),
    prepareRenewal: () => Promise.resolve(new Uint8Array()),
    prepareClose: () => Promise.resolve(new Uint8Array()),
  };
}
