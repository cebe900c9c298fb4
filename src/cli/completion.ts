/** `aitbc completion`: what a shell completes, made from the same tree of commands as help. */
import type { Command, Option } from 'commander';
import { Argument } from 'commander';
import type { CommandNode } from './completion-scripts.ts';
import { bashScript, fishScript, zshScript } from './completion-scripts.ts';
import { createContext } from './context.ts';

const SHELLS = {
  bash: { script: bashScript, use: 'in ~/.bashrc: source <(aitbc completion bash)' },
  zsh: { script: zshScript, use: 'in ~/.zshrc, after compinit: source <(aitbc completion zsh)' },
  fish: { script: fishScript, use: 'aitbc completion fish > ~/.config/fish/completions/aitbc.fish' },
} as const;

type Shell = keyof typeof SHELLS;

/** Every command is registered beforehand: the tree is read when this runs. */
export function register(program: Command): void {
  program
    .command('completion')
    .description('completion of commands and options in a shell, as a script on stdout')
    .addArgument(new Argument('<shell>').choices(Object.keys(SHELLS)))
    .action((shell: Shell, _options: object, command: Command) => {
      const { script, use } = SHELLS[shell];
      const { out } = createContext(command);
      const text = script(commandNodes(program));
      out.data({ shell, script: text }, text.trimEnd());
      if (process.stdout.isTTY) out.note(`Put this ${use}`);
    });
}

/** Commands with their path, the program itself first. */
export function commandNodes(program: Command): CommandNode[] {
  const global = program.options.map(describeOption);
  const walk = (command: Command, path: string): CommandNode[] => [
    {
      path,
      commands: command.commands.map((child) => ({ name: child.name(), description: child.description() })),
      options: [...(command === program ? [] : command.options.map(describeOption)), ...global],
    },
    ...command.commands.flatMap((child) => walk(child, `${path} ${child.name()}`)),
  ];
  return walk(program, program.name());
}

function describeOption({ short, long, description, required, optional }: Option): CommandNode['options'][number] {
  return {
    names: [short, long].flatMap((name) => (name == null ? [] : [name])),
    description,
    takesValue: required || optional,
  };
}
