/** Where this program lies: the clone, or the package as it was installed. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

export function packageRoot(): string {
  let folder = import.meta.dirname;
  for (;;) {
    const above = dirname(folder);
    if (above === folder || existsSync(join(folder, 'package.json'))) return folder;
    folder = above;
  }
}
