// Answers of one connection, cut out of its bytes.

export interface RawAnswer {
  status: number;
  head: string;
  /** Names in lower case; of several the last. */
  headers: Record<string, string>;
  body: Buffer;
  /** False: the connection ended in the middle of it. */
  isWhole: boolean;
}

/** By Content-Length; `isBodiless` says which answers have none whatever they say (to HEAD). */
export function rawAnswers(bytes: Buffer, isBodiless: (index: number) => boolean = () => false): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf('\r\n\r\n', at);
    if (end < 0) break;
    const head = bytes.toString('latin1', at, end);
    const [, ...lines] = head.split('\r\n');
    const headers = Object.fromEntries(lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
    const hasNone = isBodiless(answers.length) || status === 304 || status === 204;
    const length = hasNone ? 0 : Number(headers['content-length'] ?? NaN);
    const body = bytes.subarray(end + 4, Number.isNaN(length) ? undefined : end + 4 + length);
    answers.push({ status, head, headers, body, isWhole: body.length === length });
    at = end + 4 + body.length;
  }
  return answers;
}
