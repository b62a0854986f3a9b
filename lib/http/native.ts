/**
 * HTTP servers of the addon; see wrap_http.cc and wrap_http_server.cc.
 */
declare const serverBrand: unique symbol;
/** A native server. */
export interface NativeServer { readonly [serverBrand]: true }

declare module '../native' {
  interface NativeAddon {
    httpListen(
      pool: number, place: string, numbers: Float64Array, record: Uint32Array,
      onRequest: (target: string) => void,
      onEvent: (event: number, slot: number, epoch: number) => void,
      placeKind: number, placeNumber: number,
    ): NativeServer;
    /** A descriptor that listens, the caller's. */
    httpBind(place: string, numbers: Float64Array, placeKind: number, placeNumber: number): number;
    httpConfigure(server: NativeServer, numbers: Float64Array): void;
    /** Of a Unix socket, else ''. */
    httpPath(server: NativeServer): string;
    /** 0 bytes: off. `format` as AnswerLog::Format. */
    httpSetLog(server: NativeServer, bytesMax: number, format: number): void;
    /** How many bytes of records there were; scratch: dropped, taken until now. */
    httpTakeLog(server: NativeServer, to: Uint8Array): number;
    /** The caller's; scratch: dropped, taken until now. */
    httpTakeLogLines(server: NativeServer): Buffer;
    /** The host; scratch[0] is the port. */
    httpEndpoint(server: NativeServer): string;
    httpRespond(
      this: void, server: NativeServer, slot: number, epoch: number, head: number, body: number,
      closes: number,
    ): boolean;
    /** False when the file is not fresh or not in memory. */
    httpRespondFile(
      this: void, server: NativeServer, slot: number, epoch: number, head: number, closes: number,
      cache: number, file: number, offset: number, length: number,
    ): boolean;
    httpRefuse(
      server: NativeServer, slot: number, epoch: number, status: number, closes: number,
    ): boolean;
    httpStart(
      server: NativeServer, slot: number, epoch: number, head: number, bodyBytes: number,
      closes: number,
    ): boolean;
    httpWrite(server: NativeServer, slot: number, epoch: number, part: number): number;
    httpEnd(server: NativeServer, slot: number, epoch: number): boolean;
    httpAbort(server: NativeServer, slot: number, epoch: number): void;
    httpHeader(server: NativeServer, slot: number, epoch: number, name: string): string | undefined;
    /** 0: more than once, in pieces, or too long. `header` is an index. */
    httpValueId(
      this: void, server: NativeServer, slot: number, epoch: number, header: number,
    ): number;
    /**
     * Copies a line with the client's address and port, of HTTPS the server's, too, and the head as it
     * was received; the length of both, also when they do not fit. scratch[0]: of the line.
     */
    httpCopyRequest(
      this: void, server: NativeServer, slot: number, epoch: number, to: Uint8Array, at: number,
    ): number;
    /** Names and values in turn. */
    httpHeaders(server: NativeServer, slot: number, epoch: number): string[];
    /** The host; scratch[0] is the port. */
    httpAddress(server: NativeServer, slot: number, epoch: number, isServer: boolean): string;
    httpMethod(server: NativeServer, slot: number, epoch: number): string | undefined;
    httpStats(server: NativeServer): void;
    /** False: there is no such status. */
    httpSetErrorAnswer(server: NativeServer, status: number, head: number, body: number): boolean;
    httpClose(server: NativeServer): void;
    httpDestroy(server: NativeServer): void;
    httpReference(server: NativeServer, keepsLoopAlive: boolean): void;
    httpKnownHeaders(): string[];
  }
}
