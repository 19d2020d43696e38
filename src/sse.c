/*
 * sse.c - the event stream parser.
 *
 * Three layers, top down: sync_sse_feed() cuts chunks into lines, take_line() tells what a line is, end_block() makes
 * a message of the lines before a blank one. What keeps it fast: a line that lies whole in the chunk is parsed where it
 * lies, and `data` and `type` are spans into the chunk; only what a chunk leaves behind (half a line, half a block) is
 * copied. What keeps it linear: bytes that were carried over are never searched again.
 *
 * Limits and splits: whether a message is too large depends on its bytes alone, never on how they were cut, because
 * half a line is measured by the same rule (admit_line) as a whole one.
 */
#include "sse.h"

#include <string.h>

#include "utf8.h"

static const sync_span BOM = {"\xEF\xBB\xBF", 3};
static const sync_span LF = {"\n", 1};
static const sync_span DEFAULT_TYPE = {"message", 7};

/* As many bytes of a line as tell its field for certain: a BOM and "event:". */
#define NAME_BYTES 9u

/* Buffers above this are given back at the end of a block: one huge message must not be paid for ever after. */
#define SPARE_BYTES 65536u

enum field {
  FIELD_UNKNOWN,
  FIELD_COMMENT,
  FIELD_DATA,
  FIELD_EVENT,
  FIELD_ID,
  FIELD_RETRY,
};

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static void forget_block(struct sync_sse *sse) {
  sse->data.value = (sync_span){NULL, 0};
  sse->type.value = (sync_span){NULL, 0};
  sse->has_data = false;
  sse->has_id = false;
  sse->skip_block = false;
}

static void give_back(struct sync_buffer *buffer) {
  if (buffer->capacity > SPARE_BYTES) sync_buffer_fini(buffer);
}

static void give_back_memory(struct sync_sse *sse) {
  give_back(&sse->line);
  give_back(&sse->data.kept);
  give_back(&sse->type.kept);
  give_back(&sse->repaired_data);
  give_back(&sse->repaired_type);
  give_back(&sse->next_id);
}

/* Moves a value out of the chunk, which is about to go. */
static bool keep_text(struct sync_sse_text *text) {
  if (text->value.bytes == text->kept.bytes) return true;
  sync_buffer_clear(&text->kept);
  if (!sync_buffer_append(&text->kept, text->value)) return false;
  text->value = sync_buffer_span(&text->kept);
  return true;
}

/* Makes `text` well-formed and its pointer not NULL: sinks may hand it to memcpy. */
static bool repair_text(sync_span *text, struct sync_buffer *repaired) {
  if (text->length == 0) {
    text->bytes = "";
    return true;
  }
  if (sync_utf8_valid(*text)) return true;
  sync_buffer_clear(repaired);
  if (!sync_utf8_append(repaired, *text)) return false;
  *text = sync_buffer_span(repaired);
  return true;
}

/* The block's id takes effect, which cannot fail; what it was before is left in `next_id`, of no more use. */
static void commit_id(struct sync_sse *sse) {
  struct sync_buffer old = sse->last_id;
  sse->last_id = sse->next_id;
  sse->next_id = old;
}

