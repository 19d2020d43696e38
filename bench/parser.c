/*
 * parser.c - the event stream parser alone, on bytes in memory, against a loop that only looks for line ends.
 *
 *   parser SIZE CHUNK_BYTES SECONDS
 *
 * Feeds one block of events again and again, CHUNK_BYTES at a time (65536 is what curl hands over, 1448 is a network
 * packet), in turns with memchr() over the same block. One line of JSON comes out; what the parser found is compared
 * with what the block was made of, and a difference ends the program.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "sse.h"
#include "wire.h"

#define EVENT_BYTES_MAX (4u << 20) /* the module's default */

struct block {
  const char *bytes;
  size_t length, chunk_bytes;
  uint64_t events, data_bytes, lines;
};

/* What the sink saw. */
struct found {
  uint64_t events, data_bytes;
};

static void fail(const char *why) {
  fprintf(stderr, "parser: %s\n", why);
  exit(1);
}

static bool on_message(void *arg, const struct sync_sse_message *message) {
  struct found *found = arg;
  found->events++;
  found->data_bytes += message->data.length;
  return true;
}

static uint64_t count_lines(const struct block *block) {
  uint64_t lines = 0;
  const char *end = block->bytes + block->length, *newline;
  for (const char *at = block->bytes; (newline = memchr(at, '\n', (size_t)(end - at))) != NULL; at = newline + 1)
    lines++;
  return lines;
}

static void parse_block(struct sync_sse *sse, const struct block *block, const struct sync_sse_sink *sink) {
  for (size_t from = 0, taken; from < block->length; from += taken) {
    size_t length = block->length - from;
    if (length > block->chunk_bytes) length = block->chunk_bytes;
    if (sync_sse_feed(sse, block->bytes + from, length, sink, &taken) != SYNC_OK) fail("no memory");
  }
}

/* What the block holds, found without the parser. */
static uint64_t count_data_bytes(const struct block *block) {
  static const char mark[] = "\ndata: ";
  uint64_t bytes = 0;
  for (const char *at = block->bytes; (at = strstr(at, mark)) != NULL;) {
    at += sizeof mark - 1;
    bytes += strcspn(at, "\n");
  }
  return bytes;
}

static struct block make_block(struct bench_wire *wire, size_t chunk_bytes) {
  struct bench_account account = {0};
  struct block block = {.chunk_bytes = chunk_bytes};
  const char *bytes = bench_wire_render(wire, 1, bench_wire_capacity(wire), &account, &block.length);
  char *copy = malloc(block.length + 1);
  if (copy == NULL) fail("no memory");
  memcpy(copy, bytes, block.length);
  copy[block.length] = '\0';
  block.bytes = copy;
  block.events = account.events;
  block.data_bytes = count_data_bytes(&block);
  block.lines = count_lines(&block);
  return block;
}

static void measure(const struct block *block, double seconds) {
  struct sync_sse sse;
  struct found found = {0};
  const struct sync_sse_sink sink = {.message = on_message, .arg = &found};
  uint64_t passes = 0, lines = 0, parse_ns = 0, lines_ns = 0, began_ns = bench_clock_ns();
  sync_sse_init(&sse, &sync_alloc_standard, EVENT_BYTES_MAX);
  while ((double)(bench_clock_ns() - began_ns) < seconds * 1e9) {
    uint64_t first_ns = bench_clock_ns();
    parse_block(&sse, block, &sink);
    uint64_t second_ns = bench_clock_ns();
    lines += count_lines(block);
    lines_ns += bench_clock_ns() - second_ns;
    parse_ns += second_ns - first_ns;
    passes++;
  }
  sync_sse_fini(&sse);
  if (found.events != passes * block->events || found.data_bytes != passes * block->data_bytes)
    fail("it found other events than there are");
  if (lines != passes * block->lines) fail("the yardstick miscounted");
  printf("{\"events\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.6f,\"lines_seconds\":%.6f}\n", found.events,
         (uint64_t)(passes * block->length), (double)parse_ns / 1e9, (double)lines_ns / 1e9);
}

int main(int argc, char **argv) {
  if (argc != 4) fail("usage: parser SIZE CHUNK_BYTES SECONDS");
  struct bench_wire_shape shape = {.size_bytes = strtoull(argv[1], NULL, 10)};
  struct bench_wire *wire = bench_wire_new(&shape);
  if (wire == NULL) fail("SIZE is below 60");
  struct block block = make_block(wire, strtoull(argv[2], NULL, 10));
  if (block.chunk_bytes == 0) fail("CHUNK_BYTES is 0");
  bench_wire_free(wire);
  measure(&block, strtod(argv[3], NULL));
  free((void *)block.bytes);
  return 0;
}
