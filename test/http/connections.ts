// Connections for the differential test: those of the table, and any number made from a seed.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

// A line of an `http` block; README.md says what the escapes mean.
function bytesOfLine(line: string): string {
  const isJoined = /(?:^|[^\\])(?:\\\\)*\\$/.test(line);
  const text = isJoined ? line.slice(0, -1) : line;
  const escapes: Record<string, string> = { r: '\r', n: '\n', t: '\t' };
  const bytes = text.replace(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (_all, hex?: string, one?: string) =>
    hex === undefined ? (escapes[one!] ?? one!) : String.fromCharCode(parseInt(hex, 16)),
  );
  return isJoined ? bytes : `${bytes}\r\n`;
}

export function tableConnections(folder: string): Buffer[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.md') && name !== 'README.md');
  return files.flatMap((name) => {
    const text = readFileSync(path.join(folder, name), 'utf8');
    return [...text.matchAll(/^```http\n((?:.*\n)*?)```$/gm)].map((block) => {
      const lines = block[1]!.split('\n').slice(0, -1);
      return Buffer.from(lines.map(bytesOfLine).join(''), 'latin1');
    });
  });
}

type Random = (below: number) => number;

// mulberry32: small, and the same everywhere.
function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

// The first of each list is the ordinary thing; it is taken most of the time.
const parts = {
  method: ['GET', 'POST', 'HEAD', 'PUT', 'OPTIONS', 'DELETE', 'CONNECT', 'TRACE', 'PATCH', 'get', ''],
  space: [' ', '  ', '\t', '', '\u00a0'],
  target: [
    '/', '/a?b', '*', 'http://a/b', 'https://a', 'a:80', '[::1]:80', 'http://a@b/', '/%zz', '/a#b',
    '/a\x7f', '/\xe4', 'a', '', 'http://', 'ftp://a/', '/a?b?c#', '//', '/\\', '/"<>',
  ],
  version: ['HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'http/1.1', 'HTTP/1.', 'HTTP/11', ''],
  lineEnd: ['\r\n', '\n', '\r', '\r\r\n', '\n\r', ' \r\n', '\r\n ', '\0\r\n', '\x0b\r\n'],
  host: ['Host: a', 'host:a:80', 'Host: ', '', 'Host: a\r\nHost: a', 'Host: a b', 'Host : a', ' Host: a', 'Host: a/b'],
  connection: [
    '', 'Connection: close', 'Connection: keep-alive', 'connection: Keep-Alive, close', 'Connection:',
    'Connection: closed', 'Connection: ,close', 'Connection: close;x', 'Connection: upgrade\r\nUpgrade: h2c',
    'Connection: te\r\nConnection: close', 'Proxy-Connection: close', 'Connection: cl\tose',
    'Connection: keep-alive,', 'Connection: close close', 'Connection: x, upgrade',
  ],
  framing: [
    '', 'Content-Length: 5', 'Transfer-Encoding: chunked', 'Content-Length: 0', 'content-length:005',
    'Content-Length: 5\r\nTransfer-Encoding: chunked', 'Transfer-Encoding: chunked\r\nContent-Length: 5',
    'Content-Length: 5\r\nContent-Length: 5', 'Content-Length: 5\r\nContent-Length: 6',
    'Content-Length: 5, 5', 'Content-Length: +5', 'Content-Length: 0x5', 'Content-Length: 5 ',
    'Content-Length: 5\t', 'Content-Length : 5', 'Content-Length:', 'Content-Length: 18446744073709551621',
    'Content-Length: 5 5', 'Content_Length: 5', 'Content-Length: 5;', 'Content-Length:\r\n 5',
    'Transfer-Encoding: Chunked', 'Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: chunked, gzip',
    'Transfer-Encoding: chunked, chunked', 'Transfer-Encoding: xchunked', 'Transfer-Encoding:\tchunked\t',
    'Transfer-Encoding: identity', 'Transfer-Encoding: chunked;q=1', 'Transfer-Encoding: "chunked"',
    'Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked', 'Transfer-Encoding:', 'Transfer-Encoding: ,chunked',
    'Transfer-Encoding: chunked,', 'Transfer-Encoding : chunked', 'Transfer-Encoding: chunked\x0b',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', 'Transfer-Encoding: chun\r\n ked',
    'Transfer-Encoding: chunked\x0c', 'Transfer-Encoding: chunk', 'Transfer-Encoding\0: chunked',
  ],
  other: [
    '', 'X: y', 'X:', 'X: \t y \t', 'X: \xe4', 'Expect: 100-continue', 'Expect: x', 'X: a\x7fb', 'X: a\0b',
    'X', ': y', 'X y: z', 'X: y\r\n z', 'X\xe4: y', 'X: a\rb', 'X: a\nb', '"X": y', 'X: \x01', '(: y', '@: y',
  ],
  body: [
    '', 'hello', '5\r\nhello\r\n0\r\n\r\n', '0\r\n\r\n', '5;a=b\r\nhello\r\n0\r\n\r\n', '5\nhello\n0\n\n',
    '5 \r\nhello\r\n0\r\n\r\n', '5;a="b"\r\nhello\r\n0;x\r\n\r\n', '5\r\nhello0\r\n\r\n', '0x5\r\nhello\r\n0\r\n\r\n',
    '5\r\nhello\r\n0\r\nX: y\r\n\r\n', '5\r\nhello\r\n0\r\nX : y\r\n\r\n', '5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n',
    '5\r\nhello\r\n0\r\nTransfer-Encoding: x\r\n\r\n', '5;\r\nhello\r\n0\r\n\r\n', '5;a=\r\nhello\r\n0\r\n\r\n',
    '5;a;b\r\nhello\r\n0\r\n\r\n', '5;a="b\\""\r\nhello\r\n0\r\n\r\n', '00000005\r\nhello\r\n0\r\n\r\n',
    'FFFFFFFFFFFFFFFF5\r\nhello', '-5\r\nhello\r\n0\r\n\r\n', '\r\n5\r\nhello', '5\r\nhello\r\n0\r\n', '5\r\nhel',
    '5\r\nhello\r\n0\r\n y\r\n\r\n', '5 ;a\r\nhello\r\n0\r\n\r\n', '5; a\r\nhello\r\n0\r\n\r\n', '5;a = b\r\nhello\r\n0\r\n\r\n',
    '5\r\nhello\r\n0\r\nX: a\0\r\n\r\n', '5\r\nhello\r\n0\r\nConnection: close\r\n\r\n', '5;a="\x80"\r\nhello\r\n0\r\n\r\n',
  ],
  between: ['', '\r\n', '\r\n\r\n', '\n', '\r', ' ', '\0'],
} as const;

// `oddness` of 100 choices are not the first of their list.
function makeRequest(random: Random, oddness: number): string {
  const pick = (list: readonly string[]) =>
    random(100) < oddness ? list[random(list.length)]! : list[0]!;
  const any = (list: readonly string[]) => list[random(list.length)]!;
  const lines = [
    [pick(parts.method), pick(parts.space), pick(parts.target), pick(parts.space), pick(parts.version)].join(''),
    pick(parts.host),
  ];
  // Framing is what this is about: most requests say something about it, and in any order.
  const fields = [pick(parts.connection), pick(parts.other)];
  const framed = random(3);
  const ordinary = ['', 'Content-Length: 5', 'Transfer-Encoding: chunked'][framed]!;
  const body = ['', 'hello', '5\r\nhello\r\n0\r\n\r\n'][framed]!;
  const isOddFraming = random(100) < oddness;
  fields.splice(random(3), 0, isOddFraming ? any(parts.framing) : ordinary);
  const head = [...lines, ...fields].filter((line, index) => index === 0 || line !== '');
  const text = [...head, ''].map((line) => line + pick(parts.lineEnd)).join('');
  return text + (random(100) < oddness ? any(parts.body) : body);
}

function mutate(bytes: Buffer, random: Random): Buffer {
  const at = random(bytes.length + 1);
  const odd = Buffer.from('\0\t\n\r !"#(),/:;=@[\\]{}\x7f\x80\xff0aA', 'latin1');
  const one = odd.subarray(random(odd.length)).subarray(0, 1);
  const length = random(4) === 0 ? random(30) : 1;
  switch (random(4)) {
    case 0:
      return Buffer.concat([bytes.subarray(0, at), one, bytes.subarray(at)]);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), one, bytes.subarray(at + 1)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    default:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
  }
}

/** Makes `count` connections, always the same ones for a seed: composed, and mutated from the table. */
export function generatedConnections(folder: string, seed: number, count: number): Buffer[] {
  const random = randomFrom(seed);
  const table = tableConnections(folder);
  return Array.from({ length: count }, (_, index) => {
    if (index % 4 === 0) {
      let bytes = table[random(table.length)]!;
      for (let times = 1 + random(2); times > 0; times -= 1) bytes = mutate(bytes, random);
      return bytes;
    }
    const oddness = [2, 8, 25][index % 3]!;
    const requests = Array.from({ length: 1 + random(3) }, () => {
      const between = random(100) < oddness ? parts.between[random(parts.between.length)]! : '';
      return between + makeRequest(random, oddness);
    });
    return Buffer.from(requests.join(''), 'latin1');
  });
}
