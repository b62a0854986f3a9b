// The status in the text format 0.0.4 of Prometheus. Nothing is counted for it: it is written from
// what the library counts anyway, when somebody asks.

import type { Status } from './status';

export const kMetricsType = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Record<string, string>;
type Sample = [labels: Labels, value: number];

class Metrics {
  text = '';

  // A name that ends in _total is a counter.
  add(name: string, help: string, value: number | Sample[]): void {
    const samples: Sample[] = typeof value === 'number' ? [[{}, value]] : value;
    if (samples.length === 0) return;
    const type = name.endsWith('_total') ? 'counter' : 'gauge';
    this.text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    for (const [labels, number] of samples) this.text += `${name}${shown(labels)} ${number}\n`;
  }
}

function shown(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escape(value: string): string {
  return value.replace(/[\\"\n]/g, (mark) => (mark === '\n' ? '\\n' : `\\${mark}`));
}

function labelled(label: string, values: Record<string, number>): Sample[] {
  return Object.entries(values).map(([name, value]) => [{ [label]: name }, value]);
}

// One sample for each thing that has a name.
function each<T>(label: string, things: [name: string, thing: T][], value: (thing: T) => number): Sample[] {
  return things.map(([name, thing]) => [{ [label]: name }, value(thing)]);
}

export function renderMetrics(status: Status): string {
  const metrics = new Metrics();
  addProcess(metrics, status);
  addTraffic(metrics, status);
  addCopies(metrics, status);
  addCache(metrics, status);
  addMemory(metrics, status);
  addPrograms(metrics, status);
  return metrics.text;
}

function addProcess(metrics: Metrics, status: Status): void {
  const { version, uptimeSeconds, cpuSeconds, residentBytes, reloads, accessLog } = status;
  metrics.add('flash_lite_build_info', 'Always 1; the label has the version.', [[{ version }, 1]]);
  metrics.add('flash_lite_uptime_seconds', 'Since the process began.', uptimeSeconds);
  metrics.add('process_cpu_seconds_total', 'User and system time of the process.', cpuSeconds);
  metrics.add('process_resident_memory_bytes', 'Resident memory of the process.', residentBytes);
  metrics.add('flash_lite_reloads_total', 'Settings that were read anew.', reloads);
  if (accessLog === null) return;
  metrics.add('flash_lite_access_log_lines_total', 'Lines of the access log.', accessLog.lines);
  metrics.add('flash_lite_access_log_dropped_total',
    'Lines that the disk could not follow.', accessLog.dropped);
}

function addTraffic(metrics: Metrics, { http }: Status): void {
  metrics.add('flash_lite_connections_open', 'Connections that are open.', http.connectionsOpen);
  metrics.add('flash_lite_connections_total', 'Connections that were accepted.', http.connectionsTotal);
  metrics.add('flash_lite_requests_total', 'Well-formed requests.', http.requests);
  metrics.add('flash_lite_repeated_total', 'Of these, answered as a request that was alike.',
    http.repeated);
  metrics.add('flash_lite_responses_total', 'Responses by class of status.', labelled('class', {
    '1xx': http.responses1xx, '2xx': http.responses2xx, '3xx': http.responses3xx,
    '4xx': http.responses4xx, '5xx': http.responses5xx,
  }));
  metrics.add('flash_lite_sent_bytes_total',
    'Bytes taken by the kernel: copied into sockets, or by reference.', labelled('by', {
      copy: http.bytesSent - http.bytesByReference, reference: http.bytesByReference,
    }));
  metrics.add('flash_lite_refused_total', 'Requests refused before any decision.', labelled('reason', {
    malformed: http.malformed, memory: http.refusedForMemory,
  }));
  metrics.add('flash_lite_timeouts_total', 'Connections or requests cut, by what took too long.',
    labelled('waiting_for', {
      head: http.headTimeouts, request: http.idleTimeouts, send: http.sendTimeouts,
      body: http.bodyTimeouts, answer: http.answerTimeouts,
    }));
  metrics.add('flash_lite_clients_lost_total',
    'Requests whose client left before the end of the answer.', http.clientsLost);
  metrics.add('flash_lite_system_calls_total', 'System calls on sockets.', labelled('call', {
    receive: http.receives, send: http.sends,
  }));
  metrics.add('flash_lite_partial_sends_total', 'Sends taken only in part.', http.partialSends);
  metrics.add('flash_lite_accept_pauses_total', 'Times that accepting was paused.', http.acceptPauses);
  metrics.add('flash_lite_accept_failures_total',
    'Connections not accepted for want of descriptors or memory.', http.acceptFailures);
  metrics.add('flash_lite_queued_bytes', 'Of answers that wait for their clients.', http.bytesQueued);
  metrics.add('flash_lite_queue_cuts_total',
    'Connections cut since too much waited.', http.queueCuts);
  metrics.add('flash_lite_tls_failures_total', 'Handshakes that failed.', http.tlsFailures);
}

function addCopies(metrics: Metrics, { copies }: Status): void {
  const reasons = Object.entries(copies);
  metrics.add('flash_lite_copies_total',
    'Copies of payload in user space, by reason.', each('reason', reasons, ({ times }) => times));
  metrics.add('flash_lite_copied_bytes_total',
    'Payload copied in user space, by reason.', each('reason', reasons, ({ bytes }) => bytes));
}

function addCache(metrics: Metrics, { cache, resources, compression }: Status): void {
  metrics.add('flash_lite_cache_hits_total', 'Look-ups that the file cache answered.', cache.hits);
  metrics.add('flash_lite_cache_misses_total', 'Look-ups that went to the disk.', cache.misses);
  metrics.add('flash_lite_cache_evictions_total', 'Pieces that made room.', cache.evictions);
  metrics.add('flash_lite_cache_invalidations_total', 'Files that had changed.', cache.invalidations);
  metrics.add('flash_lite_cache_bytes', 'File contents in the cache.', cache.bytes);
  metrics.add('flash_lite_cache_max_bytes', 'What the cache may have.', cache.maxBytes);
  metrics.add('flash_lite_cache_entries', 'Files that the cache knows.', cache.entries);
  metrics.add('flash_lite_cache_open_files', 'Descriptors that the cache keeps open.', cache.openFiles);
  metrics.add('flash_lite_resources', 'Paths whose answers are ready.', resources.entries);
  metrics.add('flash_lite_compressed_bytes',
    'Compressed forms that are kept.', compression['bytes'] ?? 0);
  metrics.add('flash_lite_compressed_max_bytes',
    'What they may have.', compression['bytesMax'] ?? 0);
  metrics.add('flash_lite_compressions_declined_total',
    'Files sent as they are for want of room, since the last reload.', compression['declined'] ?? 0);
}

function addMemory(metrics: Metrics, { memory }: Status): void {
  metrics.add('flash_lite_window_bytes', 'Memory of the window in use.', memory.windowBytes);
  metrics.add('flash_lite_window_max_bytes', 'What the window may have.', memory.windowBytesMax);
  // Why merged: pools may share a name, a series may not.
  const pools: Record<string, number> = {};
  for (const { name, bytesInUse } of memory.pools) pools[name] = (pools[name] ?? 0) + bytesInUse;
  metrics.add('flash_lite_pool_bytes', 'Buffers in use, by pool.', labelled('pool', pools));
  metrics.add('flash_lite_holds', 'Claims on buffers.', memory.liveHolds);
  metrics.add('flash_lite_leaks_total', 'Resources collected unreleased.', memory.leaks);
}

function addPrograms(metrics: Metrics, { cgi, apps }: Status): void {
  metrics.add('flash_lite_cgi_running', 'CGI programs that run.', cgi.running);
  metrics.add('flash_lite_cgi_waiting', 'Requests that wait for a program.', cgi.waiting);
  metrics.add('flash_lite_cgi_runs_total', 'Requests given to a program.', cgi.runs);
  metrics.add('flash_lite_cgi_refused_total', 'Requests for which too many waited.', cgi.refused);
  const all = Object.entries(apps);
  metrics.add('flash_lite_app_workers',
    'Workers that take requests.', each('app', all, ({ workers }) => workers.length));
  metrics.add('flash_lite_app_running',
    'Requests that workers answer.', each('app', all, ({ running }) => running));
  metrics.add('flash_lite_app_waiting',
    'Requests that wait for a worker.', each('app', all, ({ waiting }) => waiting));
  metrics.add('flash_lite_app_requests_total',
    'Requests given to workers.', each('app', all, ({ requests }) => requests));
  metrics.add('flash_lite_app_refused_total',
    'Requests for which too many waited.', each('app', all, ({ refused }) => refused));
  metrics.add('flash_lite_app_restarts_total',
    'Workers that were started again.', each('app', all, ({ restarts }) => restarts));
}
