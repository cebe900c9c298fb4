/** What a node does again of the work that it pays for: kinds that give the same bytes everywhere, by what this package brings. */
import { createBuiltin, DETERMINISTIC_CAPABILITIES } from '../compute/executors/builtin/builtin.ts';
import { createReplayer } from '../compute/replayer.ts';
import type { Replayer } from '../compute/coordinator/replay.ts';
import type { Logger } from '../log.ts';

/** Children are begun for each and ended with it: there is one at a time, seldom. */
export function createNodeReplayer(log: Logger): Replayer {
  return createReplayer({
    capabilities: DETERMINISTIC_CAPABILITIES,
    run: async (job, io) => {
      const builtin = createBuiltin({ modelsFolder: null, log });
      try {
        return await builtin.run(job, io);
      } finally {
        await builtin.close();
      }
    },
  });
}
