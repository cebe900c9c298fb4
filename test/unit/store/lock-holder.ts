/** Holds a data folder until it is killed: `node lock-holder.ts HOME`. */
import { openDataFolder } from '../../../src/store/data-folder.ts';

const [home = ''] = process.argv.slice(2);
await openDataFolder(home);
process.stdout.write('held\n');
setInterval(() => undefined, 60_000);
