/*
 * redact_fuzz.c - any bytes redacted: a first line of names, parted by spaces, and a text behind it. Of what is JSON
 * the same tokens come out in the same order, but for the values of those names; of what is not, nothing; and what has
 * been redacted once stays as it is.
 */
#include <assert.h>
#include <string.h>

#include "json.h"
#include "redact.h"
#include "span.h"

#define NAMES_MOST      8u
#define NAME_BYTES_MOST 32u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct names {
  char text[NAMES_MOST][NAME_BYTES_MOST];
  const char *list[NAMES_MOST];
  size_t count;
};

/* Takes the names off the first line of `*text`. */
static void read_names(struct names *names, sync_span *text) {
  const char *line_end = text->length ? memchr(text->bytes, '\n', text->length) : NULL;
  if (!line_end) return;
  for (const char *at = text->bytes; at < line_end && names->count < NAMES_MOST; at++) {
    size_t length = 0;
    char *name = names->text[names->count];
    for (; at < line_end && *at != ' '; at++)
      if (length < NAME_BYTES_MOST - 1) name[length++] = *at;
    name[length] = '\0';
    names->list[names->count++] = name;
  }
  text->length -= (size_t)(line_end + 1 - text->bytes);
  text->bytes = line_end + 1;
}

static bool is_listed(const struct names *names, const sync_json_token *key, struct sync_buffer *room) {
  sync_span name = key->text;
  sync_buffer_clear(room);
  bool fits = sync_buffer_reserve(room, key->text.length + 1);
  assert(fits);
  if (key->escaped) name = (sync_span){room->bytes, sync_json_unescape(key->text, room->bytes)};
  for (size_t i = 0; i < names->count; i++)
    if (sync_span_is(name, names->list[i])) return true;
  return false;
}

/* The value of the key that both have read last: gone in the second text. */
static void check_gone(sync_json *json, sync_json *redacted) {
  sync_json_token token;
  sync_span value;
  sync_json_next(json, &token);
  bool whole = sync_json_value(json, &token, &value);
  assert(whole);
  sync_json_next(redacted, &token);
  whole = sync_json_value(redacted, &token, &value);
  assert(whole && sync_span_is(value, SYNC_REDACTED));
}

static void check_tokens(const struct names *names, sync_span text, sync_span out) {
  sync_json json, redacted;
  sync_json_token token, other;
  struct sync_buffer room;
  sync_buffer_init(&room, &sync_alloc_standard);
  sync_json_init(&json, text);
  sync_json_init(&redacted, out);
  do {
    sync_json_next(&json, &token);
    sync_json_next(&redacted, &other);
    assert(token.kind == other.kind && token.kind != SYNC_JSON_INVALID);
    assert(sync_span_same(token.text, other.text));
    if (token.kind == SYNC_JSON_KEY && is_listed(names, &token, &room)) check_gone(&json, &redacted);
  } while (token.kind != SYNC_JSON_END);
  sync_buffer_fini(&room);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  struct names names = {.count = 0};
  sync_span text = {(const char *)bytes, size};
  read_names(&names, &text);
  const struct sync_redact redact = {names.list, names.count};
  struct sync_buffer out, again;
  sync_buffer_init(&out, &sync_alloc_standard);
  sync_buffer_init(&again, &sync_alloc_standard);
  bool done = sync_redact_append(&redact, text, &out);
  assert(done);
  if (names.count == 0)
    assert(sync_span_same(sync_buffer_span(&out), text));
  else if (!sync_json_valid(text, NULL))
    assert(out.length == 0);
  else
    check_tokens(&names, text, sync_buffer_span(&out));
  done = sync_redact_append(&redact, sync_buffer_span(&out), &again);
  assert(done && sync_span_same(sync_buffer_span(&again), sync_buffer_span(&out)));
  sync_buffer_fini(&out);
  sync_buffer_fini(&again);
  return 0;
}
