/** What of a miner is fed from outside, and where it ends. */
import assert from 'node:assert/strict';
import { bytesKey } from '../../../../src/bytes.ts';
import type { Quote, QuoteRequest } from '../../../../src/chain/market/quote.ts';
import { Coalescer, FLUSH_MS } from '../../../../src/compute/miner/coalescer.ts';
import type { DeskEffect, DeskState } from '../../../../src/compute/miner/desk.ts';
import {
  freeSlots,
  MAX_QUOTES,
  MAX_REQUESTS,
  MAX_UNUSED,
  openDesk,
  QUOTE_MS,
  stepDesk,
} from '../../../../src/compute/miner/desk.ts';
import { MAX_MEASURED, Monitor } from '../../../../src/compute/miner/monitor.ts';
import { parsePrices, priceOf } from '../../../../src/compute/miner/prices.ts';
import { readGpus } from '../../../../src/node/gpus.ts';
import { setOptions } from '../../../../src/config/set-options.ts';
import { manualClock } from '../../../net/manual-clock.ts';

const bytes = (length: number, from: number): Uint8Array =>
  new Uint8Array(length).map((_, i) => (i < 4 ? (from >>> (8 * i)) & 255 : 0));

class Desk {
  state: DeskState;
  #count = 0;

  constructor(slots: number) {
    this.state = openDesk(slots);
  }

  ask(client: number, agreement: number | null, nowMs = 0): DeskEffect | undefined {
    const id = ++this.#count;
    const request: QuoteRequest = {
      client: bytes(20, client),
      agreement: agreement === null ? null : bytes(32, agreement),
      ...{ kind: 'k', model: '', inputBytes: 1, maxOutputBytes: 1, maxPriceUait: 1, atMs: nowMs },
    };
    const quote = { validUntilMs: nowMs + QUOTE_MS } as Quote;
    const made = { requestId: bytes(32, id), quoteId: bytes(32, id), request, quote, nowMs };
    return this.#step({ type: 'request', ...made });
  }

  opening(client: number, nowMs = 0, isFinal = false, transaction = client): void {
    this.#step({ type: 'opening', client: bytes(20, client), transaction: bytes(32, transaction), isFinal, nowMs });
  }

  take(id: number, nowMs = 0): DeskEffect | undefined {
    return this.#step({ type: 'take', quoteId: bytes(32, id), nowMs });
  }

  #step(input: Parameters<typeof stepDesk>[1]): DeskEffect | undefined {
    const { state, effects } = stepDesk(this.state, input);
    this.state = state;
    return effects[0];
  }
}

