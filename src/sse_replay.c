/*
 * sse_replay.c - the program build/sse-replay: the event stream parser between two pipes, for specs and for curiosity.
 *
 * Reads lines of {"chunks":[base64, ...],"seed":"initial last event ID"} from stdin and answers each with one line
 * {"events":[[type,data,id], ...],"retry":ms or null,"last":"last event ID"}, or {"error":"..."}. The chunks are fed
 * one by one; the stream ends behind the last. Not part of the library. The answer is written without cJSON, whose
 * strings end at a NUL.
 */
#define _POSIX_C_SOURCE 200809L /* getline */

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sse.h"

/* Vectors are small; the harness of the contract tests sends 10 MiB. */
#define MAX_EVENT_BYTES (64u * 1024 * 1024)

static const char NO_MEMORY[] = "out of memory";

struct replay {
  struct sync_sse sse;
  struct sync_buffer chunk; /* decoded */
  struct sync_buffer events;
  uint64_t retry_ms;
  bool retry_seen;
  bool event_too_large;
  bool no_memory;
};

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static void write_bytes(struct replay *replay, const char *bytes, size_t length) {
  if (!sync_buffer_append(&replay->events, (sync_span){bytes, length})) replay->no_memory = true;
}

static void write_text(struct replay *replay, const char *text) {
  write_bytes(replay, text, strlen(text));
}

/* How a byte stands in a JSON string; NULL: as itself. */
static const char *escape_of(char byte, char escape[7]) {
  unsigned char code = (unsigned char)byte;
  if (byte == '"') return "\\\"";
  if (byte == '\\') return "\\\\";
  if (code >= 0x20) return NULL;
  (void)snprintf(escape, 7, "\\u%04x", code);
  return escape;
}

static void write_string(struct replay *replay, sync_span text) {
  size_t plain = 0; /* where the bytes begin that are not written yet */
  write_text(replay, "\"");
  for (size_t i = 0; i < text.length; i++) {
    char space[7];
    const char *escape = escape_of(text.bytes[i], space);
    if (!escape) continue;
    write_bytes(replay, text.bytes + plain, i - plain);
    write_text(replay, escape);
    plain = i + 1;
  }
  write_bytes(replay, text.bytes + plain, text.length - plain);
  write_text(replay, "\"");
}

static void print_answer(struct replay *replay) {
  char retry[24] = "null";
  if (replay->retry_seen) (void)snprintf(retry, sizeof retry, "%" PRIu64, replay->retry_ms);
  write_text(replay, "],\"retry\":");
  write_text(replay, retry);
  write_text(replay, ",\"last\":");
  write_string(replay, sync_sse_last_id(&replay->sse));
  write_text(replay, "}");
  if (!replay->no_memory) (void)fwrite(replay->events.bytes, 1, replay->events.length, stdout);
}

/* ---- the sink ---------------------------------------------------------------------------------------------------- */

static bool on_message(void *arg, const struct sync_sse_message *message) {
  struct replay *replay = arg;
  if (replay->no_memory) return false;
  bool first = replay->events.bytes[replay->events.length - 1] == '['; /* of {"events":[ */
  write_text(replay, first ? "[" : ",[");
  write_string(replay, message->type);
  write_text(replay, ",");
  write_string(replay, message->data);
  write_text(replay, ",");
  write_string(replay, message->id);
  write_text(replay, "]");
  return true;
}

static void on_retry(void *arg, uint64_t retry_ms) {
  struct replay *replay = arg;
  replay->retry_ms = retry_ms;
  replay->retry_seen = true;
}

static void on_too_large(void *arg, sync_span id) {
  struct replay *replay = arg;
  (void)id;
  replay->event_too_large = true;
}

/* ---- the question ------------------------------------------------------------------------------------------------ */

static int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes padded base64 (RFC 4648, section 4) to `out`; NULL, or what is wrong. */
static const char *decode_base64(const char *text, struct sync_buffer *out) {
  size_t length = strlen(text);
  if (length % 4) return "base64: length is no multiple of 4";
  sync_buffer_clear(out);
  if (!sync_buffer_reserve(out, length / 4 * 3)) return NO_MEMORY;
  for (size_t i = 0; i < length; i += 4) {
    size_t digits = 4;
    while (i + 4 == length && digits > 2 && text[i + digits - 1] == '=') digits--;
    uint32_t bits = 0;
    for (size_t k = 0; k < 4; k++) {
      int digit = k < digits ? base64_digit(text[i + k]) : 0;
      if (digit < 0) return "base64: wrong character";
      bits = bits << 6 | (uint32_t)digit;
    }
    char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
    if (!sync_buffer_append(out, (sync_span){bytes, digits - 1})) return NO_MEMORY;
  }
  return NULL;
}

static const char *feed_chunk(struct replay *replay, const cJSON *chunk) {
  static const struct sync_sse_sink handlers = {.message = on_message, .retry = on_retry, .too_large = on_too_large};
  struct sync_sse_sink sink = handlers;
  sink.arg = replay;
  if (!cJSON_IsString(chunk)) return "chunks: an array of strings is wanted";
  const char *error = decode_base64(chunk->valuestring, &replay->chunk);
  if (error) return error;
  size_t consumed;
  sync_code code = sync_sse_feed(&replay->sse, replay->chunk.bytes, replay->chunk.length, &sink, &consumed);
  if (code != SYNC_OK || replay->no_memory) return NO_MEMORY;
  return replay->event_too_large ? "an event is too large" : NULL;
}

/* Runs the parser over a question; NULL, or what is wrong. */
static const char *run(struct replay *replay, const cJSON *question) {
  const cJSON *chunks = cJSON_GetObjectItemCaseSensitive(question, "chunks");
  const cJSON *seed = cJSON_GetObjectItemCaseSensitive(question, "seed");
  const cJSON *chunk;
  if (!cJSON_IsArray(chunks)) return "chunks: an array of strings is wanted";
  if (seed && !cJSON_IsString(seed)) return "seed: a string is wanted";
  if (seed) {
    sync_span id = {seed->valuestring, strlen(seed->valuestring)};
    if (sync_sse_restart(&replay->sse, id) != SYNC_OK) return NO_MEMORY;
  }
  write_text(replay, "{\"events\":[");
  cJSON_ArrayForEach(chunk, chunks) {
    const char *error = feed_chunk(replay, chunk);
    if (error) return error;
  }
  print_answer(replay);
  return replay->no_memory ? NO_MEMORY : NULL;
}

static void answer(const char *line) {
  struct replay replay = {.retry_seen = false};
  sync_sse_init(&replay.sse, &sync_alloc_standard, MAX_EVENT_BYTES);
  sync_buffer_init(&replay.chunk, &sync_alloc_standard);
  sync_buffer_init(&replay.events, &sync_alloc_standard);
  cJSON *question = cJSON_Parse(line);
  const char *error = question ? run(&replay, question) : "not JSON";
  if (error) printf("{\"error\":\"%s\"}", error);
  putchar('\n');
  fflush(stdout);
  cJSON_Delete(question);
  sync_buffer_fini(&replay.events);
  sync_buffer_fini(&replay.chunk);
  sync_sse_fini(&replay.sse);
}

int main(void) {
  char *line = NULL;
  size_t capacity = 0;
  while (getline(&line, &capacity, stdin) >= 0) answer(line);
  free(line);
  return ferror(stdin) || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
