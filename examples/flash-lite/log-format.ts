// A line for each request, in a format that tools know.

import type { HttpAnswerRecord } from 'io-lite/http';

export const kLogFormats = ['common', 'combined', 'json'] as const;
export type LogFormat = (typeof kLogFormats)[number];

// As nginx has it: the client left before it was answered.
const kClientLeft = 499;

const kMonths = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

let lastTime = NaN;
let lastTimeText = '';

// "10/Oct/2000:13:55:36 +0000"; made once a second.
function clfTime(endedAt: number): string {
  if (endedAt !== lastTime) {
    const [, year, month, day, time] =
      /^(\d+)-(\d\d)-(\d\d)T([\d:]{8})/.exec(new Date(endedAt).toISOString()) as RegExpExecArray;
    lastTime = endedAt;
    lastTimeText = `${day}/${kMonths[Number(month) - 1]}/${year}:${time} +0000`;
  }
  return lastTimeText;
}

const kUnsafe = /[^ !#-[\]-~]/;
const kUnsafeAll = /[^ !#-[\]-~]/g;

// As Apache's httpd writes it: nobody can end the line, or the quotes, from outside.
function quoted(text: string): string {
  if (!kUnsafe.test(text)) return text;
  return text.replace(kUnsafeAll, (character) =>
    (character === '"' || character === '\\' ? `\\${character}` :
      `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`));
}

function common(record: HttpAnswerRecord): string {
  const { client, endedAt, method, target, versionMinor, status, bodyBytes } = record;
  const request = method === '' ? '-' : `${method} ${quoted(target)} HTTP/1.${versionMinor}`;
  return `${client || '-'} - - [${clfTime(endedAt)}] "${request}" ${status || kClientLeft} ` +
    `${bodyBytes || '-'}`;
}

function combined(record: HttpAnswerRecord): string {
  const { referer, userAgent } = record;
  return `${common(record)} "${quoted(referer) || '-'}" "${quoted(userAgent) || '-'}"`;
}

function json({ endedAt, status, ...rest }: HttpAnswerRecord): string {
  const time = new Date(endedAt).toISOString();
  return JSON.stringify({ time, status: status || kClientLeft, ...rest });
}

export const kWriters = { common, combined, json };
