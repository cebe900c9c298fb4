/**
 * Model servers on loopback that answer in the shapes of Ollama's and OpenAI's HTTP APIs, with text said word by word, and
 * that misbehave when they are told to.
 */
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export const SAID =
  'Die Füchsin sah am Abend den Mond 🌕 über dem Wald und erzählte ihren Welpen vom Meer. Alle hörten zu.';

export type Misbehaviour =
  /** Text that is no JSON, where JSON is due. */
  | 'garbage'
  /** A page of a quite different server. */
  | 'html'
  /** One line without an end. */
  | 'endless-line'
  /** Lines without an end. */
  | 'endless-body'
  /** Begins, then says nothing more. */
  | 'stall'
  /** Accepts, then says nothing at all. */
  | 'silent'
  /** Tells of a failure after some words. */
  | 'error-mid'
  /** Ends after some words. */
  | 'cut'
  /** Breaks the connection after some words. */
  | 'broken'
  /** Goes on computing after the client has left. */
  | 'ignore-abort'
  | { readonly status: number; readonly error: string };

export interface Asked {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, unknown>;
}

type Handler = (asked: Asked, response: ServerResponse) => Promise<void> | void;

export class FakeModelServer {
  /** Of the next job only. */
  misbehaviour: Misbehaviour | null = null;
  readonly asked: Asked[] = [];
  /** Jobs computed now. */
  active = 0;
  readonly #server: Server;
  readonly #handlers: Readonly<Record<string, Handler>>;

  constructor(handlers: Readonly<Record<string, Handler>>) {
    this.#handlers = handlers;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  last(path: string): Asked | undefined {
    return this.asked.findLast((one) => one.path === path);
  }

  /** Streams what `line` makes of each word; false when the answer did not come to its end. */
  async say(response: ServerResponse, words: readonly string[], line: (word: string) => string): Promise<boolean> {
    const { misbehaviour } = this;
    this.misbehaviour = null;
    if (misbehaviour !== null && (await this.#misbehave(misbehaviour, response, line))) return false;
    for (const [index, word] of words.entries()) {
      if (index === 3 && misbehaviour === 'stall') await once(response, 'close');
      if (index === 3 && misbehaviour === 'cut') return void response.end() === null;
      if (index === 3 && misbehaviour === 'broken') return void response.destroy() === null;
      if (index === 3 && misbehaviour === 'error-mid') {
        response.end(line('').replace(/\{.*\}/s, '{"error":"llama runner process has terminated"}'));
        return false;
      }
      if (response.closed && misbehaviour !== 'ignore-abort') return false;
      if (!response.closed) await writeInHalves(response, line(word));
    }
    while (misbehaviour === 'ignore-abort' && this.ignoring) await tick();
    return true;
  }

  /** While set, a job that ignores that its client has left goes on. */
  ignoring = true;

  async #misbehave(how: Misbehaviour, response: ServerResponse, line: (word: string) => string): Promise<boolean> {
    if (typeof how === 'object') {
      response.writeHead(how.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: how.error }));
      return true;
    }
    if (how === 'html') {
      response.setHeader('content-type', 'text/html');
      response.end('<!doctype html>\n<title>It works!</title>\n');
    } else if (how === 'garbage') {
      response.end(line('').replace(/\{.*\}/s, '{"almost": JSON'));
    } else if (how === 'silent') {
      await once(response, 'close');
    } else if (how === 'endless-line' || how === 'endless-body') {
      const chunk = how === 'endless-line' ? 'x'.repeat(65_536) : line('').repeat(300);
      const closed = once(response, 'close');
      while (!response.closed) {
        await Promise.race([closed, new Promise((resolve) => response.write(chunk, resolve))]);
      }
    } else {
      return false;
    }
    return true;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
    const asked: Asked = { path: request.url ?? '', headers: request.headers, body };
    this.asked.push(asked);
    const handler = this.#handlers[asked.path];
    if (handler === undefined) json(response, { error: 'page not found' }, 404);
    else await handler(asked, response);
  }
}

export function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

export interface FakeOllamaModel {
  readonly name: string;
  readonly digest: string;
  readonly capabilities?: readonly string[];
  readonly remote_host?: string;
}

