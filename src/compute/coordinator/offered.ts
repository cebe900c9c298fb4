/**
 * Whether a job can be done at all by what is offered now. Missing capacity is waited for; a name that nobody has, or a
 * price below all, is better told at once to a person who waits.
 */
import type { OfferedModel, SignedOffer } from '../../chain/market/offer.ts';
import { dueUait } from '../../chain/market/price.ts';
import { NodeError } from '../../errors.ts';

export interface Wanted {
  readonly kind: string;
  /** Empty: any. */
  readonly model: string;
  /** Of the encoded content. */
  readonly inputBytes: number;
  readonly maxPriceUait: number;
}

/** Names listed in a failure. */
const MAX_NAMES = 20;

/** Without any offer nothing is known. @throws NodeError NO_MODEL naming what is offered | PRICE */
export function checkOffered(offers: readonly SignedOffer[], wanted: Wanted): void {
  const offered = offers.flatMap(({ offer }) => offer.models);
  if (offered.length === 0) return;
  const { inputBytes, maxPriceUait } = wanted;
  const leastUait = Math.min(...ableTo(offered, wanted).map(({ price }) => dueUait(price, inputBytes, 0)));
  if (leastUait <= maxPriceUait) return;
  throw new NodeError('PRICE', `what is offered costs at least ${leastUait} uait, more than the maximum`, {
    data: { max_price_uait: String(maxPriceUait), least_uait: String(leastUait) },
    hint: `allow ${leastUait} uait or more, or send a shorter prompt`,
  });
}

function ableTo(offered: readonly OfferedModel[], { kind, model }: Wanted): OfferedModel[] {
  const ofKind = offered.filter((candidate) => candidate.kind === kind);
  const able = ofKind.filter((candidate) => model === '' || candidate.model === model);
  if (able.length > 0) return able;
  const hasKind = ofKind.length > 0;
  const names = new Set((hasKind ? ofKind : offered).map((one) => (hasKind ? one.model : one.kind)));
  const list = [...names].sort().slice(0, MAX_NAMES).join(', ');
  const what = hasKind ? `the model "${model}" for ${kind}` : `work of the kind "${kind}"`;
  throw new NodeError('NO_MODEL', `no miner offers ${what}`, {
    data: { kind, model, offered: list },
    hint: hasKind ? `models offered now: ${list}` : `kinds offered now: ${list}`,
  });
}
