import assert from 'node:assert/strict';
import { connect } from 'node:net';
import OpenAI, { APIError } from 'openai';
import { toHex } from '../../../src/bytes.ts';
import { NodeError } from '../../../src/errors.ts';
import { PIECE_WITHIN_MS } from '../../../src/rpc/pieces.ts';
import type { ManualClock } from '../../net/manual-clock.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { waitFor } from '../../util/wait.ts';
import { post } from './http.ts';
import type { JobWorld } from './job-world.ts';
import { startJobWorld } from './job-world.ts';
import { HASHES, TINY } from './scripted-coordinator.ts';
import { inlinePart } from '../../util/inline-part.ts';

const MESSAGES = [{ role: 'user', content: 'Capital of Austria?' }] as const;
const CHAT = { model: TINY, messages: [...MESSAGES] };

describe('the paths of OpenAI', () => {
  let world: JobWorld;
  let client: OpenAI;
  /** Requests that the client sent, those it repeated included. */
  let sent: number;

  const start = async (clock?: ManualClock): Promise<void> => {
    world = await startJobWorld(clock ? { clock } : {});
    sent = 0;
    client = new OpenAI({
      baseURL: `${world.url}/v1`,
      apiKey: world.carol,
      maxRetries: 2,
      fetch: (url, init) => {
        sent++;
        return fetch(url, init);
      },
    });
  };

  beforeEach(() => start());

  afterEach(async () => {
    world.node.closing.abort();
    await world.server.close();
    assert.equal(world.market.waiting, 0);
  });

  const vienna = (): void => {
    world.market.onJob = (id) => {
      world.market.answer(id, 'Vien', 'na.');
    };
  };

  /** Of what came last. */
  const asked = () => {
    const last = world.market.requests.at(-1);
    assert(last);
    const { parts, params } = last;
    return {
      ...last,
      parts: parts.map(inlinePart).map(({ role, data }) => [role, Buffer.from(data).toString('utf8')]),
      params: params.map(({ name, value }) => `${name}=${value}`),
    };
  };

  const failure = async (act: Promise<unknown>): Promise<APIError> => {
    const error: unknown = await act.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    assert(error instanceof APIError);
    return error;
  };

  it('answer a chat of the openai client, with job, price and receipt', async () => {
    vienna();
    const sampling = { max_completion_tokens: 10, temperature: 0.25, top_p: 0, seed: 7, stop: ['\n'], n: 1 };
    const { data, response } = await client.chat.completions
      .create({
        ...CHAT,
        messages: [
          { role: 'developer', content: 'Be brief.' },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'Capital of ' },
              { type: 'text', text: 'Austria?' },
            ],
          },
        ],
        ...sampling,
      })
      .withResponse();
    assert.equal(data.choices[0]?.message.content, 'Vienna.');
    assert.equal(data.choices[0]?.finish_reason, 'stop');
    assert.equal(data.model, TINY);
    assert.deepEqual(data.usage, { prompt_tokens: 9, completion_tokens: 6, total_tokens: 15 });
    const { id, receiptId } = world.market.last;
    assert.equal(data.id, `chatcmpl-${toHex(id)}`);
    assert.equal(response.headers.get('x-aitbc-job'), toHex(id));
    assert.equal(response.headers.get('x-aitbc-price'), '145');
    assert.equal(response.headers.get('x-aitbc-receipt'), receiptId && toHex(receiptId));
    const { parts, params, kind, model, maxOutputBytes } = asked();
    assert.deepEqual(parts, [
      ['system', 'Be brief.'],
      ['user', 'Capital of Austria?'],
    ]);
    assert.deepEqual(params, ['max_tokens=10', 'temperature_milli=250', 'top_p_milli=1', 'seed=7', 'stop=\n']);
    assert.deepEqual([kind, model, maxOutputBytes], ['llm.chat', TINY, 1024]);
  });

  it('stream to the openai client while the miner works', async () => {
    world.market.onJob = (id) => {
      world.market.start(id);
      world.market.give(id, 'Vien');
    };
    const stream = await client.chat.completions.create({
      ...CHAT,
      stream: true,
      stream_options: { include_usage: true },
    });
    const { id } = world.market.last;
    let text = '';
    const reasons: unknown[] = [];
    let usage: unknown;
    for await (const chunk of stream) {
      const [choice] = chunk.choices;
      text += choice?.delta.content ?? '';
      if (choice?.finish_reason) reasons.push(choice.finish_reason);
      usage ??= chunk.usage;
      if (text !== 'Vien' || choice?.delta.content !== 'Vien') continue;
      // A character comes in two halves.
      world.market.give(id, Uint8Array.of(0xc3));
      world.market.give(id, Uint8Array.of(0xa9));
      world.market.complete(id);
    }
    assert.equal(text, 'Viené');
    assert.deepEqual(reasons, ['stop']);
    assert.deepEqual(usage, { prompt_tokens: 9, completion_tokens: 6, total_tokens: 15 });
    assert.deepEqual(world.market.canceled, []);
  });

  it('tell price and receipt in the last piece of a stream', async () => {
    vienna();
    const { text, headers } = await post(world.url, '/v1/chat/completions', { ...CHAT, stream: true });
    const { id, receiptId } = world.market.last;
    assert.equal(headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.equal(headers['x-aitbc-job'], toHex(id));
    const lines = text.trim().split('\n\n');
    assert.equal(lines.at(-1), 'data: [DONE]');
    const last = JSON.parse(lines.at(-2)?.slice('data: '.length) ?? '');
    assert.deepEqual(last.aitbc, { job_id: toHex(id), price_uait: '145', receipt_id: receiptId && toHex(receiptId) });
    assert.equal('usage' in last, false);
  });

  it('answer a prompt without a chat', async () => {
    vienna();
    const whole = await client.completions.create({ model: TINY, prompt: 'Capital?' });
    assert.equal(whole.choices[0]?.text, 'Vienna.');
    let text = '';
    for await (const chunk of await client.completions.create({ model: TINY, prompt: 'Capital?', stream: true })) {
      text += chunk.choices[0]?.text ?? '';
    }
    assert.equal(text, 'Vienna.');
  });

  it('leave usage out where the back end does not count', async () => {
    world.market.onJob = (id) => {
      world.market.start(id);
      world.market.complete(id, { inputTokens: null, outputTokens: null, finish: 'length' });
    };
    const { usage, choices } = await client.chat.completions.create(CHAT);
    assert.deepEqual([usage, choices[0]?.finish_reason, choices[0]?.message.content], [undefined, 'length', '']);
  });

  it('give vectors to the openai client, which asks for base64, and as numbers', async () => {
    const vectors = new Float32Array([0.5, -1, 2, 0.25]);
    world.market.onJob = (id) => {
      world.market.answer(id, new Uint8Array(vectors.buffer));
    };
    const byClient = await client.embeddings.create({ model: HASHES, input: ['a', 'b'] });
    const plain = await client.embeddings.create({ model: HASHES, input: ['a', 'b'], encoding_format: 'float' });
    for (const { data, usage } of [byClient, plain]) {
      assert.deepEqual(
        data.map(({ embedding }) => [...embedding]),
        [
          [0.5, -1],
          [2, 0.25],
        ],
      );
      assert.deepEqual(usage, { prompt_tokens: 9, total_tokens: 9 });
    }
    assert.deepEqual(asked().parts, [
      ['', 'a'],
      ['', 'b'],
    ]);
  });

  it('refuse vectors that are none, without asking for more of them', async () => {
    world.market.onJob = (id) => {
      world.market.answer(id, new Uint8Array(7));
    };
    const { status, code } = await failure(client.embeddings.create({ model: HASHES, input: ['a', 'b'] }));
    assert.deepEqual([status, code, sent], [502, 'EXECUTOR', 1]);
  });

  it('list models, and refuse unknown ones with those there are', async () => {
    const { data } = await client.models.list();
    assert.deepEqual(
      data.map(({ id, owned_by }) => [id, owned_by]),
      [
        [HASHES, 'aitbc'],
        [TINY, 'aitbc'],
      ],
    );
    assert.equal((await client.models.retrieve(TINY)).id, TINY);
    const unknown = await failure(client.models.retrieve('gpt-9'));
    assert.deepEqual([unknown.status, unknown.code], [404, 'NO_MODEL']);
    const chat = await failure(client.chat.completions.create({ ...CHAT, model: 'gpt-9' }));
    assert.deepEqual([chat.status, chat.code, chat.type], [404, 'NO_MODEL', 'invalid_request_error']);
    assert.match(chat.message, new RegExp(`models offered now: ${TINY}`));
    // Of another kind: it cannot chat.
    assert.equal((await failure(client.chat.completions.create({ ...CHAT, model: HASHES }))).code, 'NO_MODEL');
  });

  const unsupported: readonly (readonly [what: string, change: object, param: string])[] = [
    ['tools', { tools: [{ type: 'function', function: { name: 'f' } }] }, 'tools'],
    ['several answers', { n: 2 }, 'n'],
    ['pictures', { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages.0.content'],
    ['JSON mode', { response_format: { type: 'json_object' } }, 'response_format'],
    ['penalties', { frequency_penalty: 1 }, 'frequency_penalty'],
    ['a field that nobody knows', { thinking: 'hard' }, ''],
    ['a negative seed', { seed: -1 }, 'seed'],
    ['a role that is none', { messages: [{ role: 'god', content: 'Let there be' }] }, 'messages.0.role'],
    ['no message of the user', { messages: [{ role: 'system', content: 'Be brief.' }] }, ''],
    ['two limits', { max_tokens: 3, max_completion_tokens: 4 }, ''],
    ['an empty text to stop at', { stop: '' }, ''],
  ];
  for (const [what, change, param] of unsupported) {
    it(`refuse ${what} by name`, async () => {
      const { status, json } = await post(world.url, '/v1/chat/completions', { ...CHAT, ...change });
      assert.equal(status, 400);
      assert.equal(json.error.code, 'INVALID_PARAMS');
      assert(String(json.error.param ?? '').startsWith(param), json.error.param);
      assert.equal(world.market.requests.length, 0);
    });
  }

  it('take what clients send without meaning anything by it', async () => {
    vienna();
    const message = { role: 'assistant', content: 'Hello', refusal: null };
    const idle = {
      user: 'u',
      frequency_penalty: 0,
      presence_penalty: 0,
      logprobs: false,
      tools: [],
      tool_choice: 'auto',
    };
    const rest = { response_format: { type: 'text' }, stream: false, metadata: {}, max_tokens: null, stop: null };
    const body = { ...CHAT, messages: [message, ...MESSAGES], ...idle, ...rest };
    assert.equal((await post(world.url, '/v1/chat/completions', body)).status, 200);
  });

  it('tell their refusals in the form of OpenAI, before anything is read of the body', async () => {
    const stranger = { 'x-forwarded-for': '203.0.113.5' };
    const { status, json } = await post(world.url, '/v1/chat/completions', CHAT, stranger);
    assert.equal(status, 401);
    assert.deepEqual([json.error.code, json.error.type], ['UNAUTHENTICATED', 'authentication_error']);
    const broken = await post(world.url, '/v1/chat/completions', '{');
    assert.deepEqual([broken.status, broken.json.error.code], [400, 'PARSE_ERROR']);
    const spent = await failure(
      new OpenAI({ baseURL: `${world.url}/v1`, apiKey: world.bob }).chat.completions.create(CHAT),
    );
    assert.deepEqual([spent.status, spent.code, spent.type], [402, 'BUDGET_SPENT', 'insufficient_quota']);
  });

  it('bound: a price in X-Aitbc-Max-Price', async () => {
    vienna();
    await client.chat.completions.create(CHAT, { headers: { 'X-Aitbc-Max-Price': '777' } });
    assert.equal(asked().maxPriceUait, 777);
    const low = await failure(client.chat.completions.create(CHAT, { headers: { 'X-Aitbc-Max-Price': '7' } }));
    assert.deepEqual([low.status, low.code], [422, 'PRICE']);
    const odd = await failure(client.chat.completions.create(CHAT, { headers: { 'X-Aitbc-Max-Price': 'cheap' } }));
    assert.deepEqual([odd.status, odd.code], [400, 'INVALID_PARAMS']);
  });

  it('waits for nobody when all that miners say is that it costs more', async () => {
    world.market.options = { ...world.market.options, startMs: 60_000 };
    world.market.reasons = [{ code: 'PRICE', count: 1, message: 'the quote comes to 9 uait', hint: '' }];
    const { status, code, message } = await failure(client.chat.completions.create(CHAT, { maxRetries: 0 }));
    assert.deepEqual([status, code], [422, 'PRICE']);
    assert.match(message, /the quote comes to 9 uait/);
    assert.equal(world.market.last.state, 'canceled');
  });

  it('bound: wait so long for a miner, then cancel and say why; the client may try again', async () => {
    world.market.options = { ...world.market.options, startMs: 5 };
    const { status, code, message, headers } = await failure(client.chat.completions.create(CHAT, { maxRetries: 0 }));
    assert.deepEqual([status, code, headers?.get('x-should-retry')], [503, 'NO_MINER', null]);
    assert.match(message, /all miners are busy/);
    assert.equal(world.market.canceled.length, 1);
    assert.equal(world.market.last.state, 'canceled');
    assert.equal(asked().queueMs, 5);
  });

  it('wait on while a miner works, however long the first output takes', async () => {
    world.market.options = { ...world.market.options, startMs: 5 };
    world.market.onJob = (id) => {
      world.market.start(id);
      setTimeout(() => {
        world.market.give(id, 'Vienna.');
        world.market.complete(id);
      }, 30);
    };
    assert.equal((await client.chat.completions.create(CHAT)).choices[0]?.message.content, 'Vienna.');
  });

  it('are not asked again for what a miner was given already', async () => {
    world.market.onJob = (id) => {
      world.market.start(id);
      world.market.fail(id, { code: 'LEASE_LOST', message: 'the miner fell silent' });
    };
    const error = await failure(client.chat.completions.create(CHAT));
    assert.deepEqual([error.status, error.code, sent], [504, 'LEASE_LOST', 1]);
    assert.equal(error.headers?.get('x-should-retry'), 'false');
    assert.equal((error.error as { data: { job_id: string } }).data.job_id, toHex(world.market.last.id));
  });

  it('may be asked again for what no miner was given', async () => {
    world.market.fault = new NodeError('BUSY', 'too many jobs are open', { hint: 'wait' });
    const { status, code, headers } = await failure(client.chat.completions.create(CHAT, { maxRetries: 0 }));
    assert.deepEqual([status, code], [503, 'BUSY']);
    assert.deepEqual([headers?.get('x-should-retry'), headers?.get('retry-after')], [null, '1']);
  });

  it('wait out a lost attempt where nobody was given any of it', async () => {
    world.market.onJob = (id) => {
      world.market.start(id);
      world.market.give(id, 'Paris');
      setTimeout(() => {
        world.market.lose(id);
        world.market.give(id, 'Vienna.');
        world.market.complete(id);
      }, 10);
    };
    assert.equal((await client.chat.completions.create(CHAT)).choices[0]?.message.content, 'Vienna.');
  });

  it('end a stream with the failure, and cancel what nobody can read any longer', async () => {
    world.market.onJob = (id) => {
      world.market.start(id);
      world.market.give(id, 'Paris');
    };
    const stream = await client.chat.completions.create({ ...CHAT, stream: true });
    const { id } = world.market.last;
    const error = await failure(
      (async () => {
        for await (const { choices } of stream) if (choices[0]?.delta.content === 'Paris') world.market.lose(id);
      })(),
    );
    assert.deepEqual([error.code, sent], ['LEASE_LOST', 1]);
    await waitFor('the job to end', () => world.market.last.state === 'canceled');
  });

  it('cancel the job of a client that goes, before the first output and within a stream', async () => {
    for (const stream of [false, true]) {
      world.market.onJob = (id) => {
        world.market.start(id);
        if (stream) world.market.give(id, 'Vien');
      };
      const aborting = new AbortController();
      const asking = client.chat.completions.create({ ...CHAT, stream }, { signal: aborting.signal, maxRetries: 0 });
      const read = stream
        ? asking.then(async (pieces) => {
            for await (const _ of pieces as AsyncIterable<unknown>) aborting.abort();
          })
        : asking;
      const done = read.then(
        () => undefined,
        () => undefined,
      );
      await waitFor('the job', () => world.market.requests.length === (stream ? 2 : 1));
      if (!stream) aborting.abort();
      await done;
      await waitFor('the cancellation', () => world.market.last.state === 'canceled');
    }
    await waitFor('the readers to be gone', () => world.market.waiting === 0);
  });

  it('bound: a stream that is not read for 30 s is cut, and its job canceled', async () => {
    world.node.closing.abort();
    await world.server.close();
    const clock = manualClock();
    await start(clock);
    world.market.onJob = (id) => {
      world.market.start(id);
      // More than stream and socket hold.
      for (let i = 0; i < 400; i++) world.market.give(id, 'x'.repeat(60_000));
    };
    const body = JSON.stringify({ ...CHAT, stream: true });
    const { port, hostname } = new URL(world.url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await waitFor('the job', () => world.market.requests.length === 1);
    await waitFor('the buffers to be full', () => {
      clock.advance(1);
      return clock.pending > 0 && socket.readableLength > 0;
    });
    socket.pause();
    await waitFor('the cut', () => {
      clock.advance(PIECE_WITHIN_MS / 10);
      return world.market.last.state === 'canceled';
    });
    socket.destroy();
  });
});
