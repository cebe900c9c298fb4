/** Questions, asked on a terminal only; without one, the failure names the flag that answers instead. */
import { readFileSync } from 'node:fs';
import { NodeError } from '../errors.ts';

const MAX_PASSWORD_BYTES = 4096;

/** --yes, or a yes on the terminal. @throws NodeError USAGE when nobody can be asked */
export async function confirm(question: string, yes: boolean | undefined): Promise<boolean> {
  if (yes === true) return true;
  requireTerminal('nobody can confirm this here', '-y says yes');
  const prompts = await import('@clack/prompts');
  const answer = await prompts.confirm({ message: question, initialValue: false, output: process.stderr });
  return answer === true;
}

/** From --password-file (its first line), or typed; twice when it is new. @throws NodeError USAGE | KEY_FILE */
export async function readPassword(file: string | undefined, purpose: string, isNew = false): Promise<string> {
  if (file !== undefined) return passwordOfFile(file);
  requireTerminal(`a password is needed: ${purpose}`, 'give --password-file FILE');
  const password = await typed(purpose);
  if (isNew && (await typed('the same again')) !== password) {
    throw new NodeError('USAGE', 'the two passwords differ', { hint: 'try again' });
  }
  return password;
}

function passwordOfFile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new NodeError('KEY_FILE', `cannot read the password file ${path}`, { data: { path }, cause: error });
  }
  const [password = ''] = text.split(/\r?\n/, 1);
  if (password === '' || text.length > MAX_PASSWORD_BYTES) {
    throw new NodeError('KEY_FILE', `the first line of ${path} is not a password`, { data: { path } });
  }
  return password;
}

async function typed(message: string): Promise<string> {
  const prompts = await import('@clack/prompts');
  const answer = await prompts.password({ message, output: process.stderr });
  if (typeof answer === 'string') return answer;
  throw new NodeError('USAGE', 'cancelled');
}

function requireTerminal(what: string, hint: string): void {
  if (!process.stdin.isTTY) throw new NodeError('USAGE', `${what}, and stdin is no terminal`, { hint });
}