/* A blank line. The id is committed after all that can fail: it must never be ahead of what the sink was told. */
static sync_code end_block(struct sync_sse *sse, const struct sync_sse_sink *sink, bool *go_on) {
  struct sync_sse_message message = {.type = sse->type.value, .data = sse->data.value};
  if (message.type.length == 0) message.type = DEFAULT_TYPE;
  if (sse->has_data) {
    if (!repair_text(&message.data, &sse->repaired_data)) return SYNC_NO_MEMORY;
    if (!repair_text(&message.type, &sse->repaired_type)) return SYNC_NO_MEMORY;
  }
  if (sse->has_id) commit_id(sse);
  if (sse->has_data && sink->message) {
    message.id = sync_sse_last_id(sse);
    message.has_id = sse->has_id && message.id.length > 0;
    *go_on = sink->message(sink->arg, &message);
  } else if (!sse->has_data && sse->has_id && sse->last_id.length > 0 && sink->moved) {
    *go_on = sink->moved(sink->arg, sync_sse_last_id(sse));
  }
  forget_block(sse);
  give_back_memory(sse);
  return SYNC_OK;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static inline bool begins_with(sync_span text, sync_span start) {
  return text.length >= start.length && memcmp(text.bytes, start.bytes, start.length) == 0;
}

static sync_span behind(sync_span text, size_t length) {
  return (sync_span){text.bytes + length, text.length - length};
}

/* Whether the field name of `line` is `name`; gives the value. Inline, so that a constant name costs one comparison. */
static inline bool name_is(sync_span line, sync_span name, sync_span *value) {
  if (!begins_with(line, name)) return false;
  *value = behind(line, name.length);
  if (value->length == 0) return true;
  if (value->bytes[0] != ':') return false;
  *value = behind(*value, value->length > 1 && value->bytes[1] == ' ' ? 2 : 1);
  return true;
}

/* What a line is, and its value. Right for the first NAME_BYTES or more of an unfinished line too. */
static enum field field_of(sync_span line, sync_span *value) {
  switch (line.bytes[0]) {
  case 'd': return name_is(line, (sync_span){"data", 4}, value) ? FIELD_DATA : FIELD_UNKNOWN;
  case 'e': return name_is(line, (sync_span){"event", 5}, value) ? FIELD_EVENT : FIELD_UNKNOWN;
  case 'i': return name_is(line, (sync_span){"id", 2}, value) ? FIELD_ID : FIELD_UNKNOWN;
  case 'r': return name_is(line, (sync_span){"retry", 5}, value) ? FIELD_RETRY : FIELD_UNKNOWN;
  case ':': *value = behind(line, 1); return FIELD_COMMENT;
  default: return FIELD_UNKNOWN;
  }
}

static void skip_message(struct sync_sse *sse, const struct sync_sse_sink *sink) {
  sse->skip_block = true;
  sse->has_data = false;
  sse->data.value = (sync_span){NULL, 0};
  sse->type.value = (sync_span){NULL, 0};
  if (sink->too_large) sink->too_large(sink->arg, sync_sse_last_id(sse));
}

/* Whether a line with a value of `length` bytes (so far) is wanted and within the limit. An `id` or `retry` is measured
 * alone: it takes effect even if its message is too large. */
static inline bool admit_line(struct sync_sse *sse, const struct sync_sse_sink *sink, enum field field, size_t length) {
  size_t before = 0;
  switch (field) {
  case FIELD_UNKNOWN: return false;
  case FIELD_COMMENT: return sink->comment && length <= sse->max_event_bytes;
  case FIELD_DATA: before = sse->type.value.length + sse->data.value.length + (sse->has_data ? LF.length : 0); break;
  case FIELD_EVENT: before = sse->data.value.length; break;
  case FIELD_ID:
  case FIELD_RETRY: break;
  }
  if (sse->skip_block && (field == FIELD_DATA || field == FIELD_EVENT)) return false;
  if (before <= sse->max_event_bytes && length <= sse->max_event_bytes - before) return true;
  if (!sse->skip_block) skip_message(sse, sink);
  return false;
}

/* The first data line stays where it is; more of them are joined in a buffer. */
static sync_code take_data(struct sync_sse *sse, sync_span value) {
  if (!sse->has_data) {
    sse->data.value = value;
    sse->has_data = true;
    return SYNC_OK;
  }
  if (!keep_text(&sse->data)) return SYNC_NO_MEMORY;
  struct sync_buffer *kept = &sse->data.kept;
  if (!sync_buffer_append(kept, LF) || !sync_buffer_append(kept, value)) return SYNC_NO_MEMORY;
  sse->data.value = sync_buffer_span(kept);
  return SYNC_OK;
}

/* An id with a NUL is as if it were not there, so the standard: one before it stays. */
static sync_code take_id(struct sync_sse *sse, sync_span value) {
  if (memchr(value.bytes, '\0', value.length)) return SYNC_OK;
  sync_buffer_clear(&sse->next_id);
  if (!sync_utf8_append(&sse->next_id, value)) return SYNC_NO_MEMORY;
  sse->has_id = true;
  return SYNC_OK;
}

static void take_retry(const struct sync_sse_sink *sink, sync_span value) {
  uint64_t retry_ms = 0;
  if (value.length == 0 || !sink->retry) return;
  for (size_t i = 0; i < value.length; i++) {
    if (value.bytes[i] < '0' || value.bytes[i] > '9') return;
    retry_ms = retry_ms * 10 + (uint64_t)(value.bytes[i] - '0');
    if (retry_ms > SYNC_SSE_RETRY_MAX_MS) retry_ms = SYNC_SSE_RETRY_MAX_MS;
  }
  sink->retry(sink->arg, retry_ms);
}

static sync_code take_comment(struct sync_sse *sse, const struct sync_sse_sink *sink, sync_span text, bool *go_on) {
  if (!repair_text(&text, &sse->repaired_data)) return SYNC_NO_MEMORY;
  *go_on = sink->comment(sink->arg, text);
  return SYNC_OK;
}

/* A line without its terminator and, if it is the stream's first, without its BOM. */
static sync_code take_line(struct sync_sse *sse, const struct sync_sse_sink *sink, sync_span line, bool *go_on) {
  if (line.length == 0) return end_block(sse, sink, go_on);
  sync_span value = {NULL, 0};
  enum field field = field_of(line, &value);
  if (!admit_line(sse, sink, field, value.length)) return SYNC_OK;
  switch (field) {
  case FIELD_DATA: return take_data(sse, value);
  case FIELD_EVENT: sse->type.value = value; return SYNC_OK;
  case FIELD_ID: return take_id(sse, value);
  case FIELD_RETRY: take_retry(sink, value); return SYNC_OK;
  case FIELD_COMMENT: return take_comment(sse, sink, value, go_on);
  case FIELD_UNKNOWN: break;
  }
  return SYNC_OK;
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

/* Which byte in memory the first set bit of a half of a block is in. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FIRST_BYTE(bits) (__builtin_ctzll(bits) / 8)
#else
#define FIRST_BYTE(bits) (__builtin_clzll(bits) / 8)
#endif

/* 16 bytes at once, in the vector types of GCC and Clang. One look for both terminators keeps the search linear for any
 * mix of them; with two memchr() the one for the terminator that a stream does not use runs on to the chunk's end. */
typedef uint8_t block __attribute__((vector_size(16)));
typedef uint64_t block_halves __attribute__((vector_size(16)));

/* The first LF or CR, or `end`. */
static const char *line_end(const char *at, const char *end) {
  for (; end - at >= (ptrdiff_t)sizeof(block); at += sizeof(block)) {
    block bytes;
    memcpy(&bytes, at, sizeof bytes);
    block_halves found = (block_halves)((bytes == '\n') | (bytes == '\r'));
    if (found[0]) return at + FIRST_BYTE(found[0]);
    if (found[1]) return at + sizeof(block) / 2 + FIRST_BYTE(found[1]);
  }
  while (at < end && *at != '\n' && *at != '\r') at++;
  return at;
}

/* Behind the terminator at `at`. A CR at the chunk's end counts at once: an LF that follows later is passed over. */
static const char *skip_terminator(struct sync_sse *sse, const char *at, const char *end) {
  if (*at++ == '\n') return at;
  if (at == end) {
    sse->after_cr = true;
    return at;
  }
  return *at == '\n' ? at + 1 : at;
}

static sync_span without_bom(const struct sync_sse *sse, sync_span line) {
  return sse->first_line && begins_with(line, BOM) ? behind(line, BOM.length) : line;
}

/* Adds a piece to the unfinished line, or nothing once it is known that the line is not wanted. The first bytes are
 * added in any case: without the field's name nothing is known. */
static sync_code carry_line(struct sync_sse *sse, const struct sync_sse_sink *sink, sync_span piece) {
  if (sse->skip_line) return SYNC_OK;
  size_t head = sse->line.length < NAME_BYTES ? NAME_BYTES - sse->line.length : 0;
  if (head > piece.length) head = piece.length;
  if (!sync_buffer_append(&sse->line, (sync_span){piece.bytes, head})) return SYNC_NO_MEMORY;
  if (sse->line.length < NAME_BYTES) return SYNC_OK;
  piece = behind(piece, head);
  sync_span value = {NULL, 0};
  enum field field = field_of(without_bom(sse, sync_buffer_span(&sse->line)), &value);
  if (!admit_line(sse, sink, field, value.length + piece.length)) {
    sse->skip_line = true;
    sync_buffer_clear(&sse->line);
    return SYNC_OK;
  }
  return sync_buffer_append(&sse->line, piece) ? SYNC_OK : SYNC_NO_MEMORY;
}

/* The last piece of a line. */
static sync_code end_line(struct sync_sse *sse, const struct sync_sse_sink *sink, sync_span piece, bool *go_on) {
  sync_span line = piece;
  bool skipped = sse->skip_line;
  if (sse->line.length > 0 && !skipped) {
    sync_code code = carry_line(sse, sink, piece);
    if (code != SYNC_OK) return code;
    skipped = sse->skip_line;
    line = sync_buffer_span(&sse->line);
    sync_buffer_clear(&sse->line); /* its bytes stay until the next carry_line: until the block was kept or ended */
  }
  sse->skip_line = false;
  line = without_bom(sse, line);
  sse->first_line = false;
  return skipped ? SYNC_OK : take_line(sse, sink, line, go_on);
}

/* ---- interface --------------------------------------------------------------------------------------------------- */

void sync_sse_init(struct sync_sse *sse, const sync_allocator *alloc, size_t max_event_bytes) {
  *sse = (struct sync_sse){.max_event_bytes = max_event_bytes, .first_line = true};
  sync_buffer_init(&sse->line, alloc);
  sync_buffer_init(&sse->data.kept, alloc);
  sync_buffer_init(&sse->type.kept, alloc);
  sync_buffer_init(&sse->repaired_data, alloc);
  sync_buffer_init(&sse->repaired_type, alloc);
  sync_buffer_init(&sse->next_id, alloc);
  sync_buffer_init(&sse->last_id, alloc);
}

void sync_sse_fini(struct sync_sse *sse) {
  sync_buffer_fini(&sse->line);
  sync_buffer_fini(&sse->data.kept);
  sync_buffer_fini(&sse->type.kept);
  sync_buffer_fini(&sse->repaired_data);
  sync_buffer_fini(&sse->repaired_type);
  sync_buffer_fini(&sse->next_id);
  sync_buffer_fini(&sse->last_id);
}

sync_code sync_sse_restart(struct sync_sse *sse, sync_span last_id) {
  sync_buffer_clear(&sse->next_id);
  if (!sync_buffer_append(&sse->next_id, last_id)) return SYNC_NO_MEMORY;
  commit_id(sse);
  forget_block(sse);
  sync_buffer_clear(&sse->line);
  give_back_memory(sse);
  sse->first_line = true;
  sse->after_cr = false;
  sse->skip_line = false;
  return SYNC_OK;
}

sync_code sync_sse_feed(struct sync_sse *sse, const char *bytes, size_t length, const struct sync_sse_sink *sink,
                        size_t *consumed) {
  *consumed = 0;
  if (length == 0) return SYNC_OK;
  const char *at = bytes;
  const char *end = bytes + length;
  if (sse->after_cr && *at == '\n') at++;
  sse->after_cr = false;
  bool go_on = true;
  const char *stop;
  while (go_on && (stop = line_end(at, end)) != end) {
    sync_span piece = {at, (size_t)(stop - at)};
    at = skip_terminator(sse, stop, end);
    sync_code code = end_line(sse, sink, piece, &go_on);
    if (code != SYNC_OK) return code;
  }
  if (!keep_text(&sse->data) || !keep_text(&sse->type)) return SYNC_NO_MEMORY;
  if (go_on && at < end) {
    sync_code code = carry_line(sse, sink, (sync_span){at, (size_t)(end - at)});
    if (code != SYNC_OK) return code;
    at = end;
  }
  *consumed = (size_t)(at - bytes);
  return SYNC_OK;
}

sync_span sync_sse_last_id(const struct sync_sse *sse) {
  return sse->last_id.length ? sync_buffer_span(&sse->last_id) : (sync_span){"", 0};
}
