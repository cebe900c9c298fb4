/**
 * Inputs too large for the body of a job, or for a work stream: uploaded sealed, leaf by leaf, and asked for by the miner that
 * gets the job. An upload that broke off goes on with what is missing.
 */
import { createHmac, randomBytes } from 'node:crypto';
import Type from 'typebox';
import { fromHex, toHex } from '../../bytes.ts';
import { decodeLeafList, LEAF_BYTES, MAX_LEAF_LIST_BYTES, MAX_LEAVES } from '../../chain/market/blob.ts';
import type { BlobShelf } from '../../compute/blobs/shelf.ts';
import { NodeError } from '../../errors.ts';
import type { NodeApi } from '../api.ts';
import { hash, ofChain, strict } from '../app.ts';
import type { Input, Operation } from '../operation.ts';
import { fresh, OF_CHAIN, operation } from '../operation.ts';
import { Blob } from '../schemas.ts';

const ADDRESS_KEY = randomBytes(32);
/** A leaf in base64, with what JSON adds. */
const MAX_LEAF_BODY_BYTES = Math.ceil((LEAF_BYTES * 4) / 3) + 256;
const MAX_LIST_BODY_BYTES = 2 * MAX_LEAF_LIST_BYTES + 256;

export function blobOperations(node: NodeApi): Operation[] {
  return [
    operation({
      methods: [],
      verb: 'POST',
      path: '/v1/blobs',
      summary:
        'Takes the list of leaves of a sealed input; tells which are missing. Sending it again goes on with the upload',
      params: strict({}),
      query: ofChain,
      body: {
        maxBytes: MAX_LIST_BODY_BYTES,
        binary: 'the list of leaves',
        forms: [
          {
            key: null,
            schema: strict({ list: Type.String({ pattern: '^[0-9a-f]+$', maxLength: 2 * MAX_LEAF_LIST_BYTES }) }),
          },
        ],
      },
      answers: { 200: { description: 'What is there of it', schema: Blob } },
      errors: [...OF_CHAIN, 'CODEC', 'BUSY', 'STORAGE'],
      load: 'write',
      handle: async ({ query, body, ...asker }) => {
        const { blobs } = node.chain(query.chain_id).market;
        const root = await blobs.begin(decodeLeafList(bytesOf(body, 'list', 'hex')), ownerOf(asker));
        return fresh(view(blobs, root));
      },
    }),
    operation({
      methods: [],
      verb: 'POST',
      path: '/v1/blobs/:root/leaves/:leaf',
      summary: 'Takes a leaf of a sealed input whose list is known; from 0 on, in any order',
      params: strict({
        root: hash,
        leaf: Type.String({ pattern: '^(?:0|[1-9][0-9]{0,2})$', description: `below ${MAX_LEAVES}` }),
      }),
      query: ofChain,
      body: {
        maxBytes: MAX_LEAF_BODY_BYTES,
        binary: 'the leaf, sealed',
        forms: [{ key: null, schema: strict({ leaf: Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$' }) }) }],
      },
      answers: { 200: { description: 'What is there of it', schema: Blob } },
      errors: [...OF_CHAIN, 'NOT_FOUND', 'BAD_PROOF', 'STORAGE'],
      handle: async ({ params, query, body }) => {
        const { blobs } = node.chain(query.chain_id).market;
        const root = fromHex(params.root);
        await blobs.put(root, Number(params.leaf), bytesOf(body, 'leaf', 'base64'));
        return fresh(view(blobs, root));
      },
    }),
    operation({
      methods: [],
      verb: 'GET',
      path: '/v1/blobs/:root',
      summary: 'What is there of a sealed input; asking keeps it from being removed as idle',
      params: strict({ root: hash }),
      query: ofChain,
      answers: { 200: { description: 'What is there of it', schema: Blob } },
      errors: [...OF_CHAIN, 'NOT_FOUND'],
      scope: 'submit',
      handle: ({ params, query }) => {
        const { blobs } = node.chain(query.chain_id).market;
        return fresh(view(blobs, fromHex(params.root)));
      },
    }),
  ];
}

/** @throws NodeError NOT_FOUND */
function view(blobs: BlobShelf, root: Uint8Array): unknown {
  blobs.touch(root);
  const list = blobs.list(root);
  if (!list) {
    throw new NodeError('NOT_FOUND', 'no such blob is here, or it was idle for too long', { hint: 'upload it again' });
  }
  const { sealedBytes, leaves } = list;
  return { root: toHex(root), sealed_bytes: sealedBytes, leaves: leaves.length, missing: blobs.missing(root) ?? [] };
}

function bytesOf(body: unknown, field: string, form: 'hex' | 'base64'): Uint8Array {
  if (body instanceof Uint8Array) return new Uint8Array(body);
  return new Uint8Array(Buffer.from((body as Readonly<Record<string, string>>)[field] ?? '', form));
}

/** Whose room it takes: that of an API key, wherever it is used from, else of a client. */
function ownerOf({ principal, client }: Pick<Input<object, object>, 'principal' | 'client'>): string {
  if (principal.kind === 'key') return `key ${principal.id}`;
  // On the disk nobody's address is to be read.
  return `from ${createHmac('sha256', ADDRESS_KEY).update(client.key).digest('hex')}`;
}
