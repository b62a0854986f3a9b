// Whether what the settings name is there. Looks, and changes nothing.

import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { explain, SettingProblem } from './failures';
import { decodePath } from './paths';
import { identityOf } from './privileges';
import type { Options } from './settings';

// All that is not, at once. Without what is `needed` nothing can be served; with the rest missing,
// other requests can be answered, and it may come later.
export interface Missing {
  needed: SettingProblem[];
  others: SettingProblem[];
}

type Rooted = Options & { root: string };

export async function findMissing(options: Rooted): Promise<Missing> {
  const { root, accessLog, errorLog, pidFile, cgi, apps, errorPages, fallback } = options;
  const noRoot = await problemWithRoot(root);
  const needed = [
    noRoot,
    problemWithIdentity(options),
    await problemWithFile('access-log', accessLog),
    await problemWithFile('error-log', errorLog),
    await problemWithFile('pid-file', pidFile),
  ];
  const pages = noRoot === undefined ? [...errorPages].reverse() : [];
  const fallbacks = noRoot === undefined && fallback !== undefined ? [fallback] : [];
  const modules = apps.map(({ prefix, path }) => problemWithModule(prefix, path));
  const others = await Promise.all([
    ...cgi.map(({ prefix, path }) => problemWithProgram(prefix, path)),
    ...pages.map(({ status, path }) => problemWithPage(options, 'error-page', `${status}: `, path)),
    ...fallbacks.map((path) => problemWithPage(options, 'fallback', '', path)),
  ]);
  return { needed: needed.filter(isProblem), others: [...modules, ...others].filter(isProblem) };
}

function isProblem(each: SettingProblem | undefined): each is SettingProblem {
  return each !== undefined;
}

async function problemWithRoot(root: string): Promise<SettingProblem | undefined> {
  const problem = await problemWithDirectory(root);
  return problem === undefined
    ? undefined : new SettingProblem('root', `cannot serve ${root}: ${problem}`);
}

async function problemWithDirectory(path: string): Promise<string | undefined> {
  try {
    return (await stat(path)).isDirectory() ? undefined : 'it is not a directory';
  } catch (error) {
    return explain(error);
  }
}

function problemWithIdentity(options: Options): SettingProblem | undefined {
  try {
    identityOf(options);
    return undefined;
  } catch (error) {
    if (error instanceof SettingProblem) return error;
    throw error;
  }
}

// Of a file that is made if need be.
async function problemWithFile(
  setting: string, file: string | undefined,
): Promise<SettingProblem | undefined> {
  if (file === undefined || file === '-') return undefined;
  const problem = await problemWithDirectory(dirname(file));
  if (problem !== undefined) {
    return new SettingProblem(setting, `cannot write to ${dirname(file)}: ${problem}`);
  }
  const isDirectory = await problemWithDirectory(file) === undefined;
  return isDirectory ? new SettingProblem(setting, `${file} is a directory`) : undefined;
}

async function problemWithProgram(prefix: string, path: string): Promise<SettingProblem | undefined> {
  try {
    await stat(path);
    return undefined;
  } catch (error) {
    return new SettingProblem('cgi', `${prefix}: cannot run ${path}: ${explain(error)}`);
  }
}

function problemWithModule(prefix: string, path: string): SettingProblem | undefined {
  try {
    require.resolve(path);  // As the workers do.
    return undefined;
  } catch {
    return new SettingProblem('app', `${prefix}: there is no module ${path}`);
  }
}

async function problemWithPage(
  { root, indexFiles, dotfiles }: Rooted, setting: string, what: string, pathname: string,
): Promise<SettingProblem | undefined> {
  const decoded = decodePath(pathname, dotfiles);
  if (typeof decoded === 'number') {
    return new SettingProblem(setting, `${what}${pathname} is never served`);
  }
  const names = decoded.endsWith('/') ? indexFiles : [''];
  const files = await Promise.all(names.map(async (name) => {
    const facts = await stat(join(root, decoded, name)).catch(() => undefined);
    return facts?.isFile() === true;
  }));
  return files.includes(true)
    ? undefined : new SettingProblem(setting, `${what}${pathname} is no file below ${root}`);
}
