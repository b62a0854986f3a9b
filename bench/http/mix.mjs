// A site of many files and those who visit it: what --mix serves and asks for. The same at each run.
//
// Sizes are those that Barford and Crovella fitted to a real server's files (SURGE, SIGMETRICS '98): lognormal with a
// Pareto tail, here cut at 1 MiB so that no single download fills a round. Popularity follows Zipf's law with exponent 1.
// Heads are those that Chrome, Firefox and Safari send, by kind of file; each user has a cookie of their own, so that
// heads do not repeat byte by byte; one request in five asks whether what the browser has is still good.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const FILES_PER_FOLDER = 100;
const STEPS = 1 << 16;
const USERS = 256;
const CONDITIONAL_SHARE = 0.2;
const BODY = { mu: 9.357, sigma: 1.318, share: 0.93 };
const TAIL = { least: 133_000, alpha: 1.1, most: 1 << 20 };

/** Kinds of file: their share, the ends of their names, whether they are text. Large ones (the tail) are images. */
const KINDS = [
  { kind: 'document', share: 0.2, ends: ['.html'], isText: true },
  { kind: 'script', share: 0.2, ends: ['.js', '.mjs'], isText: true },
  { kind: 'style', share: 0.08, ends: ['.css'], isText: true },
  { kind: 'fetch', share: 0.07, ends: ['.json'], isText: true },
  { kind: 'image', share: 0.45, ends: ['.jpg', '.png', '.webp', '.svg'], isText: false },
];

const CHROME = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36';
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0';
const SAFARI = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15';
const ORIGIN = 'https://www.example.com';

/** `coding`: browsers with the same Accept-Encoding get the same entity tags. */
const BROWSERS = [
  { name: 'chrome', share: 0.7, coding: 0, head: chromeHead },
  { name: 'safari', share: 0.2, coding: 1, head: safariHead },
  { name: 'firefox', share: 0.1, coding: 0, head: firefoxHead },
];

const DESTINATIONS = { document: 'document', script: 'script', style: 'style', image: 'image', fetch: 'empty' };
const MODES = { document: 'navigate', script: 'no-cors', style: 'no-cors', image: 'no-cors', fetch: 'cors' };

function chromeHead(kind, connection) {
  const accept = {
    document: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,' +
      'application/signed-exchange;v=b3;q=0.7',
    style: 'text/css,*/*;q=0.1',
    image: 'image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8',
  };
  return [
    'Host: www.example.com', `Connection: ${connection}`,
    'sec-ch-ua: "Google Chrome";v="141", "Not?A_Brand";v="8", "Chromium";v="141"', 'sec-ch-ua-mobile: ?0',
    'sec-ch-ua-platform: "Windows"', ...(kind === 'document' ? ['Upgrade-Insecure-Requests: 1'] : []),
    `User-Agent: ${CHROME}`, `Accept: ${accept[kind] ?? '*/*'}`,
    `Sec-Fetch-Site: ${kind === 'document' ? 'none' : 'same-origin'}`, `Sec-Fetch-Mode: ${MODES[kind]}`,
    ...(kind === 'document' ? ['Sec-Fetch-User: ?1'] : []), `Sec-Fetch-Dest: ${DESTINATIONS[kind]}`,
    ...(kind === 'document' ? [] : [`Referer: ${ORIGIN}/section-03/page-0312.html`]),
    'Accept-Encoding: gzip, deflate, br, zstd', 'Accept-Language: en-US,en;q=0.9,de;q=0.8',
  ];
}

function firefoxHead(kind, connection) {
  const accept = {
    document: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    style: 'text/css,*/*;q=0.1',
    image: 'image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5',
  };
  return [
    'Host: www.example.com', `User-Agent: ${FIREFOX}`, `Accept: ${accept[kind] ?? '*/*'}`,
    'Accept-Language: de,en-US;q=0.7,en;q=0.3', 'Accept-Encoding: gzip, deflate, br, zstd', 'DNT: 1', 'Sec-GPC: 1',
    `Connection: ${connection}`,
    ...(kind === 'document' ? ['Upgrade-Insecure-Requests: 1'] : [`Referer: ${ORIGIN}/section-03/page-0312.html`]),
    `Sec-Fetch-Dest: ${DESTINATIONS[kind]}`, `Sec-Fetch-Mode: ${MODES[kind]}`,
    `Sec-Fetch-Site: ${kind === 'document' ? 'none' : 'same-origin'}`,
    ...(kind === 'document' ? ['Sec-Fetch-User: ?1', 'Priority: u=0, i'] : ['Priority: u=4']),
  ];
}

function safariHead(kind, connection) {
  const accept = {
    document: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    style: 'text/css,*/*;q=0.1',
    image: 'image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5',
  };
  return [
    'Host: www.example.com', `Accept: ${accept[kind] ?? '*/*'}`,
    `Sec-Fetch-Site: ${kind === 'document' ? 'none' : 'same-origin'}`, `Sec-Fetch-Dest: ${DESTINATIONS[kind]}`,
    `Sec-Fetch-Mode: ${MODES[kind]}`, 'Accept-Language: en-GB,en;q=0.9', `User-Agent: ${SAFARI}`,
    ...(kind === 'document' ? [] : [`Referer: ${ORIGIN}/section-03/page-0312.html`]),
    'Accept-Encoding: gzip, deflate, br', `Connection: ${connection}`, 'Priority: u=3, i',
  ];
}

