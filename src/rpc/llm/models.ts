/** What is offered now, one entry a model. */
import { toHex } from '../../bytes.ts';
import type { OfferedModel, SignedOffer } from '../../chain/market/offer.ts';
import type { ChainApi } from '../api.ts';
import { CHAT, EMBED } from './drafts.ts';

export interface ListedModel {
  readonly name: string;
  readonly kinds: readonly string[];
  readonly digest: string;
  readonly contextTokens: number;
  readonly isWarm: boolean;
  readonly tags: readonly string[];
  readonly miners: number;
  readonly offeredAtMs: number;
  readonly offerEndsAtMs: number;
}

/** By name; those that chat or embed, which is what these dialects have. */
export function listedModels({ market }: ChainApi): ListedModel[] {
  const byName = new Map<string, { readonly signed: SignedOffer; readonly model: OfferedModel }[]>();
  for (const signed of market.offers()) {
    for (const model of signed.offer.models) {
      if (model.kind !== CHAT && model.kind !== EMBED) continue;
      const known = byName.get(model.model) ?? [];
      byName.set(model.model, [...known, { signed, model }]);
    }
  }
  return [...byName]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, all]) => ({
      name,
      kinds: [...new Set(all.map(({ model }) => model.kind))].sort(),
      digest: digestOf(all.map(({ model }) => model)),
      contextTokens: Math.max(...all.map(({ model }) => model.contextTokens)),
      isWarm: all.some(({ model }) => model.warm),
      tags: [...new Set(all.flatMap(({ model }) => model.tags))].sort(),
      miners: new Set(all.map(({ signed }) => toHex(signed.offer.miner))).size,
      offeredAtMs: Math.min(...all.map(({ signed }) => signed.offer.sequence)),
      offerEndsAtMs: Math.max(...all.map(({ signed }) => signed.offer.sequence + signed.offer.ttlMs)),
    }));
}

/** Empty where miners differ or do not tell. */
function digestOf(models: readonly OfferedModel[]): string {
  const digests = new Set(models.map(({ digest }) => (digest ? toHex(digest) : '')));
  return digests.size === 1 ? ([...digests][0] ?? '') : '';
}
