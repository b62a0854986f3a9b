// Shows thousands of connections to our head parser and to the one that Node runs. Ours may refuse
// more (for a reason named below); it must never accept what Node refuses, nor see another request,
// another body or another end.
//
// Ours is head_parser_tool: the program named by IOL_HEAD_PARSER_TOOL, else compiled here. Node's is
// a real http.Server (insecureHTTPParser off) with injected connections, so nothing waits.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Duplex } from 'node:stream';
import { generatedConnections, tableConnections } from './connections';

interface OurRequest {
  method: string;
  target: string;
  minor: number;
  fields: [string, string][];
  keepAlive: boolean;
  expectation: string;
  body: string;
}

interface OurConnection {
  requests: OurRequest[];
  end: 'idle' | 'incomplete' | 'incomplete-body' | 'refused' | 'refused-body' | 'closed' | 'tunnel';
  error: string;
  status: number;
}

interface NodeRequest {
  method: string | undefined;
  target: string | undefined;
  version: string;
  fields: string[];
  keepAlive: boolean;
  body: string;
  isComplete: boolean;
}

interface NodeConnection {
  requests: NodeRequest[];
  error: string | undefined;
}

// What ours refuses and some Node accepts, and why ours is right to.
const stricterReasons: Readonly<Record<string, string>> = {
  ChunkTooLarge: 'a size has at most 16 digits, zeros before it included; Node counts what they are worth',
  BadConnection: 'RFC 9110 7.6.1: Connection is a list of tokens; Node looks for words it knows',
  BadHost: 'RFC 9112 3.2: an invalid Host is answered with 400; Node does not look',
  BadMethod: 'RFC 9112 2.2: one empty line before the request line, not many',
  BadTarget: 'RFC 9112 3.2: one of four forms, without a fragment',
  BadTransferEncoding: 'RFC 9112 6.1: chunked once, last, and no empty elements',
  BadVersion: 'RFC 9112 3: single spaces, and no HTTP/0.9',
  EncodingInHttp10: 'RFC 9112 6.1: framing in doubt',
  BareCr: 'Node skips CR and LF in any number before a request line',
  BareLf: 'likewise',
  HostMissing: 'Node answers 400, too, but reads on; ours closes',
  HostRepeated: 'RFC 9112 3.2: Node keeps the first',
  UnknownTransferCoding: 'RFC 9112 6.1: Node leaves the decoding to nobody',
  VersionNotSupported: 'Node parses HTTP/0.9 and HTTP/2.0 request lines',
  BadChunkExtension: 'RFC 9112 7.1.1',
  ForbiddenTrailer: 'RFC 9110 6.5.1: some of them change the connection in Node',
  CloseWins: 'HTTP/1.0 with both close and keep-alive: RFC 9112 9.3 looks for close first',
};

// Where ours accepts more, by decision. The rest of such a connection is not compared.
const looserReasons: Readonly<Record<string, (request: OurRequest, node: NodeConnection, text: string) => boolean>> = {
  // The server above answers 405 or 501; Node's parser knows a list of methods.
  UnknownMethod: ({ method }) => !http.METHODS.includes(method),
  // RFC 9112 C.2.2: not a header of HTTP, to be ignored. Node takes it for Connection.
  ProxyConnection: ({ fields }) => fields.some(([name]) => name.toLowerCase() === 'proxy-connection'),
  // RFC 9110 5.6.3: white space after a value may be a tab. Node takes spaces after these two.
  TabAfterValue: (_request, { error }, text) =>
    /^HPE_INVALID_(CONTENT_LENGTH|TRANSFER_ENCODING)$/.test(error ?? '') &&
    /\n(?:content-length:[ \t]*\d+|transfer-encoding:[ \t]*chunked) *\t[ \t]*\r\n/i.test(text),
};

// What the parser has given the request so far. Node 26 reads one buffer at a time, others all.
function bodyOf(request: http.IncomingMessage): string {
  const buffers: Buffer[] = [];
  for (let next = request.read() as Buffer | null; next !== null; next = request.read() as Buffer | null) {
    buffers.push(next);
  }
  return Buffer.concat(buffers).toString('latin1');
}

class NodeSide {
  readonly #server = http.createServer({ insecureHTTPParser: false, maxHeaderSize: 1 << 20 });
  #seen: { request: http.IncomingMessage; keepAlive: boolean }[] = [];
  #error: string | undefined;

  constructor() {
    const note = (request: http.IncomingMessage, response: http.ServerResponse) => {
      this.#seen.push({ request, keepAlive: response.shouldKeepAlive });
    };
    this.#server.on('request', note);
    this.#server.on('checkContinue', note);
    this.#server.on('checkExpectation', note);
    this.#server.on('connect', (request) => this.#seen.push({ request, keepAlive: true }));
    this.#server.on('clientError', (error: NodeJS.ErrnoException) => {
      this.#error ??= error.code ?? error.message;
    });
  }

  read(bytes: Buffer): NodeConnection {
    this.#seen = [];
    this.#error = undefined;
    const socket = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
    socket.on('error', () => {});
    this.#server.emit('connection', socket);
    // Why emit: the server's own listener parses at once, and what it saw can be asked for below.
    socket.emit('data', bytes);
    const requests = this.#seen.map(({ request, keepAlive }) => ({
      method: request.method,
      target: request.url,
      version: request.httpVersion,
      fields: request.rawHeaders,
      keepAlive,
      body: bodyOf(request),
      isComplete: request.complete,
    }));
    const error = this.#error;
    socket.destroy();
    return { requests, error };
  }

  close() {
    this.#server.close();
  }
}

