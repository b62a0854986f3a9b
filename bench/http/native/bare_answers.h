/* The answers of the bare server, all made before it starts. See bare_server.c. */
#pragma once

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Where the answers are. */
typedef enum {
  kHeap,    /* malloc */
  kShared,  /* a memfd, as io-lite has its segments */
  kThp,     /* the same with transparent huge pages (2 MiB) */
  kHugeTlb, /* a memfd of reserved huge pages */
} Memory;

typedef struct {
  char* path; /* with its leading slash; NULL: slot is free */
  size_t pathSize;
  char* data; /* head and body */
  size_t size, headSize;
  off_t at;          /* of data in answerFd */
  char* tag;         /* with its quotes; NULL: none */
  size_t tagSize;
  char* notModified; /* the whole answer */
  size_t notModifiedSize;
} Answer;

extern int answerFd; /* of the memfd; -1 with kHeap */
extern Answer notFound;

_Noreturn void die(const char* what);
void makeAnswers(const char* root, Memory memory, bool hasTags);
const Answer* answerOf(const char* path, size_t size);
