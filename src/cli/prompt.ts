/** Questions, asked on a terminal only; without one, the failure names the flag that answers instead. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { NodeError } from '../errors.ts';
import { checkPassword } from '../wallet/keystore.ts';
import { readSmallText } from './small-file.ts';

const MAX_PASSWORD_BYTES = 4096;

/** Name of the credential for systemd's LoadCredential= and LoadCredentialEncrypted=. */
const PASSWORD_CREDENTIAL = 'aitbc-wallet-password';

/** --yes, or a yes on the terminal. @throws NodeError USAGE when nobody can be asked */
export async function confirm(question: string, yes: boolean | undefined): Promise<boolean> {
  if (yes === true) return true;
  requireTerminal('nobody can confirm this here', '-y says yes');
  const prompts = await import('@clack/prompts');
  const answer = await prompts.confirm({ message: question, initialValue: false, output: process.stderr });
  return answer === true;
}

export interface PasswordRequest {
  /** Of the option, whose first line is the password. */
  readonly file: string | undefined;
  readonly option?: '--password-file' | '--new-password-file';
  readonly purpose: string;
  /** Asked for twice, and held to the least length. */
  readonly isNew?: boolean;
}

/**
 * From the option's file, else the service's credential, else typed.
 *
 * @throws NodeError USAGE | KEY_FILE | INVALID_PARAMS when a new one is too short
 */
export async function readPassword(request: PasswordRequest): Promise<string> {
  const { option = '--password-file', purpose, isNew = false } = request;
  const file = request.file ?? (option === '--password-file' ? credentialFile() : undefined);
  if (file !== undefined) {
    const password = await passwordOfFile(file);
    if (isNew) checkPassword(password);
    return password;
  }
  requireTerminal(`a password is needed: ${purpose}`, `give ${option} FILE`);
  const password = await askHidden(purpose);
  if (!isNew) return password;
  checkPassword(password);
  if ((await askHidden('the same again')) !== password) {
    throw new NodeError('USAGE', 'the two passwords differ', { hint: 'try again' });
  }
  return password;
}

function credentialFile(): string | undefined {
  const folder = process.env['CREDENTIALS_DIRECTORY'];
  const path = folder ? join(folder, PASSWORD_CREDENTIAL) : undefined;
  return path !== undefined && existsSync(path) ? path : undefined;
}

async function passwordOfFile(path: string): Promise<string> {
  const text = await readSmallText(path, MAX_PASSWORD_BYTES, 'the password file');
  const [password = ''] = text.split(/\r?\n/, 1);
  if (password !== '') return password;
  throw new NodeError('KEY_FILE', `the first line of ${path} is empty, and no password`, { data: { path } });
}

/** What is typed is not shown. @throws NodeError USAGE when cancelled */
export async function askHidden(message: string): Promise<string> {
  const prompts = await import('@clack/prompts');
  return answered(await prompts.password({ message, output: process.stderr }));
}

/** @throws NodeError USAGE when cancelled */
export async function askText(message: string): Promise<string> {
  const prompts = await import('@clack/prompts');
  return answered(await prompts.text({ message, output: process.stderr }));
}

function answered(answer: string | symbol): string {
  if (typeof answer === 'string') return answer;
  throw new NodeError('USAGE', 'cancelled: nothing was changed');
}

/** @throws NodeError USAGE */
export function requireTerminal(what: string, hint: string): void {
  if (!process.stdin.isTTY) throw new NodeError('USAGE', `${what}, and stdin is no terminal`, { hint });
}
