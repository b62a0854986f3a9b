/*
 * What is asked for: one path again and again, or the sequence of a mix.
 *
 * A mix is a file of text that mix.mjs writes:
 *
 *   heads N              then for each: CODING SIZE, newline, SIZE bytes of header lines
 *   users N              the same without CODING: a header line of each user, a cookie
 *   paths N              then for each: its path
 *   sequence N           then for each: PATH HEAD USER CONDITIONAL, all numbers
 *
 * CODING says which heads accept the same content codings, and so have the same entity tags. These
 * differ from server to server: --learn writes lines PATH CODING TAG, which the load then sends as
 * If-None-Match where CONDITIONAL is 1; the answer to that must be 304.
 */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kCodings = 4, kTagMax = 256 };

typedef struct {
  char* bytes;
  size_t size;
  unsigned coding;
} Block;

typedef struct {
  uint32_t path;
  uint16_t head, user;
  bool isConditional;
} Step;

static struct {
  Block *heads, *users, *lines; /* lines: GET PATH HTTP/1.1 */
  char** paths;
  Block* tags; /* by path and coding: the whole header line */
  Step* steps;
  size_t headCount, userCount, pathCount, stepCount, at;
} mix;

static Block single;

static Request* add(Request* request, const char* bytes, size_t size) {
  request->parts[request->count++] = (struct iovec){(void*)bytes, size};
  return request;
}

static Block format(const char* pattern, const char* value) {
  Block block = {0};
  int size = asprintf(&block.bytes, pattern, value);
  if (size < 0) fail("no memory");
  block.size = (size_t)size;
  return block;
}

static size_t readCount(FILE* file, const char* word) {
  char found[16];
  size_t count;
  if (fscanf(file, "%15s %zu\n", found, &count) != 2 || strcmp(found, word) != 0)
    fail("%s: no '%s' where they should begin", opt.mix, word);
  return count;
}

static Block* readBlocks(FILE* file, const char* word, size_t* count) {
  *count = readCount(file, word);
  Block* blocks = calloc(*count, sizeof *blocks);
  for (size_t i = 0; blocks && i < *count; i++) {
    Block* block = &blocks[i];
    if (fscanf(file, "%u %zu", &block->coding, &block->size) != 2 || block->coding >= kCodings ||
        fgetc(file) != '\n')
      fail("%s: a block without its size", opt.mix);
    block->bytes = malloc(block->size);
    if (!block->bytes || fread(block->bytes, 1, block->size, file) != block->size)
      fail("%s: too short", opt.mix);
  }
  return blocks;
}

static void readMix(void) {
  FILE* file = fopen(opt.mix, "rb");
  if (!file) fail("cannot read %s: %s", opt.mix, strerror(errno));
  mix.heads = readBlocks(file, "heads", &mix.headCount);
  mix.users = readBlocks(file, "users", &mix.userCount);
  mix.pathCount = readCount(file, "paths");
  mix.paths = calloc(mix.pathCount, sizeof *mix.paths);
  mix.lines = calloc(mix.pathCount, sizeof *mix.lines);
  mix.tags = calloc(mix.pathCount * kCodings, sizeof *mix.tags);
  if (!mix.paths || !mix.lines || !mix.tags) fail("no memory for %zu paths", mix.pathCount);
  for (size_t i = 0; i < mix.pathCount; i++) {
    if (fscanf(file, "%ms", &mix.paths[i]) != 1) fail("%s: too few paths", opt.mix);
    mix.lines[i] = format("GET %s HTTP/1.1\r\n", mix.paths[i]);
  }
  mix.stepCount = readCount(file, "sequence");
  mix.steps = calloc(mix.stepCount, sizeof *mix.steps);
  for (size_t i = 0; mix.steps && i < mix.stepCount; i++) {
    unsigned path, head, user, isConditional;
    if (fscanf(file, "%u %u %u %u", &path, &head, &user, &isConditional) != 4 ||
        path >= mix.pathCount || head >= mix.headCount || user >= mix.userCount)
      fail("%s: step %zu is wrong", opt.mix, i);
    mix.steps[i] = (Step){path, (uint16_t)head, (uint16_t)user, isConditional != 0};
  }
  fclose(file);
}

static Block* tagOf(const Step* step) {
  return &mix.tags[step->path * kCodings + mix.heads[step->head].coding];
}

static void readTags(void) {
  FILE* file = fopen(opt.tags, "rb");
  if (!file) fail("cannot read %s: %s", opt.tags, strerror(errno));
  unsigned path, coding;
  char tag[kTagMax];
  while (fscanf(file, "%u %u %255s", &path, &coding, tag) == 3)
    mix.tags[path * kCodings + coding] = format("If-None-Match: %s\r\n", tag);
  fclose(file);
}