describe('bounds of a miner', () => {
  it('bound: without money on its way an account has one reservation, and all of them half of the slots', () => {
    const desk = new Desk(4);
    assert.equal(desk.ask(1, null)?.type, 'grant');
    assert.equal(desk.ask(1, null)?.type, 'grant');
    assert.equal(freeSlots(desk.state, 0), 3);
    assert.equal(desk.ask(2, null)?.type, 'grant');
    assert.equal(desk.ask(3, null)?.type, 'refuse');
    assert.equal(desk.ask(3, 7)?.type, 'grant');
    desk.opening(1);
    assert.equal(desk.ask(4, null)?.type, 'grant');
    assert.equal(desk.ask(5, 8)?.type, 'refuse');
  });

  it('bound: a reservation lasts five seconds, ten while its opening is on its way, five once that is final', () => {
    const desk = new Desk(2);
    desk.ask(1, null);
    desk.ask(2, 7);
    assert.equal(freeSlots(desk.state, 4_999), 0);
    assert.equal(freeSlots(desk.state, 5_000), 2);
    const opened = new Desk(2);
    opened.ask(1, null);
    opened.opening(1, 4_000);
    opened.opening(1, 4_500);
    assert.deepEqual([freeSlots(opened.state, 13_999), freeSlots(opened.state, 14_000)], [1, 2]);
    opened.opening(1, 6_000, true);
    assert.deepEqual([freeSlots(opened.state, 10_999), freeSlots(opened.state, 11_000)], [1, 2]);
    // Whoever comes late takes what is free.
    assert.equal(desk.take(1, 6_000)?.type, 'taken');
    assert.equal(desk.take(1, 6_000)?.type, 'refuse');
    assert.equal(desk.take(2, QUOTE_MS + 1)?.type, 'refuse');
  });

  it('bound: one opening funds one quote, pending and final alike', () => {
    const desk = new Desk(4);
    desk.ask(1, null);
    desk.opening(1);
    desk.ask(1, null);
    desk.opening(1, 100, true);
    assert.deepEqual(
      [...desk.state.quotes.values()].map(({ isFunded }) => isFunded),
      [true, false],
    );
  });

  it('bound: whoever lets a reservation pass by under an agreement holds no slot for a minute', () => {
    const desk = new Desk(1);
    const turns: number[] = [];
    for (let nowMs = 0; nowMs < 600_000; nowMs += 1_000) {
      desk.ask(1, 7, nowMs);
      if (freeSlots(desk.state, nowMs) === 0) turns.push(nowMs);
      desk.take(0, nowMs);
    }
    assert.ok(turns.length <= 10, `${turns.length} of 600 s`);
    const lapsed = new Desk(1);
    lapsed.ask(1, 7);
    assert.equal(lapsed.ask(1, 7, QUOTE_MS + 1)?.type, 'grant', 'it may take what is free');
    assert.equal(freeSlots(lapsed.state, QUOTE_MS + 1), 1);
    assert.equal(lapsed.take(2, QUOTE_MS + 2)?.type, 'taken');
    const many = new Desk(65_000);
    for (let i = 1; i <= MAX_UNUSED + 9; i++) many.ask(i, i, i * (QUOTE_MS + 1));
    for (let i = 1; i <= MAX_UNUSED + 9; i++) {
      many.ask(i, 10_000 + i, 4e8);
      many.ask(i, 10_000 + i, 4e8);
    }
    assert.ok(many.state.unused.size <= MAX_UNUSED);
  });

  it('bound: work and reservations never exceed the slots', () => {
    const desk = new Desk(2);
    desk.ask(1, 1);
    desk.ask(2, 2);
    assert.equal(desk.take(1)?.type, 'taken');
    assert.equal(desk.ask(3, 3)?.type, 'refuse');
    assert.equal(desk.take(2)?.type, 'taken');
    assert.equal(desk.ask(3, 3)?.type, 'refuse');
    assert.deepEqual([desk.state.working, freeSlots(desk.state, 0)], [2, 0]);
  });

  it('bound: quotes and remembered requests', () => {
    const desk = new Desk(65_000);
    for (let i = 1; i <= MAX_QUOTES; i++) assert.equal(desk.ask(i, i)?.type, 'grant');
    assert.equal(desk.ask(MAX_QUOTES + 1, MAX_QUOTES + 1)?.type, 'refuse');
    assert.equal(desk.state.quotes.size, MAX_QUOTES);
    const of = (count: number, client: string): DeskState['requests'] =>
      new Map(Array.from({ length: count }, (_, i) => [String(i), { untilMs: 9, client, quote: '' }]));
    const many = { ...openDesk(2), requests: of(MAX_REQUESTS, '') };
    const other = new Desk(2);
    other.state = many;
    assert.equal(other.ask(1, 1)?.type, 'refuse');
    assert.equal(other.ask(1, 1, 10)?.type, 'grant');
    // Who asks without end shuts out nobody else.
    const busy = new Desk(2);
    busy.state = { ...openDesk(2), requests: of(MAX_REQUESTS / 2, bytesKey(bytes(20, 1))) };
    assert.equal(busy.ask(1, 1)?.type, 'refuse');
    assert.equal(busy.ask(2, 2)?.type, 'grant');
  });

  it('a request is answered when it is of the last minute', () => {
    const desk = new Desk(2);
    const request = { client: bytes(20, 1), agreement: null, atMs: 0 } as QuoteRequest;
    const input = { requestId: bytes(32, 1), quoteId: bytes(32, 1), request, quote: {} as Quote, nowMs: 60_001 };
    assert.equal(stepDesk(desk.state, { type: 'request', ...input }).effects[0]?.type, 'refuse');
  });

  it('bound: tokens of 20 ms, or of a KiB, are one piece, and a waiting piece holds up what comes after', async () => {
    const clock = manualClock();
    const pieces: number[] = [];
    let go = (): void => undefined;
    const coalescer = new Coalescer(clock, (piece) => {
      pieces.push(piece.length);
      return new Promise((resolve) => (go = resolve));
    });
    await coalescer.add(new Uint8Array(3));
    assert.deepEqual(pieces, [3], 'the first goes at once');
    go();
    await Promise.resolve();
    for (let i = 0; i < 5; i++) await coalescer.add(new Uint8Array(4));
    assert.deepEqual(pieces, [3]);
    clock.advance(FLUSH_MS);
    assert.deepEqual(pieces, [3, 20]);
    let isHeld = true;
    const more = coalescer.add(new Uint8Array(2_000)).then(() => (isHeld = false));
    await Promise.resolve();
    assert.equal(isHeld, true);
    go();
    while (pieces.length < 3) await new Promise((resolve) => setImmediate(resolve));
    go();
    await more;
    assert.deepEqual(pieces, [3, 20, 2_000]);
  });

  it('what handing over fails with reaches who adds', async () => {
    const coalescer = new Coalescer(manualClock(), () => Promise.reject(new Error('stopped')));
    await assert.rejects(coalescer.add(new Uint8Array(5_000)), /stopped/);
  });

  it('bound: speeds measured', () => {
    const clock = manualClock();
    const monitor = new Monitor(clock);
    for (let i = 0; i <= MAX_MEASURED; i++) {
      const watch = monitor.start('k', `m${i}`);
      clock.advance(40);
      watch.output(10);
      clock.advance(100);
      watch.output(100);
      watch.done();
    }
    assert.equal(monitor.speeds().length, MAX_MEASURED);
    assert.deepEqual(monitor.speed('k', 'm9'), { kind: 'k', model: 'm9', bytesPerSecond: 1_000, firstMs: 40 });
    assert.equal(monitor.speed('k', 'm0').firstMs, null);
  });

  it('reads prices, of a model before its kind before any', () => {
    const prices = parsePrices(['* 1 2 3', 'llm.chat 4 5 6', 'llm.chat:big:7b 7 8 9']);
    const fixed = (kind: string, model: string): number | undefined => priceOf(prices, kind, model)?.fixedUait;
    assert.deepEqual([fixed('a', 'b'), fixed('llm.chat', 'b'), fixed('llm.chat', 'big:7b')], [1, 4, 7]);
    assert.equal(priceOf(parsePrices(['llm.chat 1 1 1']), 'text.embed', 'x'), null);
    for (const line of ['llm.chat', 'llm.chat 1 2', 'llm.chat 1 2 -3', 'llm.chat 1 2 2000000000']) {
      assert.throws(() => parsePrices([line]), { code: 'CONFIG' });
    }
  });

  it('bound: GPUs told', () => {
    assert.deepEqual(readGpus('NVIDIA H200, 143771 MiB\n\n'), ['NVIDIA H200, 143771 MiB']);
    assert.equal(readGpus('x\n'.repeat(20)).length, 8);
  });

  it('sets options in a config.toml, and leaves the rest of it', () => {
    const text = 'name = "n"\n\n[miner]\n# Jobs at once.\n# slots = 2\n\n[store]\nretain_blocks = 0\n';
    const next = setOptions(text, { 'miner.enabled': true, 'miner.slots': 5 });
    assert.equal(
      next,
      'name = "n"\n\n[miner]\nenabled = true\n# Jobs at once.\nslots = 5\n\n[store]\nretain_blocks = 0\n',
    );
    assert.equal(setOptions('name = "n"\n', { 'miner.enabled': true }), 'name = "n"\n\n[miner]\nenabled = true\n');
    assert.throws(() => setOptions('', { 'miner.slots': 0 }), { code: 'CONFIG' });
  });
});
