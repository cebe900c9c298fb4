/** Entry of the load process: a generator with a core's time of its own, so that it cannot slow the program that measures. */
import { LoadGenerator } from './load/generator.ts';
import type { LoadReply, LoadRequest } from './load/protocol.ts';

function reply(message: LoadReply): void {
  process.send?.(message);
}

let generator: LoadGenerator | undefined;

async function handle(request: LoadRequest): Promise<void> {
  switch (request.type) {
    case 'setup':
      generator = await LoadGenerator.create(request);
      reply({ type: 'ready' });
      break;
    case 'run':
      if (!generator) break;
      reply(
        await generator.run(request, () => {
          reply({ type: 'measuring' });
        }),
      );
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
