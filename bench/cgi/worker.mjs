// The worker of bench:cgi: `same` answers with a body that was sealed once, `fresh` with one that is
// made for the request, as native/body.h makes it.
import { createRequire } from 'node:module';

// Why by way of the top: `bench/` is a package of its own, in which `io-lite` means nothing.
const fromTop = createRequire(new URL('../../package.json', import.meta.url));
const { Aggregate, Window } = fromTop('io-lite');
const { CgiResponseHead, serve } = fromTop('io-lite/cgi');

const COUNTER_DIGITS = 16;
const BODY_MAX = 64 << 20;
/** Below this a body is made on the heap and copied: cheaper than four calls into the addon. */
const DRAFT_BYTES_MIN = 8 << 10;

const head = new CgiResponseHead(200, { 'Content-Type': 'application/octet-stream' });
const pool = Window.default().defaultPool;
const sealed = new Map();
const scratch = Buffer.alloc(DRAFT_BYTES_MIN);
let counter = 0;

function makeBody(size, number) {
  const letter = 0x61 + number % 26;
  const digits = number.toString(16).padStart(COUNTER_DIGITS, '0');
  if (size < DRAFT_BYTES_MIN) {
    scratch.fill(letter, 0, size);
    scratch.write(digits, 0, 'latin1');
    return Aggregate.from(scratch.subarray(0, size));
  }
  const draft = pool.allocate(size);
  draft.fill(letter);
  draft.write(digits, 0, 'latin1');
  return draft.seal();
}

function sameBody(size) {
  let body = sealed.get(size);
  if (body === undefined) sealed.set(size, (body = makeBody(size, 0)));
  return body;
}

await serve((request) => {
  const { target } = request;
  const size = Number(target.slice(target.lastIndexOf('/') + 1));
  if (!(size >= COUNTER_DIGITS && size <= BODY_MAX)) return request.abort('no size');
  if (!target.includes('/fresh/')) return request.respond(head, sameBody(size));
  const body = makeBody(size, ++counter);
  request.respond(head, body);
  body.dispose();
});
