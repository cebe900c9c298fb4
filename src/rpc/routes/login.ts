/** Login by signature: a text to sign, and a session for who signed it. */
import Type from 'typebox';
import { fromHex } from '../../bytes.ts';
import { formatAddress, parseAddress } from '../../chain/address.ts';
import { NodeError } from '../../errors.ts';
import { MAX_LOGIN_CHARACTERS, parseLogin } from '../../sdk/login.ts';
import type { Access } from '../access/access.ts';
import type { NodeApi } from '../api.ts';
import { hash, noQuery, ofChain, strict } from '../app.ts';
import type { Operation } from '../operation.ts';
import { fresh, OF_CHAIN, operation } from '../operation.ts';
import { text, time } from '../schemas.ts';

const MAX_BODY_BYTES = 16 * 1024;

const NonceBody = strict({ wallet_address: Type.String({ maxLength: 90, description: 'ait1…' }) });
/** As `aitbc wallet login` writes it. */
const LoginBody = strict({
  message: Type.String({ maxLength: MAX_LOGIN_CHARACTERS }),
  address: Type.Optional(Type.String({ maxLength: 90 })),
  public_key: hash,
  signature: Type.String({ pattern: '^[0-9a-f]{128}$' }),
});

interface LoginRequest {
  readonly message: string;
  readonly public_key: string;
  readonly signature: string;
}

export function loginOperations(node: NodeApi, access: Access): Operation[] {
  return [nonceOperation(node, access), loginOperation(node, access), logoutOperation(access)];
}

function nonceOperation(node: NodeApi, access: Access): Operation {
  return operation({
    ...{ methods: [], verb: 'POST', path: '/v1/auth/nonce', scope: null },
    summary: 'A text for an account to sign, in the form of EIP-4361: it logs in once, within 300 s',
    params: strict({}),
    query: ofChain,
    body: { forms: [{ key: null, schema: NonceBody }], maxBytes: MAX_BODY_BYTES },
    answers: {
      200: {
        description: 'The text, and the nonce in it',
        schema: strict({ nonce: text, message: text, chain_id: text, expires_at: time }),
      },
    },
    errors: [...OF_CHAIN, 'BAD_ADDRESS', 'METHOD_DISABLED'],
    handle: ({ query, body, host }) => {
      requireLogins(access);
      const { chainId } = node.chain(query.chain_id).genesis.chain;
      const address = formatAddress(parseAddress((body as { wallet_address: string }).wallet_address));
      const { nonce, text: message, expiresAtMs } = access.logins.challenge({ domain: host, chainId, address });
      return fresh({ nonce, message, chain_id: chainId, expires_at: new Date(expiresAtMs).toISOString() });
    },
  });
}

function loginOperation(node: NodeApi, access: Access): Operation {
  return operation({
    ...{ methods: [], verb: 'POST', path: '/v1/login', scope: null },
    summary: 'A token for who signed the text: it reads, sends transactions, and acts on jobs of the account',
    params: strict({}),
    query: noQuery,
    body: { forms: [{ key: null, schema: LoginBody }], maxBytes: MAX_BODY_BYTES },
    answers: {
      200: {
        description: 'The token, to be sent as Authorization: Bearer',
        schema: strict({
          token: text,
          token_type: text,
          wallet_address: text,
          chain_id: text,
          scopes: Type.Array(text),
          expires_at: time,
        }),
      },
    },
    errors: [...OF_CHAIN, 'METHOD_DISABLED', 'UNAUTHENTICATED'],
    // A signature is verified.
    load: 'heavy',
    handle: ({ body }) => {
      requireLogins(access);
      const { message, public_key, signature } = body as LoginRequest;
      const api = node.chain(parseLogin(message).chainId);
      const login = { text: message, publicKey: fromHex(public_key, 32), signature: fromHex(signature, 64) };
      const { token, session } = access.logins.logIn(login, { crypto: api.crypto, chain: api.genesis.chain });
      const { address, chainId, scopes } = session.principal;
      return fresh({
        ...{ token, token_type: 'Bearer', wallet_address: address, chain_id: chainId, scopes },
        expires_at: new Date(session.expiresAtMs).toISOString(),
      });
    },
  });
}

function logoutOperation(access: Access): Operation {
  return operation({
    ...{ methods: [], verb: 'POST', path: '/v1/logout', scope: 'read' },
    summary: 'Ends the login whose token the request brings',
    params: strict({}),
    query: noQuery,
    body: { forms: [], maxBytes: 1024 },
    answers: { 204: { description: 'It is over', schema: null } },
    errors: [],
    handle: ({ principal }) => {
      if (principal.kind !== 'session') {
        throw new NodeError('UNAUTHENTICATED', 'the request brings no token of a login', {
          hint: 'send it as Authorization: Bearer TOKEN; API keys are revoked by the operator',
        });
      }
      access.logins.end(principal.id);
      return fresh(undefined, 204);
    },
  });
}

/** Anyone can make an account: where a key is asked for, a login would let everybody in. */
function requireLogins(access: Access): void {
  if (!access.options.requireApiKey) return;
  throw new NodeError('METHOD_DISABLED', 'this node takes API keys alone, and no logins', {
    hint: 'its operator makes keys with: aitbc key create NAME',
  });
}
