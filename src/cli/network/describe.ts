/** A network in words, before anyone joins it or signs for it: every address that is signed among them. */
import { toHex } from '../../bytes.ts';
import type { Site } from '../../chain/join-document.ts';
import type { ValidatorSet } from '../../chain/validator-set.ts';
import { fields, printable } from '../output.ts';
import type { LoadedNetwork } from './source.ts';
import type { SitePowers } from './survival.ts';

export function describeNetwork({ document, signers }: LoadedNetwork): string {
  const { chain, validUntilMs, sites } = document;
  const { names, power, set } = signers;
  const by = names.length === 0 ? 'nobody yet' : `${names.join(', ')} (${power} of ${set.totalPower} of the power)`;
  return printable(
    fields([
      ['network', chain.chainId],
      ['genesis', toHex(chain.genesisHash)],
      ['validators', set.validators.map(({ name }) => name).join(', ')],
      ['signed by', by],
      ['valid until', new Date(validUntilMs).toISOString()],
      ...sites.map(({ name, peers, rpc }) => [name, [...peers, ...rpc].join(' ')] as const),
    ]),
  );
}

/** `{chain_id,genesis_hash,signed_by,power,total_power,valid_until,sites}` */
export function networkDocument({ document, signers }: LoadedNetwork): Readonly<Record<string, unknown>> {
  const { chain, validUntilMs, sites } = document;
  return {
    chain_id: chain.chainId,
    genesis_hash: toHex(chain.genesisHash),
    signed_by: signers.names,
    power: signers.power,
    total_power: signers.set.totalPower,
    valid_until: new Date(validUntilMs).toISOString(),
    sites: sites.map(({ name, peers, rpc }) => ({ name, peers, rpc })),
  };
}

/** Validators by the site that their names begin with, as `network new` names them; the others stand alone. */
export function powersBySite(sites: readonly Site[], { validators }: ValidatorSet): SitePowers[] {
  const siteOf = (name: string): string =>
    sites.find((site) => name === site.name || name.replace(/-\d+$/, '') === site.name)?.name ?? name;
  const groups = Map.groupBy(validators, ({ name }) => siteOf(name));
  return [...groups].map(([name, members]) => ({ name, powers: members.map(({ power }) => power) }));
}
