// Which prefixes of paths are for programs and workers. The longest one wins.

import type { CgiWorkers, CgiWorkersStats } from 'io-lite/cgi';

import type { CgiRoute } from './settings';
import { decodeProgramPath } from './paths';

export interface Route extends CgiRoute {
  workers?: CgiWorkers;  // Else it is for a program.
}

export interface RouteMatch {
  route: Route;
  decoded: string;  // The path of the request.
}

export class Routes {
  readonly #routes: Route[];

  constructor(routes: readonly Route[]) {
    this.#routes = [...routes].sort((a, b) => b.prefix.length - a.prefix.length);
  }

  // Undefined when the path is for a file. Why decoded first: however a path is spelled, it must not
  // lead to a program's file as a file.
  match(pathname: string): RouteMatch | undefined {
    if (this.#routes.length === 0) return undefined;
    const decoded = decodeProgramPath(pathname);
    if (typeof decoded === 'number') return undefined;
    const route = this.#routes.find(({ prefix }) =>
      decoded.startsWith(prefix) &&
      (decoded.length === prefix.length || decoded[prefix.length] === '/'));
    return route === undefined ? undefined : { route, decoded };
  }

  stats(): Record<string, CgiWorkersStats> {
    return Object.fromEntries(this.#routes.flatMap(({ prefix, workers }) =>
      (workers === undefined ? [] : [[prefix, workers.stats()]])));
  }

  async close(): Promise<void> {
    await Promise.all(this.#routes.map(async ({ workers }) => {
      await workers?.close();
    }));
  }
}
