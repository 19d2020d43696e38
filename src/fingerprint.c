/* fingerprint.c - a JSON value as a number. Members of an object are added up, so that their order does not matter;
 * elements of an array are chained. */
#include "fingerprint.h"

#include <string.h>

#include "redact.h"
#include "span.h"

/* Where each kind of value starts from: "1" is not 1, and [] is not {}. */
#define SEED_STRING 0x9e3779b97f4a7c15u
#define SEED_NUMBER 0xc2b2ae3d27d4eb4fu
#define SEED_WORD   0x165667b19e3779f9u
#define SEED_OBJECT 0xd6e8feb86659fd93u
#define SEED_ARRAY  0xff51afd7ed558ccdu

/* An exponent beyond this is as good as any other: no number of such a size is meant. */
#define EXPONENT_MOST INT64_C(1000000000000000)

static uint64_t add_byte(uint64_t hash, char byte) {
  return (hash ^ (unsigned char)byte) * 0x100000001b3u; /* FNV-1a */
}

/* Every bit of the result depends on every bit of `hash`: sums of such numbers do not cancel out by rule. */
static uint64_t mix(uint64_t hash) {
  hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
  hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
  return hash ^ hash >> 31;
}

/* ---- scalars ----------------------------------------------------------------------------------------------------- */

/* Whether \uXXXX at `at` is a surrogate; `seconds` are the digits that may follow its D. */
static bool is_surrogate(const char *at, const char *seconds) {
  return at[0] == '\\' && at[1] == 'u' && (at[2] | 0x20) == 'd' && strchr(seconds, at[3]);
}

/* How long the escape sequence at `at` is; a surrogate pair is one. */
static size_t escape_length(const char *at, const char *end) {
  if (at[1] != 'u') return 2;
  return end - at >= 12 && is_surrogate(at, "89ABab") && is_surrogate(at + 6, "CDEFcdef") ? 12 : 6;
}

/* Of the text that the string stands for. */
static uint64_t hash_string(sync_span text) {
  uint64_t hash = SEED_STRING;
  const char *at = text.bytes, *end = at + text.length;
  while (at < end) {
    if (*at != '\\') {
      hash = add_byte(hash, *at++);
      continue;
    }
    char plain[12];
    size_t escape = escape_length(at, end), length = sync_json_unescape((sync_span){at, escape}, plain);
    for (size_t i = 0; i < length; i++) hash = add_byte(hash, plain[i]);
    at += escape;
  }
  return mix(hash);
}

/* The digits that count of a number that is being read: no zeros before the first, and those behind the last are only
 * remembered until another digit shows that they stand inside. */
struct digits {
  uint64_t hash;
  bool any;
  int64_t zeros;
  int64_t exponent; /* of the last digit that counts, but for the zeros */
};

static void add_digit(struct digits *digits, char digit) {
  if (digit == '0') {
    digits->zeros += digits->any;
    return;
  }
  for (; digits->zeros > 0; digits->zeros--) digits->hash = add_byte(digits->hash, '0');
  digits->hash = add_byte(digits->hash, digit);
  digits->any = true;
}

static int64_t read_exponent(const char *at, const char *end) {
  bool negative = *at == '-';
  int64_t exponent = 0;
  for (at += negative || *at == '+'; at < end; at++)
    if (exponent < EXPONENT_MOST) exponent = exponent * 10 + (*at - '0');
  return negative ? -exponent : exponent;
}

/* Of sign, digits that count, and the power of ten of the last of them. Zero has no sign. */
static uint64_t hash_number(sync_span text) {
  struct digits digits = {.hash = SEED_NUMBER};
  const char *at = text.bytes, *end = at + text.length;
  bool negative = *at == '-', behind_point = false;
  for (at += negative; at < end && (*at | 0x20) != 'e'; at++) {
    if (*at == '.') {
      behind_point = true;
      continue;
    }
    add_digit(&digits, *at);
    digits.exponent -= behind_point;
  }
  if (!digits.any) return mix(SEED_NUMBER);
  if (at < end) digits.exponent += read_exponent(at + 1, end);
  return mix(mix(digits.hash + negative) ^ (uint64_t)(digits.exponent + digits.zeros));
}

static uint64_t hash_scalar(const sync_json_token *token) {
  switch (token->kind) {
  case SYNC_JSON_STRING: return hash_string(token->text);
  case SYNC_JSON_NUMBER: return hash_number(token->text);
  default: return mix(SEED_WORD + (uint64_t)token->kind);
  }
}

/* ---- containers -------------------------------------------------------------------------------------------------- */

/* The containers that are open, outermost first; the first level is the top of the text. */
struct levels {
  unsigned depth;
  struct {
    bool object;
    uint64_t hash;
    uint64_t key; /* of the member that is being read */
  } list[SYNC_JSON_DEPTH_MAX + 1];
};

