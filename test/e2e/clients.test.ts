/** Clients from the registry, written for other servers, talk to a real node unchanged. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EventSource } from 'eventsource';
import jayson from 'jayson/promise/index.js';
import { HttpMethod, OpenAPIClientAxios } from 'openapi-client-axios';
// @ts-expect-error -- the package has no types
import parsePrometheusUntyped from 'parse-prometheus-text-format';
import { toHex } from '../../src/bytes.ts';
import { METRIC_ALIASES } from '../../src/node/metric-aliases.ts';
import { REPOSITORY } from '../../testnet/layout.ts';
import type { TestCluster } from './support.ts';
import { makeTransfer, startCluster, until } from './support.ts';

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly metrics: readonly { readonly value?: string }[];
}

/** An id of null makes a notification of a request; the types do not know it. */
const NOTIFICATION = null as unknown as undefined;

const parsePrometheus = parsePrometheusUntyped as (text: string) => Family[];

describe('clients not written here', function () {
  this.timeout(120_000);
  let at: TestCluster;
  let url: string;
  let nonce = 0;

  /** The next one of alice. */
  const transfer = (): { readonly tx: string; readonly hash: string } => {
    const { signer } = at.account('alice');
    const { bytes, id } = makeTransfer(at.genesis, signer, at.account('bob').address, { nonce: nonce++ });
    return { tx: toHex(bytes), hash: toHex(id) };
  };

  before(async () => {
    at = await startCluster({ validators: 1 });
    url = at.rpc(1);
  });
  after(() => at.close());

  it('jayson, a JSON-RPC client: calls, errors, notifications and batches', async () => {
    const { hostname: host, port } = new URL(url);
    const client = jayson.client.http({ host, port, path: '/rpc' });
    const { tx, hash } = transfer();
    const sent = await client.request('send_tx', { tx, mode: 'commit' });
    assert.equal(sent.error, undefined, JSON.stringify(sent));
    assert.equal(sent.result.hash, hash);
    assert.equal(sent.result.status, 'final');
    const failed = await client.request('get_block', { height: 1_000_000 });
    assert.equal(failed.result, undefined);
    assert.equal(failed.error.data.code, 'NOT_FOUND');
    assert.equal((await client.request('no_such_method', {})).error.code, -32601);
    const batch = [
      client.request('get_head', {}, undefined, false),
      client.request('no_such_method', {}, undefined, false),
      client.request('get_status', {}, NOTIFICATION, false),
    ];
    const answers = await client.request(batch);
    assert.equal(answers.length, 2, JSON.stringify(answers));
    assert.ok(answers[0].result.height >= 1);
    assert.equal(answers[1].error.code, -32601);
  });

  it('openapi-client-axios, a client made of the OpenAPI document: every read it names, and a transfer', async () => {
    const api = new OpenAPIClientAxios({ definition: `${url}/openapi.json`, withServer: { url } });
    const client = await api.init();
    const { tx, hash } = transfer();
    const sent = await client['send_tx']?.({ mode: 'commit' }, { tx });
    assert.equal(sent?.status, 200);
    assert.equal(sent.data.hash, hash);
    const found = await client['get_tx']?.({ hash });
    assert.equal(found?.data.status, 'final');
    const called: string[] = [];
    for (const { operationId, method, responses, parameters = [] } of api.getOperations()) {
      const needs = parameters.some((parameter) => 'required' in parameter && parameter.required);
      // What is read as a WebSocket answers no request.
      const isSocket = '101' in responses;
      if (method !== HttpMethod.Get || needs || isSocket || operationId === undefined) continue;
      const { status } = (await client[operationId]?.(undefined, undefined, { validateStatus: () => true })) ?? {};
      assert.ok(status !== undefined && status < 500 && status !== 400, `${operationId}: ${status}`);
      called.push(operationId);
    }
    assert.ok(called.length > 10, called.join(' '));
  });

  it('eventsource: live blocks, and after a restart of the node those that it missed', async () => {
    const stream = new EventSource(`${url}/v1/stream?topics=blocks`);
    const heights: number[] = [];
    let opened = 0;
    stream.addEventListener('open', () => (opened += 1));
    stream.addEventListener('delta', ({ data }) => heights.push(JSON.parse(String(data)).height));
    try {
      const commit = (): Promise<Response> =>
        fetch(`${url}/rpc/transactions?mode=commit`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ tx: transfer().tx }),
        });
      await until('the stream is open', () => Promise.resolve(opened > 0));
      await commit();
      const first = await until('a block', () => Promise.resolve(heights[0]));
      await at.cluster.kill([1]);
      await at.cluster.restart([1]);
      await until('a block of the new process', async () => (await commit()).ok);
      await until('the stream is open again', () => Promise.resolve(opened > 1));
      const { height } = await (await fetch(`${url}/rpc/head`)).json();
      await until('its block', () => Promise.resolve(heights.includes(height)));
      assert.deepEqual(
        heights,
        Array.from({ length: height - first + 1 }, (_, i) => first + i),
        'each block once, in order',
      );
    } finally {
      stream.close();
    }
  });

  it('parse-prometheus-text-format: the metrics, each family once, each with help and type', async () => {
    const { metrics } = at.cluster.node(1);
    const text = await (await fetch(metrics)).text();
    const families = parsePrometheus(text);
    assert.ok(families.length > 50, `${families.length} families`);
    assert.equal(new Set(families.map(({ name }) => name)).size, families.length);
    for (const { name, help, type } of families) assert.ok(help.length > 0 && type !== 'UNTYPED', name);
    const heights = families.find(({ name }) => name === 'aitbc_chain_head_height');
    assert.ok(Number(heights?.metrics[0]?.value) >= 1);
    for (const { name, of } of METRIC_ALIASES) {
      const [alias, own] = [name, of].map((one) => families.find((family) => family.name === one));
      assert.ok(alias && own, name);
      assert.deepEqual(
        alias.metrics.map(({ value }) => value),
        own.metrics.map(({ value }) => value),
      );
    }
  });

  it('alert rules and dashboards: every metric in them is one that a node exposes', async () => {
    const text = await (await fetch(at.cluster.node(1).metrics)).text();
    const families = parsePrometheus(text).map(({ name }) => name);
    // Of miners and of whoever pays for jobs, which this node is not.
    const known = new Set([...families, ...declaredMetrics('src/compute')]);
    const folder = join(REPOSITORY, 'deploy');
    const boards = readdirSync(folder).filter((file) => /^dashboard.*\.json$/.test(file));
    assert.equal(boards.length, 4);
    for (const file of ['alerts.yml', ...boards]) {
      const content = readFileSync(join(folder, file), 'utf8');
      const named = new Set(content.match(/\baitbc_[a-z0-9_]+/g));
      assert.ok(named.size >= 8, file);
      assert.deepEqual(
        [...named].filter((name) => !known.has(name) && !known.has(name.replace(/_(bucket|sum|count)$/, ''))),
        [],
        file,
      );
    }
    const made = boards.map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Board);
    assert.equal(new Set(made.map(({ uid }) => uid)).size, boards.length);
    for (const { title, panels } of made) assert.ok(panels.length >= 10, title);
  });
});

interface Board {
  readonly title: string;
  readonly uid: string;
  readonly panels: readonly unknown[];
}

function declaredMetrics(folder: string): string[] {
  const path = join(REPOSITORY, folder);
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => [...readFileSync(join(path, file), 'utf8').matchAll(/'(aitbc_[a-z0-9_]+)'/g)])
    .map(([, name = '']) => name);
}
