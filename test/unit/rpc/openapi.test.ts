import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { Compile } from 'typebox/schema';
import type { ErrorCode } from '../../../src/errors.ts';
import { ERRORS } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { JobDesks } from '../../../src/rpc/jobs/desk.ts';
import { openApiDocument } from '../../../src/rpc/openapi.ts';
import { createAdminOperations, createOperations, STREAMS } from '../../../src/rpc/operations.ts';
import { NO_MINER } from '../../../src/rpc/routes/own-miner.ts';
import { TransactionDesks } from '../../../src/rpc/tx-intake.ts';
import { systemClock } from '../../../src/clock.ts';
import { memoryAccess } from '../../util/access.ts';
import { isForOperators, OTHER_ANSWERS, provocation, send, World } from './document-world.ts';
import type { Target } from './document-world.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import type { Answer } from './http.ts';
import { ask } from './http.ts';

interface Described {
  readonly operationId: string;
  readonly parameters: readonly { name: string; in: string; required: boolean; schema: object }[];
  readonly responses: Readonly<Record<string, { content?: Readonly<Record<string, { schema: object }>> }>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

const written = (): Document => {
  const operations = createOperations(fakeNode(new FakeNode()), {
    desks: new TransactionDesks(systemClock),
    jobDesks: new JobDesks(memoryAccess().access, nopLogger),
    access: memoryAccess().access,
    clock: systemClock,
    log: nopLogger,
  });
  return JSON.parse(JSON.stringify(openApiDocument([...operations, ...STREAMS], '0.0.0')));
};

/** What the admin socket answers. */
const writtenForOperators = (): Document =>
  JSON.parse(
    JSON.stringify(
      openApiDocument(createAdminOperations(fakeNode(new FakeNode()), memoryAccess().keys, NO_MINER), '0.0.0'),
    ),
  );

const document = written();
const operatorDocument = writtenForOperators();
const targetsOf = ({ paths }: Document) =>
  Object.entries(paths).flatMap(([path, verbs]) =>
    Object.entries(verbs).map(([verb, described]) => ({ path, verb, described })),
  );
const publicTargets = targetsOf(document);
// Both describe themselves alike.
const operatorTargets = targetsOf(operatorDocument).filter(({ path }) => !Object.hasOwn(document.paths, path));
const targets = [...publicTargets, ...operatorTargets];

/** Why an answer is none that the document allows; null when it is one. */
function misfit(described: Described, { status, headers, json, text }: Answer): string | null {
  const response = described.responses[status];
  if (!response) return `status ${status} is not described: ${text.slice(0, 300)}`;
  if (!response.content) return text === '' ? null : 'content where none is described';
  const type = String(headers['content-type']).replace(/;.*/, '');
  const media = response.content[type];
  if (!media) return `${status} with ${type} is not described`;
  if (!type.includes('json')) return null;
  const validator = Compile({ ...media.schema, components: document.components } as object);
  const [ok, faults] = validator.Errors(json);
  return ok ? null : `${status} ${JSON.stringify(faults).slice(0, 500)} in ${text.slice(0, 300)}`;
}

/** Failures before anything is done. */
const LEAVES_NOTHING: ReadonlySet<ErrorCode> = new Set([
  ...(['FORBIDDEN', 'INVALID_PARAMS', 'INVALID_REQUEST', 'PARSE_ERROR', 'TOO_LARGE', 'GONE'] as const),
  ...(['UNKNOWN_CHAIN', 'CHAIN_STOPPED', 'INTERNAL', 'UNAUTHENTICATED', 'METHOD_DISABLED'] as const),
  ...(['BUDGET_SPENT', 'PRICE', 'NO_MODEL', 'BAD_JOB', 'BUSY', 'STORAGE', 'NOT_FOUND', 'CONFLICT'] as const),
]);

/** The schema of a failure, in any of the forms there are. */
interface Failing {
  readonly properties?: {
    readonly code?: { readonly enum?: ErrorCode[] };
    readonly error?: { readonly properties?: { readonly code?: { readonly enum?: ErrorCode[] } } };
  };
}

/** The code that an answer tells, in any form. */
function codeOf(json: { code?: unknown; error?: { code?: unknown } } | undefined): unknown {
  return json?.code ?? json?.error?.code;
}

/** Codes that the document promises for an operation, with their status. */
function promised({ responses }: Described): { status: string; code: ErrorCode }[] {
  return Object.entries(responses).flatMap(([status, { content = {} }]) =>
    Object.values(content)
      .map(({ schema }) => (schema as Failing).properties)
      .flatMap((properties) => properties?.code?.enum ?? properties?.error?.properties?.code?.enum ?? [])
      .map((code) => ({ status, code })),
  );
}

describe('the OpenAPI document', () => {
  let world: World;
  /** Something was submitted or replaced: the next test begins anew. */
  let isUsed = true;

  beforeEach(async () => {
    if (isUsed) world = await World.start({ market: true });
    isUsed = false;
  });

  afterEach(async () => {
    if (isUsed) await world.close();
    else world.restore();
  });

  after(() => (isUsed ? undefined : world.close()));

  it('is served, and is what the operations say', async () => {
    const { status, json } = await ask(world.server.url, '/openapi.json');
    assert.equal(status, 200);
    assert.deepEqual(json, document);
    assert.match(json.openapi, /^3\.1\./);
  });

  it('has nothing that only the operator may do: that is on the admin socket, in a document of its own', async () => {
    assert.deepEqual(
      operatorTargets.map(({ path }) => path),
      [
        '/api/chains/{id}/start',
        '/api/chains/{id}/stop',
        '/api/keys',
        '/api/keys',
        '/api/keys/{id}/revoke',
        '/api/miner',
        '/api/miner/drain',
      ],
    );
    const { status, json } = await ask(await world.url('/api/chains/'), '/openapi.json');
    assert.equal(status, 200);
    assert.deepEqual(json, operatorDocument);
    for (const { path, verb } of operatorTargets) {
      const answer = await ask(world.server.url, path.replace('{id}', 'ait-devnet'), { method: verb.toUpperCase() });
      assert.equal(answer.json.code, 'METHOD_NOT_FOUND');
    }
  });

  it('names every operation once, and refers to nothing that is not there', () => {
    const ids = publicTargets.map(({ described }) => described.operationId);
    assert.deepEqual(ids, [...new Set(ids)]);
    const refs = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g);
    const used = new Set([...refs].map(([, name]) => name));
    assert.deepEqual(used, new Set(Object.keys(document.components.schemas)));
  });

  it('lists the paths of the README, and no others', () => {
    const text = readFileSync(new URL('../../../src/rpc/README.md', import.meta.url), 'utf8');
    const rows = [...text.matchAll(/^\| `((?:GET|POST|DELETE) \S+)` \|/gm)].map(([, row]) => row);
    assert.deepEqual(new Set(rows), new Set(targets.map(({ path, verb }) => `${verb.toUpperCase()} ${path}`)));
  });

  for (const { path, verb, described } of targets) {
    const target: Target = { path, verb };

    describe(`of ${verb.toUpperCase()} ${path}`, () => {
      const statuses = Object.entries(described.responses).filter(
        ([status, { content = {} }]) =>
          status === '204' ||
          (Number(status) < 400 && Object.keys(content).length > 0) ||
          OTHER_ANSWERS[`${status} ${path}`],
      );
      for (const [status] of statuses) {
        it(`tells its answer with ${status}`, async () => {
          isUsed = isForOperators(path) || verb !== 'get';
          const act =
            OTHER_ANSWERS[`${status} ${verb} ${path}`] ??
            (status === '200' ? send : OTHER_ANSWERS[`${status} ${path}`]);
          assert(act, 'nothing is known to give this answer');
          const answer = await act(world, target);
          assert.equal(String(answer.status), status, answer.text);
          assert.equal(misfit(described, answer), null);
        });
      }

      for (const { status, code } of promised(described)) {
        it(`tells its failure ${code}`, async () => {
          isUsed = isForOperators(path) || (verb !== 'get' && !LEAVES_NOTHING.has(code));
          const provoke = provocation(target, code);
          assert(provoke, 'nothing is known to make it fail so: the document promises too much');
          const answer = await provoke(world, target);
          assert.equal(codeOf(answer.json), code, answer.text.slice(0, 300));
          assert.equal(String(answer.status), status);
          assert.equal(ERRORS[code].http, answer.status);
          assert.equal(misfit(described, answer), null);
        });
      }

      it('tells every answer to input of any kind', async () => {
        isUsed = isForOperators(path) || verb !== 'get';
        const odd = fc.oneof(
          fc.constantFrom('0', '1', '01', '-1', 'latest', '9007199254740992', 'ab'.repeat(32), '00', 'ait-devnet', ''),
          fc.string({ maxLength: 100 }),
        );
        const names = described.parameters.map(({ name }) => name);
        const query = fc.dictionary(fc.constantFrom(...names, 'chain_id', 'x'), odd, { maxKeys: 3 });
        const bodies = fc.oneof(fc.json({ maxDepth: 3 }), fc.string(), fc.constant(undefined));
        await fc.assert(
          fc.asyncProperty(
            fc.dictionary(fc.constantFrom(...names, 'x'), odd),
            query,
            bodies,
            async (some, asked, body) => {
              const params = Object.fromEntries(
                Object.entries(some).map(([name, value]) => [name, encodeURIComponent(value) || 'x']),
              );
              const text = `?${new URLSearchParams(asked).toString()}`;
              const answer = await send(world, target, { params, query: text, ...(body !== undefined && { body }) });
              const isOther = codeOf(answer.json) === 'METHOD_NOT_FOUND';
              assert.equal(isOther ? null : misfit(described, answer), null);
            },
          ),
          { numRuns: 25 },
        );
      });
    });
  }
});
