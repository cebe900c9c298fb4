import assert from 'node:assert/strict';
import type { ServerCandidate } from '../../../../src/compute/executors/discover.ts';
import { discoverServers, LOCAL_CANDIDATES } from '../../../../src/compute/executors/discover.ts';
import { failsWith, never } from '../../../util/executor-jobs.ts';
import { FakeModelServer, fakeOllama, fakeOpenAi, json } from '../../../util/fake-model-server.ts';

describe('model servers on this machine', () => {
  it('are found where they answer as what they are, and a node of the market is none', async () => {
    const away = new FakeModelServer({});
    const servers = {
      ollama: fakeOllama([]),
      vllm: fakeOpenAi([{ id: 'm' }]),
      market: fakeOpenAi([{ id: 'm', owned_by: 'aitbc' }]),
      empty: fakeOpenAi([]),
      other: away,
      // Points elsewhere: whoever it is meant for, it is not asked in our name.
      redirecting: new FakeModelServer({
        '/v1/models': (_, response) => void response.writeHead(302, { location: `${vllmUrl}/v1/models` }).end(),
      }),
      shy: new FakeModelServer({
        '/v1/models': (_, response) => {
          json(response, {}, 401);
        },
      }),
    };
    const vllmUrl: string = await servers.vllm.listen();
    const candidates: ServerCandidate[] = [{ type: 'ollama', baseUrl: vllmUrl }];
    for (const [name, server] of Object.entries(servers)) {
      const baseUrl = name === 'vllm' ? vllmUrl : await server.listen();
      candidates.push({ type: name === 'ollama' ? 'ollama' : 'openai', baseUrl });
    }
    const found = await discoverServers({ candidates, signal: never });
    assert.deepEqual(found, [candidates[1], candidates[2]]);
    for (const server of Object.values(servers)) await server.close();
    assert.deepEqual(await discoverServers({ candidates, signal: never }), []);
  });

  it('are looked for on this machine alone', async () => {
    const asked: string[] = [];
    const fetch = (url: unknown): Promise<Response> => {
      asked.push(new URL(String(url)).host);
      return Promise.reject(new TypeError('fetch failed'));
    };
    assert.deepEqual(await discoverServers({ fetch, signal: never }), []);
    assert.deepEqual(asked, ['127.0.0.1:11434', '127.0.0.1:8000', '127.0.0.1:8080', '127.0.0.1:1234']);
    assert.equal(asked.length, LOCAL_CANDIDATES.length);
    for (const baseUrl of [
      'http://10.0.0.7:11434',
      'http://127.0.0.1.example.org',
      'http://localhost.evil',
      'nonsense',
    ]) {
      const candidates = [{ type: 'ollama', baseUrl }] as const;
      await failsWith('CONFIG', discoverServers({ candidates, fetch, signal: never }));
    }
    assert.equal(asked.length, LOCAL_CANDIDATES.length);
  });
});
