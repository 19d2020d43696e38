/*
 * redact.c - JSON without some values: one walk over the tokens; what is between the values that go is copied as it
 * stands, white space and all.
 */
#include "redact.h"

#include "json.h"
#include "span.h"

/* Whether a member of this key is to go. The key without its escapes is written behind what `out` has, where there
 * must be room for it soon anyway. false in `*done`: no memory. */
static bool is_named(const struct sync_redact *redact, const sync_json_token *key, struct sync_buffer *out,
                     bool *done) {
  sync_span name = key->text;
  *done = !key->escaped || sync_buffer_reserve(out, name.length);
  if (!*done) return false;
  if (key->escaped) {
    char *plain = out->bytes + out->length;
    name = (sync_span){plain, sync_json_unescape(name, plain)};
  }
  for (size_t i = 0; i < redact->count; i++)
    if (sync_span_is(name, redact->names[i])) return true;
  return false;
}

/* Appends what stands from `*from` to the value whose key has been read, and, in place of the value, that it is gone;
 * `*from` moves behind it. A value that is broken is left for the reader to find. */
static bool replace_value(sync_json *json, const char **from, struct sync_buffer *out) {
  sync_json_token token;
  sync_span value;
  sync_json_next(json, &token);
  if (!sync_json_value(json, &token, &value)) return true;
  sync_span before = {*from, (size_t)(value.bytes - *from)};
  *from = value.bytes + value.length;
  return sync_buffer_append(out, before) && sync_buffer_append(out, sync_span_of(SYNC_REDACTED));
}

/* Walks to the end, or to where the text is broken, which `*whole` tells. false: no memory. */
static bool copy_without(const struct sync_redact *redact, sync_span text, struct sync_buffer *out, bool *whole) {
  sync_json json;
  sync_json_token token;
  const char *from = text.bytes;
  sync_json_init(&json, text);
  while (sync_json_next(&json, &token) != SYNC_JSON_END && token.kind != SYNC_JSON_INVALID) {
    bool done = true;
    if (token.kind == SYNC_JSON_KEY && is_named(redact, &token, out, &done)) done = replace_value(&json, &from, out);
    if (!done) return false;
  }
  *whole = token.kind == SYNC_JSON_END;
  return !*whole || sync_buffer_append(out, (sync_span){from, (size_t)(text.bytes + text.length - from)});
}

bool sync_redact_append(const struct sync_redact *redact, sync_span json, struct sync_buffer *out) {
  if (redact->count == 0) return sync_buffer_append(out, json);
  size_t length = out->length;
  bool whole = false;
  bool done = copy_without(redact, json, out, &whole);
  if (!done || !whole) out->length = length;
  return done;
}
