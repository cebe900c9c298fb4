/** Prices by kind and model, as the operator writes them: `llm.chat 10000 1000 20000`, `llm.chat:big-model 50000 2000 90000`. */
import type { Price } from '../../chain/market/price.ts';
import { MAX_PRICE_UAIT } from '../../chain/market/price.ts';
import { NodeError } from '../../errors.ts';

export type Prices = ReadonlyMap<string, Price>;

/** Kinds without a price of their own. */
const ANY = '*';
const FORM = /^(\S{1,161})((?:\s+\d{1,10}){3})$/;

/** @param lines `KIND[:MODEL] FIXED INPUT OUTPUT`: uait for the attempt, for a KiB of input, for one of output @throws NodeError CONFIG */
export function parsePrices(lines: readonly string[]): Prices {
  const prices = new Map<string, Price>();
  for (const line of lines) {
    const match = FORM.exec(line.trim());
    const [fixedUait = -1, inputUaitPerKib = -1, outputUaitPerKib = -1] = (match?.[2] ?? '')
      .trim()
      .split(/\s+/)
      .map(Number);
    const isWrong = [fixedUait, inputUaitPerKib, outputUaitPerKib].some((uait) => uait < 0 || uait > MAX_PRICE_UAIT);
    if (!match?.[1] || isWrong) {
      throw new NodeError('CONFIG', `"${line.slice(0, 80)}" is not a price`, {
        hint: 'write KIND[:MODEL] FIXED INPUT OUTPUT, in uait for a job, a KiB of input and a KiB of output',
      });
    }
    prices.set(match[1], { fixedUait, inputUaitPerKib, outputUaitPerKib });
  }
  return prices;
}

/** That of the model, else of the kind, else of any; null: not offered. */
export function priceOf(prices: Prices, kind: string, model: string): Price | null {
  return prices.get(`${kind}:${model}`) ?? prices.get(kind) ?? prices.get(ANY) ?? null;
}
