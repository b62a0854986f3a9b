// From the target of a request to the name of a file below the root, or to a refusal. Everything
// that could lead out of the root is refused here by its spelling; symbolic links, which have no
// spelling, are checked where the file is opened (site.ts).

// `/a/b?x=1` -> `/a/b`. An absolute target without a path (http://host) arrives as an empty string.
export function pathnameOf(target: string): string {
  const end = target.indexOf('?');
  const pathname = end < 0 ? target : target.slice(0, end);
  return pathname === '' ? '/' : pathname;
}

// The query with its '?', or an empty string.
export function queryOf(target: string): string {
  const start = target.indexOf('?');
  return start < 0 ? '' : target.slice(start);
}

// Names that begin with a dot: as if they were not there, refused with 403, or served.
export type DotfilePolicy = 'ignore' | 'deny' | 'allow';
// Followed below the root, never, or wherever they lead.
export type SymlinkPolicy = 'inside' | 'none' | 'any';

// Where certificates are renewed and clients look for what a site says of itself (RFC 8615).
const kWellKnown = '.well-known';

// The decoded path, which begins with '/', or the status that refuses it: 400 for what is no path
// at all (a bad escape, bytes that are not UTF-8, NUL), 404 for names that are never served.
export function decodePath(
  pathname: string, dotfiles: DotfilePolicy = 'ignore',
): string | 400 | 403 | 404 {
  if (!pathname.startsWith('/')) return 400;
  const segments: string[] = [];
  for (const raw of pathname.slice(1).split('/')) {
    try {
      segments.push(raw.includes('%') ? decodeURIComponent(raw) : raw);
    } catch {
      return 400;
    }
  }
  if (segments.some((segment) => segment.includes('\0'))) return 400;
  const last = segments.length - 1;
  const isName = (segment: string, index: number): boolean =>
    isPlainName(segment) || (segment === '' && index === last);
  if (!segments.every(isName)) return 404;
  if (!areShown(segments, dotfiles)) return dotfiles === 'deny' ? 403 : 404;
  return `/${segments.join('/')}`;
}

// `/a/./b` -> `/a/b`, which is the same (RFC 3986 section 5.2.4); undefined when no name is one dot.
export function withoutDots(pathname: string): string | undefined {
  const segments = pathname.split('/');
  if (!segments.includes('.')) return undefined;
  const end = segments.at(-1) === '.' ? [''] : [];
  return [...segments.filter((segment) => segment !== '.'), ...end].join('/');
}

// The decoded path of a request for a program, whose segments may be any but those that lead
// elsewhere; else the status that refuses it. An encoded slash would be another path (RFC 3875
// section 4.1.5).
export function decodeProgramPath(pathname: string): string | 400 | 404 {
  if (/^(?!.*(?:%|\/\.))\//.test(pathname)) return pathname;  // Most have nothing to be decoded.
  if (!pathname.startsWith('/')) return 400;
  let decoded: string;
  try {
    decoded = decodeURIComponent(pathname);
  } catch {
    return 400;
  }
  if (decoded.includes('\0')) return 400;
  const leadsElsewhere = decoded.split('/').some((segment) => segment === '.' || segment === '..');
  return leadsElsewhere || /%2f/i.test(pathname) ? 404 : decoded;
}

// A slash can only come from %2F; a backslash is refused because others take it for a slash; an
// empty name because //host in a Location would be another site.
function isPlainName(segment: string): boolean {
  return segment !== '' && segment !== '.' && segment !== '..' && !/[/\\]/.test(segment);
}

export function isServedName(segment: string, dotfiles: DotfilePolicy = 'ignore'): boolean {
  return isPlainName(segment) && (dotfiles === 'allow' || !segment.startsWith('.'));
}

// Whether no segment of a path below the root is hidden.
function areShown(segments: readonly string[], dotfiles: DotfilePolicy): boolean {
  if (dotfiles === 'allow') return true;
  return segments.every(
    (segment, index) => !segment.startsWith('.') || (index === 0 && segment === kWellKnown));
}

// Both are real paths: absolute, without symbolic links.
export function isServedBelow(
  root: string, real: string, dotfiles: DotfilePolicy = 'ignore',
): boolean {
  if (real === root) return true;
  const prefix = root === '/' ? root : `${root}/`;
  if (!real.startsWith(prefix)) return false;
  const segments = real.slice(prefix.length).split('/');
  return segments.every(isPlainName) && areShown(segments, dotfiles);
}
