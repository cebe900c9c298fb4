/** `aitbc network`: the work of each verb. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { equalBytes, toHex } from '../../bytes.ts';
import { formatAddress, parseAddress } from '../../chain/address.ts';
import type { JoinDocument } from '../../chain/join-document.ts';
import { joinDocumentSignBytes, signJoinDocument } from '../../chain/join-document.ts';
import { joinDocumentToJson } from '../../chain/join-document-json.ts';
import type { SignedCard } from '../../chain/validator-card.ts';
import { MAX_CARD_CHARACTERS, readCard } from '../../chain/validator-card.ts';
import { renderConfigToml } from '../../config.ts';
import { NodeError } from '../../errors.ts';
import { nativeCrypto } from '../../native/crypto.ts';
import { ensurePrivateFolder, replaceFile } from '../../store/files.ts';
import { storageError } from '../../store/storage-error.ts';
import { parseAmount } from '../amount.ts';
import type { Context } from '../context.ts';
import { plural, table } from '../output.ts';
import { confirm, readPassword } from '../prompt.ts';
import { readSmallText } from '../small-file.ts';
import { ownValidatorKey } from '../validator-key.ts';
import { describeNetwork, networkDocument, powersBySite } from './describe.ts';
import { bundlePath, jsonBytes, writeNew } from './files.ts';
import type { GenesisAccount } from './genesis-template.ts';
import { makeNetwork } from './make.ts';
import {
  DEFAULT_LAYOUT,
  MAX_NODES,
  MAX_SITES_FILE_BYTES,
  parseLayout,
  parseSitesFile,
  planNodes,
  withRpcUrls,
} from './plan.ts';
import { sealNetwork } from './seal.ts';
import type { LoadedNetwork } from './source.ts';
import { loadDraft, loadNetwork } from './source.ts';
import { layoutSentences } from './survival.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

interface GenesisOptions {
  readonly out: string;
  readonly account?: readonly string[];
  readonly operatorBalance: string;
  readonly validDays: number;
}

export interface NewOptions extends GenesisOptions {
  readonly validators?: string;
  readonly sites?: string;
  readonly host?: readonly string[];
  readonly rpcUrl?: readonly string[];
}

export async function newNetwork(context: Context, chainId: string, options: NewOptions): Promise<void> {
  const { validators, sites: sitesFile, host = [], rpcUrl = [] } = options;
  if (validators !== undefined && sitesFile !== undefined) {
    throw new NodeError('USAGE', '--validators and --sites both say where validators stand: give one of them');
  }
  const planned =
    sitesFile === undefined
      ? parseLayout(validators ?? DEFAULT_LAYOUT)
      : parseSitesFile(await readSmallText(sitesFile, MAX_SITES_FILE_BYTES, 'a file of sites', 'USAGE'), sitesFile);
  const sites = withRpcUrls(planned, rpcUrl);
  const nodes = planNodes(sites, host);
  const folder = resolve(options.out);
  requireFree(folder, ['genesis.json', 'join.json', ...nodes.map(({ name }) => bundlePath('', name))]);
  const genesisSpec = readGenesisOptions(options);
  const password = await readPassword({
    file: context.options.passwordFile,
    purpose: 'a password for the bundles',
    isNew: true,
  });
  const {
    genesis,
    genesisJson,
    join: document,
    bundles,
  } = await makeNetwork({
    ...{ chainId, sites, nodes, password, nowMs: Date.now() },
    ...genesisSpec,
  });
  const files = [
    { path: join(folder, 'genesis.json'), bytes: jsonBytes(genesisJson) },
    { path: join(folder, 'join.json'), bytes: documentBytes(document) },
    ...bundles.map(({ name, text }) => ({ path: bundlePath(folder, name), bytes: Buffer.from(text) })),
  ];
  await writeAll(folder, files);
  const powers = sites.map((site) => ({ name: site.name, powers: Array<number>(site.validators).fill(1) }));
  const genesisHash = toHex(genesis.chain.genesisHash);
  const survival = layoutSentences(powers);
  const paths = files.map(({ path }) => path);
  context.out.data(
    { chain_id: chainId, genesis_hash: genesisHash, nodes: nodes.map(({ name }) => name), survival, files: paths },
    [
      `${chainId}, genesis ${genesisHash}`,
      table(
        ['NODE', 'SITE', 'ADDRESS'],
        nodes.map(({ name, site, address }) => [name, site, address]),
      ),
      ...survival,
      ...paths.map((path) => `Wrote ${path}`),
    ].join('\n'),
  );
  context.out.note(
    `Next, at each site: aitbc init --bundle ${nodes[0]?.name ?? ''}.bundle.json, then aitbc start. Others: aitbc join join.json. ` +
      'Tell everyone the genesis hash by another way than the files.',
  );
}

export async function seal(context: Context, cardFiles: readonly string[], options: GenesisOptions): Promise<void> {
  const chainId = context.options.chain;
  if (chainId === undefined) throw new NodeError('USAGE', 'say which chain is made: --chain ait-testnet');
  if (cardFiles.length > MAX_NODES) throw new NodeError('USAGE', `a network has at most ${MAX_NODES} validators`);
  const cards: SignedCard[] = [];
  for (const file of cardFiles) {
    cards.push(readCard(nativeCrypto, await readSmallText(file, MAX_CARD_CHARACTERS, 'a validator card', 'USAGE')));
  }
  const folder = resolve(options.out);
  const configName = (name: string): string => `${name}.config.toml`;
  requireFree(folder, ['genesis.json', 'join.json', ...cards.map(({ name }) => configName(name))]);
  const sealed = sealNetwork({ chainId, cards, nowMs: Date.now(), ...readGenesisOptions(options) });
  const files = [
    { path: join(folder, 'genesis.json'), bytes: jsonBytes(sealed.genesisJson) },
    { path: join(folder, 'join.json'), bytes: documentBytes(sealed.join) },
    ...sealed.configs.map(({ name, values }) => ({
      path: join(folder, configName(name)),
      bytes: Buffer.from(renderConfigToml(values)),
    })),
  ];
  await writeAll(folder, files);
  const sites = [...Map.groupBy(cards, ({ site }) => site)].map(([name, members]) => ({
    name,
    powers: members.map(({ power }) => power),
  }));
  const survival = layoutSentences(sites);
  const genesisHash = toHex(sealed.genesis.chain.genesisHash);
  const paths = files.map(({ path }) => path);
  context.out.data(
    { chain_id: chainId, genesis_hash: genesisHash, nodes: cards.map(({ name }) => name), survival, files: paths },
    [
      `${chainId}, genesis ${genesisHash}`,
      table(
        ['NODE', 'SITE', 'POWER', 'KEY', 'OPERATOR'],
        cards.map((card) => [card.name, card.site, card.power, toHex(card.publicKey), formatAddress(card.operator)]),
      ),
      ...survival,
      ...paths.map((path) => `Wrote ${path}`),
    ].join('\n'),
  );
  context.out.note(
    'Next: give join.json to every validator. Each looks at it and signs: aitbc network sign join.json --out MINE.json; put ' +
      'together they are the document: aitbc network sign A.json B.json … --out join.json. Then, at each: aitbc join join.json.',
  );
}

/** The signatures of all files, and that of this home's validator key where the genesis names it. */
export async function sign(context: Context, files: readonly string[], out: string | undefined): Promise<void> {
  const { genesisHash, chain: chainId } = context.options;
  const [first, ...others] = await loadAll(files, { timeoutMs: context.timeoutMs, genesisHash, chainId });
  if (!first) throw new NodeError('USAGE', 'name the join document to sign');
  let document = first.document;
  for (const other of others) document = merged(document, other.document);
  const { set } = first.signers;
  const key = await ownValidatorKey(context.layout(first.genesis.chain.chainId).validatorKey);
  const isOurs = key !== null && set.validators.some(({ publicKey }) => equalBytes(publicKey, key.publicKey));
  context.out.note(describeNetwork({ ...first, document }));
  for (const line of layoutSentences(powersBySite(document.sites, set))) context.out.note(line);
  if (isOurs && (await confirm('Sign it with the validator key of this home?', context.options.yes))) {
    document = signJoinDocument(document, key);
  } else if (others.length === 0) {
    throw new NodeError('USAGE', isOurs ? 'cancelled: nothing was signed' : 'nothing to sign with here', {
      hint: `the validator key of ${context.home} is ${key ? 'none of this genesis' : 'missing'}: give --home of a validator`,
    });
  }
  const path = resolve(out ?? files[0] ?? '');
  await replaceFile(path, documentBytes(document)).catch((error: unknown) => {
    throw storageError(error, 'write the join document', path);
  });
  const signed = document.signatures.map(({ publicKey }) => toHex(publicKey));
  context.out.data(
    { file: path, chain_id: document.chain.chainId, signed_by: signed },
    `Wrote ${path}, signed by ${signed.length} of ${plural(set.validators.length, 'validator')}`,
  );
}

