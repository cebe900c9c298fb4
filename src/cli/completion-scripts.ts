/** Completion scripts of bash, zsh and fish for a tree of commands. */

export interface CommandNode {
  /** e.g. "aitbc wallet create" */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly {
    readonly names: readonly string[];
    readonly description: string;
    readonly takesValue: boolean;
  }[];
}

/** Files are completed where nothing of ours fits: `-o default`. */
export function bashScript(nodes: readonly CommandNode[]): string {
  const words = nodes.map(({ path, commands, options }) => {
    const all = [...commands.map(({ name }) => name), ...options.flatMap(({ names }) => names)];
    return `    ${quoted(path)}) words=${quoted(all.join(' '))} ;;`;
  });
  return `# Completion of aitbc in bash: source <(aitbc completion bash)
_aitbc() {
  local current="\${COMP_WORDS[COMP_CWORD]}" at=aitbc words= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      ${valueOptions(nodes).join('|')}) ((i++)); continue ;;
    esac
    case "$at \${COMP_WORDS[i]}" in
      ${subPaths(nodes).map(quoted).join('|')}) at="$at \${COMP_WORDS[i]}" ;;
    esac
  done
  ((i > COMP_CWORD)) && return
  case "$at" in
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _aitbc aitbc
`;
}

export function zshScript(nodes: readonly CommandNode[]): string {
  const cases = nodes.map(({ path, commands, options }) => {
    const entries = [
      ...commands.map(({ name, description }) => zshEntry(name, description)),
      ...options.flatMap(({ names, description }) => names.map((name) => zshEntry(name, description))),
    ];
    return `    ${quoted(path)})\n      entries=(\n${entries.map((entry) => `        ${entry}`).join('\n')}\n      ) ;;`;
  });
  return `#compdef aitbc
# Completion of aitbc in zsh: source <(aitbc completion zsh)
_aitbc() {
  local at=aitbc i
  local -a entries
  for ((i = 2; i < CURRENT; i++)); do
    case "\${words[i]}" in
      ${valueOptions(nodes).join('|')}) ((i++)); continue ;;
    esac
    case "$at \${words[i]}" in
      ${subPaths(nodes).map(quoted).join('|')}) at="$at \${words[i]}" ;;
    esac
  done
  if ((i > CURRENT)); then
    _files
    return
  fi
  case "$at" in
${cases.join('\n')}
  esac
  _describe aitbc entries || _files
}
compdef _aitbc aitbc
`;
}

export function fishScript(nodes: readonly CommandNode[]): string {
  const lines = nodes.flatMap(({ path, commands, options }) => [
    ...commands.map(
      ({ name, description }) =>
        `complete -c aitbc -n ${quoted(`__aitbc_at ${path}`)} -a ${name} -d ${fishQuoted(description)}`,
    ),
    ...options.map(({ names, description, takesValue }) => {
      const flags = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
      const value = takesValue ? ' -r' : '';
      return `complete -c aitbc -n ${quoted(`__aitbc_at ${path}`)} ${flags.join(' ')}${value} -d ${fishQuoted(description)}`;
    }),
  ]);
  return `# Completion of aitbc in fish: aitbc completion fish > ~/.config/fish/completions/aitbc.fish
function __aitbc_at
  set -l at aitbc
  set -l skip 0
  for word in (commandline -opc)[2..]
    if test $skip -eq 1
      set skip 0
      continue
    end
    if contains -- $word ${valueOptions(nodes).join(' ')}
      set skip 1
    else if contains -- "$at $word" ${subPaths(nodes).map(quoted).join(' ')}
      set at "$at $word"
    end
  end
  test "$at" = "$argv"
end
${lines.join('\n')}
`;
}

function subPaths(nodes: readonly CommandNode[]): string[] {
  return nodes.slice(1).map(({ path }) => path);
}

function valueOptions(nodes: readonly CommandNode[]): string[] {
  const names = nodes.flatMap(({ options }) =>
    options.filter(({ takesValue }) => takesValue).flatMap((one) => one.names),
  );
  return [...new Set(names)];
}

/** For bash and zsh. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** A colon ends the name. */
function zshEntry(name: string, description: string): string {
  return quoted(`${name.replaceAll(':', '\\:')}:${description}`);
}
