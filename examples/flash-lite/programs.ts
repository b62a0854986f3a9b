// Which program a path is for. Nothing is remembered: a program may be put there or taken away.

import { access, constants, realpath, stat } from 'node:fs/promises';
import path from 'node:path';

import type { CgiTarget } from 'io-lite/cgi';

import type { CgiRoute } from './settings';
import { isServedBelow, isServedName } from './paths';

export type ProgramFound =
  | { kind: 'program'; target: CgiTarget }
  | { kind: 'refused'; status: 403 | 404 | 501 };

const kNotFound: ProgramFound = { kind: 'refused', status: 404 };

export interface ProgramsOptions {
  environment: Readonly<Record<string, string>>;
  documentRoot: string;
}

export class Programs {
  constructor(readonly options: ProgramsOptions) {}

  async find({ prefix, path: programPath }: CgiRoute, decoded: string): Promise<ProgramFound> {
    const rest = decoded.slice(prefix.length);
    const real = await realpath(programPath);
    const facts = await stat(real);
    if (facts.isFile()) return this.#target(real, prefix, rest);
    return this.#findBelow(real, prefix, rest.split('/'));
  }

  // In a folder: the first segments lead to a file, what follows it is PATH_INFO.
  async #findBelow(root: string, prefix: string, segments: string[]): Promise<ProgramFound> {
    let file = root;
    for (let i = 1; i < segments.length; i++) {
      if (!isServedName(segments[i] as string)) return kNotFound;
      file = path.join(file, segments[i] as string);
      const facts = await stat(file);
      if (facts.isDirectory()) continue;
      if (!facts.isFile()) return { kind: 'refused', status: 403 };
      if (!isServedBelow(root, await realpath(file))) return kNotFound;
      const scriptName = prefix + segments.slice(0, i + 1).join('/');
      const pathInfo = segments.slice(i + 1).map((segment) => `/${segment}`).join('');
      return this.#target(file, scriptName, pathInfo);
    }
    return kNotFound;
  }

  async #target(program: string, scriptName: string, pathInfo: string): Promise<ProgramFound> {
    // A program that writes the whole response itself would speak for the connection.
    if (path.basename(program).startsWith('nph-')) return { kind: 'refused', status: 501 };
    await access(program, constants.X_OK);
    const { documentRoot, environment } = this.options;
    return { kind: 'program', target: { program, scriptName, pathInfo, documentRoot, environment } };
  }
}
