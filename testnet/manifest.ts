/**
 * testnet.json: what other programs read of a cluster. Its form is a contract; README.md explains the fields. It is
 * replaced atomically, as one line that equals the last line of `--json`.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
import type { Static } from 'typebox';
import { Compile } from 'typebox/schema';
import { NodeError } from '../src/errors.ts';

const closed = { additionalProperties: false };

const Node = Type.Object(
  {
    index: Type.Integer({ minimum: 1 }),
    name: Type.String(),
    pid: Type.Union([Type.Integer(), Type.Null()]),
    state: Type.Union([
      Type.Literal('starting'),
      Type.Literal('running'),
      Type.Literal('paused'),
      Type.Literal('killed'),
      Type.Literal('stopped'),
      Type.Literal('failed'),
    ]),
    rpc: Type.String(),
    p2p: Type.String(),
    metrics: Type.String(),
    home: Type.String(),
    peer_id: Type.String(),
    validator: Type.String(),
    site: Type.Optional(Type.String()),
    netns: Type.Optional(Type.String()),
  },
  closed,
);

const Miner = Type.Object(
  {
    index: Type.Integer({ minimum: 1 }),
    name: Type.String(),
    pid: Node.properties.pid,
    state: Node.properties.state,
    home: Type.String(),
    address: Type.String(),
    models: Type.Array(Type.String()),
  },
  closed,
);

const Gateway = Type.Object({ url: Type.String(), api_key: Type.String() }, closed);

const Account = Type.Object(
  {
    name: Type.String(),
    address: Type.String(),
    balance_uait: Type.String(),
    key_file: Type.Union([Type.String(), Type.Null()]),
  },
  closed,
);

const chain = {
  chain_id: Type.String(),
  genesis_hash: Type.String(),
  quorum: Type.Integer({ minimum: 1 }),
};

const Chain = Type.Object(chain, closed);

const Manifest = Type.Object(
  {
    version: Type.Literal(1),
    ...chain,
    nodes: Type.Array(Node),
    accounts: Type.Array(Account),
    miners: Type.Optional(Type.Array(Miner)),
    gateway: Type.Optional(Gateway),
    further_chains: Type.Optional(Type.Array(Chain)),
  },
  closed,
);

const manifestForm = Compile(Manifest);

export type ManifestChain = Static<typeof Chain>;
export type ManifestNode = Static<typeof Node>;
export type ManifestMiner = Static<typeof Miner>;
export type ManifestAccount = Static<typeof Account>;
export type Manifest = Static<typeof Manifest>;
export type NodeState = ManifestNode['state'];

export function manifestPath(dataDir: string): string {
  return join(dataDir, 'testnet.json');
}

export function manifestLine(manifest: Manifest): string {
  return JSON.stringify(manifest);
}

/** @returns undefined when the folder holds no cluster @throws NodeError DATA_FOLDER when the file is not one of ours */
export function readManifest(dataDir: string): Manifest | undefined {
  const path = manifestPath(dataDir);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new NodeError('DATA_FOLDER', `cannot read ${path}`, { cause: error, hint: 'check the rights of the folder' });
  }
  return parseManifest(text, path);
}

/** @throws NodeError DATA_FOLDER */
export function parseManifest(text: string, path: string): Manifest {
  try {
    return manifestForm.Parse(JSON.parse(text));
  } catch (error) {
    throw new NodeError('DATA_FOLDER', `${path} is not a cluster's file of version 1`, {
      cause: error,
      hint: 'use another --data, or remove the folder to start afresh',
    });
  }
}

export function writeManifest(dataDir: string, manifest: Manifest): void {
  replaceFile(manifestPath(dataDir), `${manifestLine(manifest)}\n`);
}

/** Readers see the old text or the new one, never a part. */
export function replaceFile(path: string, text: string): void {
  const fresh = `${path}.${process.pid}.new`;
  writeFileSync(fresh, text, { mode: 0o600 });
  renameSync(fresh, path);
}