/** `loaded` as `/api/ps` tells it: by name, until when. */
export function fakeOllama(models: readonly FakeOllamaModel[]): FakeModelServer & { loaded: Map<string, string> } {
  const loaded = new Map<string, string>();
  const idleAgain = (name: string): void =>
    void loaded.set(name, new Date(Date.now() + 300_000 + Math.random()).toISOString());
  const full = (name: string): string => (name.includes(':') ? name : `${name}:latest`);
  const server: FakeModelServer = new FakeModelServer({
    '/api/version': (_, response) => {
      json(response, { version: '0.12.3' });
    },
    '/api/tags': (_, response) => {
      json(response, {
        models: models.map(({ name, digest, remote_host }) => ({
          ...{ name, model: name, modified_at: '2026-01-02T03:04:05.000000006Z', size: 2_019_393_189, digest },
          ...(remote_host === undefined ? {} : { remote_host, remote_model: name }),
          details: {
            parent_model: '',
            format: 'gguf',
            family: 'llama',
            parameter_size: '3.2B',
            quantization_level: 'Q4_K_M',
          },
        })),
      });
    },
    '/api/ps': (_, response) => {
      const entries = [...loaded].map(([name, expires_at]) => ({
        ...{ name, model: name, size: 5_137_025_024, size_vram: 5_137_025_024, context_length: 4_096 },
        digest: models.find((model) => model.name === name)?.digest,
        // The first job since loading: the time moves with every look.
        expires_at:
          expires_at === '' ? new Date(Date.now() + 300_000 + Math.random() * 1_000).toISOString() : expires_at,
      }));
      json(response, { models: entries });
    },
    '/api/show': ({ body }, response) => {
      const model = models.find(({ name }) => name === full(body['model'] as string));
      if (model === undefined) return void json(response, { error: 'model not found' }, 404);
      json(response, {
        capabilities: model.capabilities ?? ['completion', 'tools'],
        model_info: { 'general.architecture': 'llama', 'llama.context_length': 131_072 },
      });
    },
    '/api/generate': ({ body }, response) => {
      if (body['keep_alive'] === 0) {
        loaded.delete(full(body['model'] as string));
        server.ignoring = false;
      } else {
        idleAgain(full(body['model'] as string));
      }
      json(response, { model: body['model'], response: '', done: true, done_reason: 'load' });
    },
    '/api/embed': ({ body }, response) => {
      const input = [body['input']].flat() as string[];
      json(response, {
        model: body['model'],
        embeddings: input.map((text) => [text.length, 0.5, -1]),
        prompt_eval_count: 8,
      });
    },
    '/api/chat': async ({ body }, response) => {
      const name = full(body['model'] as string);
      if (!loaded.has(name)) loaded.set(name, '');
      const all = SAID.split(/(?<= )/);
      const words = all.slice(0, (body['options'] as { num_predict?: number }).num_predict ?? all.length);
      const line = (content: string, more: object = { done: false }): string =>
        `${JSON.stringify({ model: name, created_at: '2026-01-02T03:04:05.6Z', message: { role: 'assistant', content }, ...more })}\n`;
      server.active += 1;
      try {
        if (!(await server.say(response, words, line))) return;
        const done_reason = words.length < all.length ? 'length' : 'stop';
        const counts = { prompt_eval_count: 26, prompt_eval_duration: 1, eval_count: words.length, eval_duration: 1 };
        response.end(line('', { done: true, done_reason, total_duration: 2, load_duration: 1, ...counts }));
      } finally {
        server.active -= 1;
        if (loaded.has(name)) idleAgain(name);
      }
    },
  });
  return Object.assign(server, { loaded });
}

export function fakeOpenAi(
  models: readonly { id: string; owned_by?: string; max_model_len?: number }[],
): FakeModelServer {
  const server: FakeModelServer = new FakeModelServer({
    '/v1/models': (_, response) => {
      json(response, {
        object: 'list',
        data: models.map((model) => ({ object: 'model', created: 1, owned_by: 'vllm', ...model })),
      });
    },
    '/v1/embeddings': ({ body }, response) => {
      const data = (body['input'] as string[]).map((text, index) => ({
        object: 'embedding',
        index,
        embedding: [text.length, 0.5],
      }));
      json(response, {
        object: 'list',
        data: data.reverse(),
        model: body['model'],
        usage: { prompt_tokens: 8, total_tokens: 8 },
      });
    },
    '/v1/chat/completions': async ({ body }, response) => {
      const all = SAID.split(/(?<= )/);
      const words = all.slice(0, (body['max_tokens'] as number | undefined) ?? all.length);
      const event = (choices: unknown[], more: object = {}): string => {
        const chunk = {
          id: 'chatcmpl-1',
          object: 'chat.completion.chunk',
          created: 1,
          model: body['model'],
          choices,
          ...more,
        };
        // As servers that write ASCII do: the halves of a surrogate pair as escapes.
        const text = JSON.stringify(chunk).replaceAll(
          /[\u0080-\uffff]/g,
          (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
        );
        return `data: ${text}\n\n`;
      };
      const delta = (content: string): string =>
        event([{ index: 0, delta: { content }, logprobs: null, finish_reason: null }]);
      server.active += 1;
      response.setHeader('content-type', 'text/event-stream');
      try {
        // A moon in two halves, each in an event of its own.
        const units = words.flatMap((word) => (word.startsWith('🌕') ? [word.slice(0, 1), word.slice(1)] : [word]));
        if (!(await server.say(response, units, delta))) return;
        const finish_reason = words.length < all.length ? 'length' : 'stop';
        response.write(`: keep-alive\n\n${event([{ index: 0, delta: {}, logprobs: null, finish_reason }])}`);
        const usage = { prompt_tokens: 26, completion_tokens: words.length, total_tokens: 26 + words.length };
        response.end(`${event([], { usage })}data: [DONE]\n\n`);
      } finally {
        server.active -= 1;
      }
    },
  });
  return server;
}

/** In two parts, the first of which may end within a character. */
async function writeInHalves(response: ServerResponse, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  response.write(bytes.subarray(0, bytes.length / 2));
  await tick();
  response.write(bytes.subarray(bytes.length / 2));
  await tick();
}

function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