const root = path.join(__dirname, '..', '..');

function compileTool(folder: string): string {
  const tool = path.join(folder, 'head_parser_tool');
  const sources = ['head_parser', 'head_meaning', 'body_framing'].map((n) => `src-native/http/${n}.cc`);
  const flags = ['-std=c++20', '-O1', '-iquote', 'src-native', '-iquote', 'test/native', '-o', tool];
  const compiler = process.env['CXX'] ?? 'g++';
  const { status, stderr } = spawnSync(
    compiler, [...flags, 'test/native/head_parser_tool.cc', ...sources], { cwd: root, encoding: 'utf8' },
  );
  assert.equal(status, 0, `${compiler} did not compile the tool: ${stderr}`);
  return tool;
}

function readWithTool(tool: string, connections: Buffer[]): OurConnection[] {
  const records = connections.flatMap((bytes) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return [length, bytes];
  });
  const { status, stdout, stderr } = spawnSync(tool, {
    input: Buffer.concat(records),
    maxBuffer: 1 << 30,
    encoding: 'latin1',
  });
  assert.equal(status, 0, stderr);
  const lines = stdout.split('\n').slice(0, -1);
  assert.equal(lines.length, connections.length, 'the tool answers each record with one line');
  return lines.map((line) => JSON.parse(line) as OurConnection);
}

// Compares what both saw; notes where they differ for a named reason, throws on anything else.
function compare(
  ours: OurConnection, node: NodeConnection, text: string, note: (reason: string) => void,
) {
  for (const [index, request] of ours.requests.entries()) {
    const isLast = index === ours.requests.length - 1;
    const looser = Object.keys(looserReasons).find((name) => looserReasons[name]!(request, node, text));
    if (looser !== undefined) return note(looser);
    const other = node.requests[index];
    assert(other !== undefined, `ours accepts request ${index + 1}, Node does not (${node.error})`);
    assert.equal(request.method, other.method);
    assert.equal(request.target, other.target);
    assert.equal(`1.${request.minor}`, other.version);
    assert.deepEqual(request.fields.flat(), other.fields);
    // RFC 9110 7.8: a server may ignore Upgrade and go on. Node drops the bytes that follow.
    if (request.fields.some(([name]) => name.toLowerCase() === 'upgrade')) return note('Upgrade');
    if (isLast && ours.end === 'tunnel') return;
    if (request.keepAlive !== other.keepAlive) {
      assert(!request.keepAlive, 'ours keeps a connection open that Node closes');
      note('CloseWins');
    }
    if (isLast && ours.end === 'refused-body') {
      assert(other.body.startsWith(request.body), 'the bodies differ');
      if (node.error === undefined) note(ours.error);
      return;
    }
    assert.equal(request.body, other.body, 'the bodies differ');
    const isComplete = !(isLast && ours.end === 'incomplete-body');
    assert.equal(isComplete, other.isComplete, 'one body is complete, the other is not');
  }
  const more = node.requests.length - ours.requests.length;
  if (ours.end === 'closed') return;
  if (ours.end === 'refused') {
    if (more > 0) note(ours.error);
    return;
  }
  assert.equal(more, 0, 'Node sees a request that ours does not');
  if (ours.end === 'idle') assert.equal(node.error, undefined, 'Node refuses bytes that ours used up');
}

describe('the head parser beside the one that Node runs', function () {
  this.timeout(120_000);
  const reasons = new Map<string, number>();
  let folder: string;
  let tool: string;
  let nodeSide: NodeSide;

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), `iol-head-parser-${process.pid}-`));
    tool = process.env['IOL_HEAD_PARSER_TOOL'] ?? compileTool(folder);
    nodeSide = new NodeSide();
  });

  after(() => {
    nodeSide.close();
    rmSync(folder, { recursive: true });
  });

  // Returns how many connections had a request that both accept.
  function compareAll(connections: Buffer[]): number {
    let accepted = 0;
    for (const [index, ours] of readWithTool(tool, connections).entries()) {
      const bytes = connections[index]!;
      const node = nodeSide.read(bytes);
      try {
        compare(ours, node, bytes.toString('latin1'), (reason) => reasons.set(reason, (reasons.get(reason) ?? 0) + 1));
      } catch (error) {
        const shown = JSON.stringify({ bytes: bytes.toString('latin1'), ours, node }, null, 1);
        throw new Error(`${(error as Error).message}\n${shown}`, { cause: error });
      }
      if (ours.requests.length > 0) accepted += 1;
    }
    return accepted;
  }

  it('accepts no table case that Node refuses, and frames none differently', () => {
    const connections = tableConnections(__dirname);
    assert(connections.length >= 100);
    assert(compareAll(connections) >= 50);
  });

  it('accepts no generated connection that Node refuses, and frames none differently', () => {
    const connections = generatedConnections(__dirname, Number(process.env['IOL_SEED'] ?? 1), 20_000);
    assert(compareAll(connections) >= 5_000, 'too few were good enough to say anything');
  });

  it('differs from Node only for reasons that have a name', () => {
    if (process.env['IOL_VERBOSE'] !== undefined) console.log(Object.fromEntries(reasons));
    const named = new Set([...Object.keys(stricterReasons), ...Object.keys(looserReasons), 'Upgrade']);
    assert.deepEqual([...reasons.keys()].filter((reason) => !named.has(reason)), []);
    assert((reasons.get('BadHost') ?? 0) > 0, 'nothing was compared');
  });
});
