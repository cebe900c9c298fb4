/** Entry of the load process: a generator with a core's time of its own, so that it cannot slow the program that measures. */
import { LoadGenerator } from './load/generator.ts';
import { OverloadGenerator } from './load/overload.ts';
import type { LoadReply, LoadRequest } from './load/protocol.ts';

function reply(message: LoadReply): void {
  process.send?.(message);
}

let generator: LoadGenerator | undefined;
let overload: OverloadGenerator | undefined;
const measuring = (): void => {
  reply({ type: 'measuring' });
};

async function handle(request: LoadRequest): Promise<void> {
  switch (request.type) {
    case 'setup':
      generator = await LoadGenerator.create(request);
      overload = new OverloadGenerator(request);
      reply({ type: 'ready' });
      break;
    case 'run':
      if (generator) reply(await generator.run(request, measuring));
      break;
    case 'overload':
      if (overload) reply(await overload.run(request, measuring));
      break;
  }
}

process.on('message', (request: LoadRequest) => {
  handle(request).catch((error: unknown) => {
    reply({ type: 'error', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  });
});
process.on('disconnect', () => {
  process.exit(0);
});
