/** `aitbc version`. */
import type { Command } from 'commander';
import { VERSION } from '../version.ts';
import { createContext } from './context.ts';

export function register(program: Command): void {
  program
    .command('version')
    .description('versions of the program and of Node')
    .action((_options: object, command: Command) => {
      const document = { version: VERSION, node: process.version, platform: `${process.platform}-${process.arch}` };
      createContext(command).out.data(
        document,
        `aitbc ${document.version} (Node ${document.node}, ${document.platform})`,
      );
    });
}
