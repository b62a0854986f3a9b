// A strict TypeScript program: `using` gives everything back at the end of its block.
import { strict as assert } from 'node:assert';
import { Aggregate, stats, type IolBuffer } from 'io-lite';
import DefaultList, { BufferList, type BufferListAcceptedTypes } from 'io-lite/bl';
import { HttpServer, type HttpRequest } from 'io-lite/http';

function edit(): string {
  using head = Aggregate.from('one ');
  using tail = Aggregate.from('window');
  using all = Aggregate.concat(head, tail);
  return all.toString();
}

function answer(request: HttpRequest): void {
  using head = Aggregate.from('HTTP/1.1 204 No Content\r\n');
  request.respond(head, null);
}

function listOf(value: BufferListAcceptedTypes): string {
  using list = new BufferList(value);
  using stream: DefaultList = new DefaultList(list);
  return stream.toString();
}

export function lengthOf(buffer: IolBuffer): number {
  return buffer.byteLength;
}

async function main(): Promise<void> {
  const before = stats().liveHolds;
  assert.equal(edit(), 'one window');
  assert.equal(listOf(['a', 'list']), 'alist');
  assert.equal(stats().liveHolds, before);
  const server = await HttpServer.listen({ port: 0 }, answer);
  assert.ok(server.port > 0);
  await server.close();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
