/* Every file below a folder as an answer in memory, found by its path. */
#include "bare_answers.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

enum { kSlots = 32768, kHeadMax = 512, kAlign = 4096 };
static const size_t kHugePage = 2 << 20;

int answerFd = -1;
Answer notFound;
static Answer table[kSlots];
static unsigned tableUsed;
static const char* root;
static bool hasTags;
static size_t needed; /* bytes of all answers, with room for their heads */
static char* arena;
static size_t arenaUsed, arenaSize;

void die(const char* what) {
  fprintf(stderr, "bare_server: %s: %s\n", what, strerror(errno));
  exit(2);
}

static Answer* slotOf(const char* path, size_t size) {
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)path[i]) * 16777619u;
  for (uint32_t i = hash % kSlots;; i = (i + 1) % kSlots) {
    Answer* a = &table[i];
    if (!a->path || (a->pathSize == size && memcmp(a->path, path, size) == 0)) return a;
  }
}

const Answer* answerOf(const char* path, size_t size) {
  const Answer* a = slotOf(path, size);
  return a->path ? a : &notFound;
}

/* Room for one answer; in the arena it begins on a page. */
static char* take(Answer* a) {
  if (!arena) return malloc(a->size);
  a->at = (off_t)arenaUsed;
  arenaUsed += (a->size + kAlign - 1) / kAlign * kAlign;
  return arenaUsed <= arenaSize ? arena + a->at : NULL;
}

/* The head; the body's bytes are the caller's to put behind it. */
static void build(Answer* a, const char* status, size_t bodySize) {
  char head[kHeadMax], tag[64] = "";
  if (a->tag) snprintf(tag, sizeof tag, "ETag: %s\r\n", a->tag);
  int headSize = snprintf(head, sizeof head,
                          "HTTP/1.1 %s\r\nContent-Type: application/octet-stream\r\n%s"
                          "Content-Length: %zu\r\n\r\n",
                          status, tag, bodySize);
  a->headSize = (size_t)headSize;
  a->size = a->headSize + bodySize;
  a->data = take(a);
  if (!a->data) die("memory");
  memcpy(a->data, head, a->headSize);
}

static void buildNotModified(Answer* a, size_t bodySize) {
  int size = asprintf(&a->tag, "\"%x-%zx\"", tableUsed, bodySize);
  a->tagSize = (size_t)size;
  int all = asprintf(&a->notModified, "HTTP/1.1 304 Not Modified\r\nETag: %s\r\n\r\n", a->tag);
  a->notModifiedSize = (size_t)all;
  if (size < 0 || all < 0) die("memory");
}

static int measureFile(const char* path, const struct stat* st, int kind, struct FTW* unused) {
  (void)path, (void)unused;
  if (kind == FTW_F) needed += (size_t)st->st_size + kHeadMax + kAlign;
  return 0;
}

static int loadFile(const char* path, const struct stat* st, int kind, struct FTW* unused) {
  (void)unused;
  if (kind != FTW_F) return 0;
  if (++tableUsed > kSlots / 2) die("too many files");
  const char* name = path + strlen(root);
  const size_t size = (size_t)st->st_size;
  Answer* a = slotOf(name, strlen(name));
  a->path = strdup(name);
  a->pathSize = strlen(name);
  if (hasTags) buildNotModified(a, size);
  build(a, "200 OK", size);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) die(path);
  for (size_t at = 0; at < size;) {
    ssize_t got = read(fd, a->data + a->headSize + at, size - at);
    if (got <= 0) die(path);
    at += (size_t)got;
  }
  close(fd);
  return 0;
}

static void makeArena(Memory memory) {
  arenaSize = (needed + kHugePage) / kHugePage * kHugePage;
  const unsigned flags = MFD_CLOEXEC | (memory == kHugeTlb ? MFD_HUGETLB : 0);
  answerFd = memfd_create("answers", flags);
  if (answerFd < 0 || ftruncate(answerFd, (off_t)arenaSize) != 0) die("memfd");
  /* Why an address of our choice: a huge page is only mapped where its address is a multiple. */
  char* place = mmap(NULL, arenaSize + kHugePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) die("mmap");
  place = (char*)(((uintptr_t)place + kHugePage - 1) / kHugePage * kHugePage);
  arena = mmap(place, arenaSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, answerFd, 0);
  if (arena == MAP_FAILED) die(memory == kHugeTlb ? "reserved huge pages" : "mmap");
  if (memory == kThp) madvise(arena, arenaSize, MADV_HUGEPAGE);
}

/* Where shmem_enabled forbids that pages become huge by themselves, they can be collapsed. */
static void collapse(void) {
  for (size_t at = 0; at < arenaUsed; at += kHugePage)
    if (madvise(arena + at, kHugePage, MADV_COLLAPSE) != 0) die("no huge page (MADV_COLLAPSE)");
}

void makeAnswers(const char* folder, Memory memory, bool tags) {
  root = folder;
  hasTags = tags;
  if (memory != kHeap) {
    if (nftw(root, measureFile, 16, FTW_PHYS) != 0) die(root);
    makeArena(memory);
  }
  if (nftw(root, loadFile, 16, FTW_PHYS) != 0) die(root);
  build(&notFound, "404 Not Found", 0);
  if (memory == kThp) collapse();
}