/** Numbers from 0 to 1, the same ones for the same seed (xorshift). */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

function pick(list, random) {
  let left = random();
  return list.find(({ share }) => (left -= share) < 0) ?? list.at(-1);
}

function sizeFrom(random) {
  if (random() >= BODY.share) {
    return Math.min(TAIL.most, Math.round(TAIL.least * (1 - random()) ** (-1 / TAIL.alpha)));
  }
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.min(TAIL.least, Math.max(1, Math.round(Math.exp(BODY.mu + BODY.sigma * normal))));
}

/** `[{ path, size, kind, isText }]`. */
function filesOf(random, count) {
  return Array.from({ length: count }, (_, i) => {
    const size = sizeFrom(random);
    const kind = size >= TAIL.least ? KINDS.at(-1) : pick(KINDS, random);
    const end = kind.ends[i % kind.ends.length];
    const folder = String(Math.floor(i / FILES_PER_FOLDER)).padStart(2, '0');
    return { path: `/section-${folder}/${kind.kind}-${String(i).padStart(5, '0')}${end}`, size, ...kind };
  });
}

/** Text that compresses as text does, or bytes that do not. */
function contentOf({ size, isText }, random) {
  if (!isText) {
    const words = new Uint32Array(Math.ceil(size / 4));
    for (let i = 0; i < words.length; i++) words[i] = random() * 2 ** 32;
    return new Uint8Array(words.buffer, 0, size);
  }
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const word = WORDS[Math.floor(random() ** 2 * WORDS.length)];
    for (let i = 0; i < word.length && at < size; i++) bytes[at++] = word[i];
  }
  return bytes;
}

const WORDS = (() => {
  const random = randomFrom(4711);
  const letter = () => 'etaoinshrdlu'[Math.floor(random() * 12)];
  return Array.from({ length: 2000 }, () => {
    const word = Array.from({ length: 2 + Math.floor(random() * 8) }, letter).join('');
    return Buffer.from(`${word}${random() < 0.1 ? ';\n' : ' '}`);
  });
})();

/** Indexes of files by Zipf's law: the file of rank k with a weight of 1/k. Ranks are dealt at random. */
function zipf(count, random) {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1));
    [order[i], order[other]] = [order[other], order[i]];
  }
  const sums = new Float64Array(count);
  for (let i = 0, sum = 0; i < count; i++) sums[i] = sum += 1 / (i + 1);
  return () => {
    const want = random() * sums[count - 1];
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] > want) high = middle;
      else low = middle + 1;
    }
    return order[low];
  };
}

const cookieOf = (random) => {
  const digits = (count) => Array.from({ length: count }, () => Math.floor(random() * 10)).join('');
  const hex = (count) => Array.from({ length: count }, () => Math.floor(random() * 16).toString(16)).join('');
  return `Cookie: _ga=GA1.1.${digits(9)}.17${digits(8)}; _ga_${hex(8).toUpperCase()}=GS2.1.s17${digits(8)}$o${digits(2)}$g1; ` +
    `session=${hex(32)}; consent=analytics%3D1%26ads%3D0; theme=${random() < 0.3 ? 'dark' : 'light'}\r\n`;
};

const block = (bytes, ...before) => `${[...before, Buffer.byteLength(bytes)].join(' ')}\n${bytes}\n`;

/**
 * Writes the files below `root`, which must not exist, and what is to be asked for to `file`, as native/load_mix.c reads
 * it. Resolves to `{ bytes, meanRequestBytes, conditionalShare }`.
 */
export async function writeMix(root, file, { close, count }) {
  const random = randomFrom(20_010_911);
  const files = filesOf(random, count);
  for (let i = 0; i < count; i += FILES_PER_FOLDER) {
    await mkdir(join(root, files[i].path, '..'), { recursive: true });
    await Promise.all(files.slice(i, i + FILES_PER_FOLDER).map((each) =>
      writeFile(join(root, each.path), contentOf(each, random))));
  }
  const heads = BROWSERS.flatMap(({ name, coding, head }) => KINDS.map(({ kind }) => ({
    browser: name, kind, coding, text: `${head(kind, close ? 'close' : 'keep-alive').join('\r\n')}\r\n`,
  })));
  const nextFile = zipf(count, random);
  let bytes = 0;
  let conditionals = 0;
  const steps = Array.from({ length: STEPS }, () => {
    const index = nextFile();
    const { name } = pick(BROWSERS, random);
    const head = heads.findIndex(({ browser, kind }) => browser === name && kind === files[index].kind);
    const isConditional = random() < CONDITIONAL_SHARE;
    if (isConditional) conditionals++;
    else bytes += files[index].size;
    return `${index} ${head} ${Math.floor(random() * USERS)} ${isConditional ? 1 : 0}`;
  });
  await writeFile(file, [
    `heads ${heads.length}\n`, ...heads.map(({ coding, text }) => block(text, coding)),
    `users ${USERS}\n`, ...Array.from({ length: USERS }, () => block(cookieOf(random), 0)),
    `paths ${count}\n`, ...files.map(({ path }) => `${path}\n`),
    `sequence ${STEPS}\n`, ...steps.map((step) => `${step}\n`),
  ].join(''));
  return {
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    meanRequestBytes: bytes / (STEPS - conditionals),
    conditionalShare: conditionals / STEPS,
  };
}