static void open_level(struct levels *levels, bool object) {
  levels->depth++;
  levels->list[levels->depth].object = object;
  levels->list[levels->depth].hash = object ? SEED_OBJECT : SEED_ARRAY;
}

/* A value is complete: its container takes it in. */
static void add_value(struct levels *levels, uint64_t value) {
  uint64_t *hash = &levels->list[levels->depth].hash;
  if (levels->list[levels->depth].object)
    *hash += mix(levels->list[levels->depth].key * 3 ^ value);
  else
    *hash = mix(*hash * 3 + value);
}

static uint64_t close_level(struct levels *levels) {
  return mix(levels->list[levels->depth--].hash);
}

/* Names whose values do not count, by their hashes. */
struct ignored {
  size_t count;
  uint64_t list[SYNC_REDACTED_NAMES_MAX];
};

static bool is_ignored(const struct ignored *ignored, uint64_t key) {
  for (size_t i = 0; i < ignored->count; i++)
    if (ignored->list[i] == key) return true;
  return false;
}

/* Steps over the value that comes next. */
static void skip_value(sync_json *json) {
  sync_json_token token;
  sync_json_kind kind = sync_json_next(json, &token);
  if (kind == SYNC_JSON_OBJECT || kind == SYNC_JSON_ARRAY) (void)sync_json_skip(json); /* the next token shows it */
}

static void read_key(struct levels *levels, sync_span name, const struct ignored *ignored, sync_json *json) {
  uint64_t key = hash_string(name);
  levels->list[levels->depth].key = key;
  if (!is_ignored(ignored, key)) return;
  skip_value(json);
  add_value(levels, SEED_WORD);
}

static uint64_t fingerprint(sync_span text, const struct ignored *ignored) {
  struct levels levels;
  sync_json json;
  sync_json_token token;
  sync_json_init(&json, text);
  levels.depth = 0;
  levels.list[0].object = false;
  levels.list[0].hash = 0;
  while (sync_json_next(&json, &token) != SYNC_JSON_END) {
    switch (token.kind) {
    case SYNC_JSON_INVALID: return 0;
    case SYNC_JSON_OBJECT:
    case SYNC_JSON_ARRAY: open_level(&levels, token.kind == SYNC_JSON_OBJECT); break;
    case SYNC_JSON_OBJECT_END:
    case SYNC_JSON_ARRAY_END: add_value(&levels, close_level(&levels)); break;
    case SYNC_JSON_KEY: read_key(&levels, token.text, ignored, &json); break;
    default: add_value(&levels, hash_scalar(&token));
    }
  }
  return levels.list[0].hash ? levels.list[0].hash : 1;
}

static const struct ignored nothing_ignored = {.count = 0};

uint64_t sync_json_fingerprint(sync_span text) {
  return fingerprint(text, &nothing_ignored);
}

bool sync_json_same(sync_span a, sync_span b) {
  if (sync_span_same(a, b)) return true;
  uint64_t fingerprint_a = sync_json_fingerprint(a);
  return fingerprint_a != 0 && fingerprint_a == sync_json_fingerprint(b);
}

/* ---- what was redacted ------------------------------------------------------------------------------------------- */

/* A string's text, between its quotes. */
static bool is_redacted(const sync_json_token *token) {
  static const char quoted[] = SYNC_REDACTED;
  return token->kind == SYNC_JSON_STRING && sync_span_same(token->text, (sync_span){quoted + 1, sizeof quoted - 3});
}

/* The names of the members that are redacted, wherever they stand. */
static void find_redacted(sync_span text, struct ignored *found) {
  sync_json json;
  sync_json_token token;
  sync_span name = {NULL, 0};
  found->count = 0;
  sync_json_init(&json, text);
  while (sync_json_next(&json, &token) != SYNC_JSON_END && token.kind != SYNC_JSON_INVALID) {
    if (token.kind == SYNC_JSON_KEY) {
      name = token.text;
    } else if (name.bytes && is_redacted(&token) && found->count < SYNC_REDACTED_NAMES_MAX) {
      uint64_t key = hash_string(name);
      if (!is_ignored(found, key)) found->list[found->count++] = key;
    }
    if (token.kind != SYNC_JSON_KEY) name.bytes = NULL;
  }
}

bool sync_json_same_redacted(sync_span redacted, sync_span whole) {
  static const char quoted[] = SYNC_REDACTED;
  struct ignored names;
  if (!memmem(redacted.bytes, redacted.length, quoted, sizeof quoted - 1)) return sync_json_same(redacted, whole);
  if (redacted.length == sizeof quoted - 1) return true;
  find_redacted(redacted, &names);
  uint64_t own = fingerprint(redacted, &names);
  return own != 0 && own == fingerprint(whole, &names);
}