void openRequests(void) {
  if (opt.mix) {
    readMix();
    if (opt.root == NULL) readTags();
    return;
  }
  const char* close = opt.closes ? "Connection: close\r\n" : "";
  int size = asprintf(&single.bytes, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", opt.path, opt.host, close);
  if (size < 0) fail("no memory");
  single.size = (size_t)size;
}

static void build(const Step* step, bool isConditional, Request* out) {
  const Block *line = &mix.lines[step->path], *head = &mix.heads[step->head];
  const Block *user = &mix.users[step->user], *tag = tagOf(step);
  out->count = 0;
  out->status = 200;
  add(out, line->bytes, line->size);
  add(out, head->bytes, head->size);
  add(out, user->bytes, user->size);
  if (isConditional && tag->bytes) {
    add(out, tag->bytes, tag->size);
    out->status = 304;
  }
  add(out, "\r\n", 2);
}

void nextRequest(Request* out) {
  if (opt.mix) {
    const Step* step = &mix.steps[mix.at++ % mix.stepCount];
    build(step, step->isConditional, out);
    return;
  }
  out->count = 0;
  out->status = 200;
  add(out, single.bytes, single.size);
}

/* One whole answer; returns its body, of head->length bytes, in memory that the next one uses. */
static char* readAnswer(int fd, const Request* request, const char* path, char* head, Head* parsed) {
  static char* body;
  static size_t room;
  size_t fill = 0;
  int state = 0;
  if (!sendRequest(fd, request)) fail("%s: cannot ask", path);
  while (state == 0) {
    ssize_t got = receive(fd, head + fill, kHeadMax - 1 - fill);
    if (got <= 0) fail("%s: the connection ended within the head", path);
    fill += (size_t)got;
    head[fill] = 0;
    state = parseHead(head, fill, parsed);
    if (state < 0 || (state == 0 && fill == kHeadMax - 1))
      fail("%s: the head is not understood", path);
  }
  if (parsed->status != request->status)
    fail("%s: status %d, not %d", path, parsed->status, request->status);
  if (parsed->length > room) body = realloc(body, room = parsed->length);
  size_t at = fill - parsed->headSize;
  if (at > parsed->length || (parsed->length > 0 && !body)) fail("%s: more than its length", path);
  if (at > 0) memcpy(body, head + parsed->headSize, at);
  while (at < parsed->length) {
    ssize_t got = receive(fd, body + at, parsed->length - at);
    if (got <= 0) fail("%s: the connection ended at byte %zu", path, at);
    at += (size_t)got;
  }
  return body;
}

/* Whether the file has these bytes and no others. */
static bool isFile(const char* path, const char* bytes, size_t size) {
  char* name = NULL;
  if (asprintf(&name, "%s%s", opt.root, path) < 0) fail("no memory");
  FILE* file = fopen(name, "rb");
  char piece[65536];
  size_t at = 0, got;
  bool isSame = file != NULL;
  while (isSame && (got = fread(piece, 1, sizeof piece, file)) > 0) {
    isSame = got <= size - at && memcmp(piece, bytes + at, got) == 0;
    at += got;
  }
  if (file) fclose(file);
  free(name);
  return isSame && at == size;
}

static int reconnect(int fd) {
  if (fd >= 0) disconnect(fd);
  return connectWith(0);
}

static void verifyPaths(void) {
  char head[kHeadMax];
  char* text = format("Host: %s\r\n\r\n", opt.host).bytes;
  int fd = reconnect(-1);
  for (size_t i = 0; i < mix.pathCount; i++) {
    Request request = {.status = 200};
    add(add(&request, mix.lines[i].bytes, mix.lines[i].size), text, strlen(text));
    Head parsed;
    char* body = readAnswer(fd, &request, mix.paths[i], head, &parsed);
    if (!isFile(mix.paths[i], body, parsed.length)) fail("%s: wrong bytes", mix.paths[i]);
    const char* value = headerValue(head, parsed.headSize, "connection");
    if (value && strncmp(value, "close", 5) == 0) fd = reconnect(fd);
  }
  disconnect(fd);
}

int runLearn(void) {
  char head[kHeadMax];
  size_t learned = 0, without = 0;
  verifyPaths();
  FILE* file = fopen(opt.tags, "wb");
  if (!file) fail("cannot write %s: %s", opt.tags, strerror(errno));
  int fd = reconnect(-1);
  for (size_t i = 0; i < mix.stepCount; i++) {
    const Step* step = &mix.steps[i];
    Block* known = tagOf(step);
    if (!step->isConditional || known->size > 0) continue;
    Request request;
    Head parsed;
    build(step, false, &request);
    readAnswer(fd, &request, mix.paths[step->path], head, &parsed);
    const char* tag = headerValue(head, parsed.headSize, "etag");
    known->size = 1; /* asked */
    if (opt.closes) fd = reconnect(fd);
    if (!tag) {
      without++;
      continue;
    }
    size_t size = strcspn(tag, "\r\n");
    if (size >= kTagMax || memchr(tag, ' ', size)) fail("a tag that is not understood");
    fprintf(file, "%u %u %.*s\n", step->path, mix.heads[step->head].coding, (int)size, tag);
    learned++;
  }
  if (fclose(file) != 0) fail("cannot write %s", opt.tags);
  printf("{\"verified\":%zu,\"tags\":%zu,\"withoutTag\":%zu}\n", mix.pathCount, learned, without);
  return 0;
}
