/**
 * HTTP dates (RFC 9110 section 5.6.7): written in one form, read in three.
 */
const months = [
  'Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec',
];
const imfFixdate = /^[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/;
const rfc850 = /^[A-Z][a-z]{5,8}, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d):(\d\d):(\d\d) GMT$/;
const asctime = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/;

/** `Sun, 06 Nov 1994 08:49:37 GMT`; what is below a second is dropped. */
export function formatHttpDate(timeMs: number): string {
  return new Date(timeMs).toUTCString();
}

/** Milliseconds since 1970, or undefined for anything that is not an HTTP date. */
export function parseHttpDate(text: string): number | undefined {
  let match = imfFixdate.exec(text);
  if (match !== null) return timeOf(match[3]!, match[2]!, match[1]!, match.slice(4));
  match = rfc850.exec(text);
  if (match !== null) return timeOf(fullYear(match[3]!), match[2]!, match[1]!, match.slice(4));
  match = asctime.exec(text);
  if (match !== null) return timeOf(match[6]!, match[1]!, match[2]!, match.slice(3, 6));
  return undefined;
}

/** Two digits mean a year at most 50 years ahead. */
function fullYear(twoDigits: string): string {
  const now = new Date().getUTCFullYear();
  const year = now - (now % 100) + Number(twoDigits);
  return String(year > now + 50 ? year - 100 : year);
}

function timeOf(year: string, month: string, day: string, clock: string[]): number | undefined {
  const monthIndex = months.indexOf(month);
  const [hours, minutes, seconds] = clock.map(Number) as [number, number, number];
  if (monthIndex < 0 || Number(day) < 1 || Number(day) > 31) return undefined;
  if (hours > 23 || minutes > 59 || seconds > 60) return undefined;
  return Date.UTC(Number(year), monthIndex, Number(day), hours, minutes, seconds);
}
