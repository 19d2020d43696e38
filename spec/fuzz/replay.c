/*
 * replay.c - runs a fuzz target without libFuzzer: over its corpus, and over a fixed number of mutations of each seed,
 * the same ones every time. Speaks TAP. The long search is `make fuzz`.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUTATIONS  3000
#define INPUT_MOST 65536u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static uint64_t state = 88172645463325252u;

static size_t below(size_t limit) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (size_t)(state % limit);
}

/* In a block of its exact size, so that the sanitizer sees a byte too far. */
static void feed(const uint8_t *bytes, size_t size) {
  uint8_t *exact = malloc(size ? size : 1);
  if (!exact) abort();
  memcpy(exact, bytes, size);
  LLVMFuzzerTestOneInput(exact, size);
  free(exact);
}

/* A few bytes changed, or a piece cut out. */
static size_t mutate(uint8_t *bytes, size_t size) {
  static const uint8_t liked[] = "\"\\{}[]:,0e.-\r\n\0 du";
  for (size_t i = 1 + below(4); i > 0 && size > 0; i--) bytes[below(size)] = liked[below(sizeof liked)];
  if (size > 1 && below(4) == 0) {
    size_t at = below(size), length = 1 + below(size - at);
    memmove(bytes + at, bytes + at + length, size - at - length);
    size -= length;
  }
  return size;
}

static void replay(const char *path) {
  static uint8_t seed[INPUT_MOST], input[INPUT_MOST];
  FILE *file = fopen(path, "rb");
  if (!file) abort();
  size_t size = fread(seed, 1, sizeof seed, file);
  fclose(file);
  feed(seed, size);
  for (int i = 0; i < MUTATIONS; i++) {
    memcpy(input, seed, size);
    feed(input, mutate(input, size));
  }
}

int main(int count, char **paths) {
  for (int i = 1; i < count; i++) {
    replay(paths[i]);
    printf("ok %d - %s\n", i, paths[i]);
  }
  printf("1..%d\n", count - 1);
  return count > 1 ? 0 : 1;
}