/** The same network with new dates, unsigned: people edit its addresses, then the validators sign. */
export async function renew(context: Context, file: string, out: string, validDays: number): Promise<void> {
  const { genesisHash, chain: chainId } = context.options;
  const { document } = await loadDraft(file, { timeoutMs: context.timeoutMs, genesisHash, chainId });
  const issuedAtMs = Date.now();
  const path = resolve(out);
  const next = { ...document, issuedAtMs, validUntilMs: issuedAtMs + validDays * DAY_MS, signatures: [] };
  await writeNew(path, documentBytes(next));
  context.out.data({ file: path }, `Wrote ${path}, which nobody has signed yet`);
  context.out.note('Next: change addresses in it if need be, then, at each validator: aitbc network sign FILE');
}

export async function show(context: Context, source: string): Promise<void> {
  const { genesisHash, chain: chainId } = context.options;
  const network = await loadNetwork(source, { timeoutMs: context.timeoutMs, genesisHash, chainId }, Date.now());
  const survival = layoutSentences(powersBySite(network.document.sites, network.signers.set));
  context.out.data({ ...networkDocument(network), survival }, [describeNetwork(network), ...survival].join('\n'));
}

async function loadAll(files: readonly string[], options: Parameters<typeof loadDraft>[1]): Promise<LoadedNetwork[]> {
  const loaded: LoadedNetwork[] = [];
  for (const file of files) loaded.push(await loadDraft(file, options));
  return loaded;
}

