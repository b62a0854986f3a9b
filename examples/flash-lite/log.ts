// One line on stderr for what an operator must know; the same line at most once a second.

const kQuietMs = 1000;
const recent = new Map<string, number>();

export function log(message: string): void {
  const now = Date.now();
  for (const [text, at] of recent) {
    if (now - at >= kQuietMs) recent.delete(text);
  }
  if (recent.has(message)) return;
  recent.set(message, now);
  process.stderr.write(`flash-lite: ${message}\n`);
}