function merged(a: JoinDocument, b: JoinDocument): JoinDocument {
  if (!equalBytes(joinDocumentSignBytes(a), joinDocumentSignBytes(b))) {
    throw new NodeError('USAGE', 'the files are different documents: signatures under one say nothing of the other', {
      hint: 'have all validators sign copies of one file',
    });
  }
  const added = b.signatures.filter(
    (one) => !a.signatures.some(({ publicKey }) => equalBytes(publicKey, one.publicKey)),
  );
  return { ...a, signatures: [...a.signatures, ...added] };
}

function readGenesisOptions({ account = [], operatorBalance, validDays }: GenesisOptions) {
  const accounts = account.map((text): GenesisAccount => {
    const [, address = '', amount = ''] = /^(ait1[^=]*)=(.+)$/.exec(text) ?? [];
    if (amount === '') throw new NodeError('USAGE', '--account takes ADDRESS=AMOUNT', { hint: '--account ait1…=1000' });
    return { address: formatAddress(parseAddress(address)), balanceUait: String(parseAmount(amount)) };
  });
  return { accounts, operatorUait: String(parseAmount(operatorBalance)), validityMs: validDays * DAY_MS };
}

function requireFree(folder: string, names: readonly string[]): void {
  const there = names.map((name) => join(folder, name)).find((path) => existsSync(path));
  if (there === undefined) return;
  throw new NodeError('KEY_EXISTS', `${there} is there already: a network was made here before`, {
    data: { path: there },
    hint: 'give another --out',
  });
}

async function writeAll(folder: string, files: readonly { path: string; bytes: Uint8Array }[]): Promise<void> {
  await ensurePrivateFolder(folder).catch((error: unknown) => {
    throw storageError(error, 'make the folder', folder);
  });
  for (const { path, bytes } of files) await writeNew(path, bytes);
}

/** Indented: people read it. */
function documentBytes(document: JoinDocument): Uint8Array {
  return Buffer.from(`${JSON.stringify(joinDocumentToJson(document), null, 2)}\n`);
}
