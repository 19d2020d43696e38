/*
 * json_fuzz.c - libFuzzer target for the JSON reader: it against itself, and against cJSON.
 *
 * cJSON accepts more than RFC 8259 does (01, control characters in strings), so the two are compared one way: what the
 * reader accepts, cJSON accepts, and its tree holds the same keys, strings and numbers in the same order. Left out are
 * the few texts that cJSON does not take or cannot keep: see cjson_can_hold().
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "json.h"

/* cJSON copies a number into 64 bytes and refuses what does not fit. */
#define CJSON_NUMBER_MAX_BYTES 63u

static void check(bool condition) {
  if (!condition) abort();
}

/* The text a token stands for, in a block of just its size; the caller frees it. */
static char *unescaped(const sync_json_token *token, size_t *length) {
  char *text = malloc(token->text.length + !token->text.length);
  check(text);
  if (token->escaped)
    *length = sync_json_unescape(token->text, text);
  else
    memcpy(text, token->text.bytes, *length = token->text.length);
  check(*length <= token->text.length);
  return text;
}

/* ---- the reader against itself ----------------------------------------------------------------------------------- */

/* A wrong byte is wrong whatever follows it, and nothing before it is. */
static void check_offset(sync_span text, size_t wrong) {
  size_t at_byte = wrong;
  check(wrong <= text.length);
  check(sync_json_valid((sync_span){text.bytes, wrong}, &at_byte) || at_byte == wrong);
  if (wrong == text.length) return;
  check(!sync_json_valid((sync_span){text.bytes, wrong + 1}, &at_byte));
  check(at_byte == wrong);
}

/* Skipping the container that `json` has just entered leads where walking through it leads. */
static void check_skip(sync_json json) {
  sync_json skipper = json;
  bool skipped = sync_json_skip(&skipper);
  sync_json_token token = {.kind = SYNC_JSON_ARRAY};
  for (unsigned depth = 1; depth > 0 && token.kind != SYNC_JSON_INVALID;) {
    sync_json_next(&json, &token);
    depth += token.kind == SYNC_JSON_OBJECT || token.kind == SYNC_JSON_ARRAY;
    depth -= token.kind == SYNC_JSON_OBJECT_END || token.kind == SYNC_JSON_ARRAY_END;
  }
  check(skipped == (token.kind != SYNC_JSON_INVALID));
  check(sync_json_offset(&skipper) == sync_json_offset(&json));
}

/* sync_json_valid, sync_json_next and sync_json_skip agree; gives what they say. */
static bool check_readers(sync_span text) {
  size_t wrong = 0;
  bool valid = sync_json_valid(text, &wrong);
  sync_json json;
  sync_json_token token;
  sync_json_init(&json, text);
  while (sync_json_next(&json, &token) != SYNC_JSON_END && token.kind != SYNC_JSON_INVALID)
    if (token.kind == SYNC_JSON_OBJECT || token.kind == SYNC_JSON_ARRAY) check_skip(json);
  check(valid == (token.kind == SYNC_JSON_END));
  check(sync_json_offset(&json) == (valid ? text.length : wrong));
  check(sync_json_next(&json, &token) == (valid ? SYNC_JSON_END : SYNC_JSON_INVALID));
  if (!valid) check_offset(text, wrong);
  return valid;
}

/* ---- the reader against cJSON ------------------------------------------------------------------------------------ */

/* Not NUL in a string (its strings end there), not a lone surrogate (an error to it), not a number of many digits. A
 * U+FFFD may have been a lone surrogate: such a text is left out too. */
static bool cjson_can_hold(sync_span text) {
  bool can = true;
  sync_json json;
  sync_json_token token;
  sync_json_init(&json, text);
  while (can && sync_json_next(&json, &token) != SYNC_JSON_END) {
    if (token.kind == SYNC_JSON_NUMBER) can = token.text.length <= CJSON_NUMBER_MAX_BYTES;
    if (!token.escaped) continue;
    size_t length;
    char *plain = unescaped(&token, &length);
    for (size_t i = 0; i < length; i++)
      if (plain[i] == '\0' || (length - i >= 3 && memcmp(plain + i, "\xef\xbf\xbd", 3) == 0)) can = false;
    free(plain);
  }
  return can;
}

static void check_text(const sync_json_token *token, const char *expected) {
  size_t length;
  char *plain = unescaped(token, &length);
  check(length == strlen(expected) && memcmp(plain, expected, length) == 0);
  free(plain);
}

static void check_number(const sync_json_token *token, double expected) {
  char digits[CJSON_NUMBER_MAX_BYTES + 1] = "";
  memcpy(digits, token->text.bytes, token->text.length);
  double value = strtod(digits, NULL);
  check(memcmp(&value, &expected, sizeof value) == 0);
}

static sync_json_kind kind_of(const cJSON *item) {
  switch (item->type) {
  case cJSON_Object: return SYNC_JSON_OBJECT;
  case cJSON_Array: return SYNC_JSON_ARRAY;
  case cJSON_String: return SYNC_JSON_STRING;
  case cJSON_Number: return SYNC_JSON_NUMBER;
  case cJSON_True: return SYNC_JSON_TRUE;
  case cJSON_False: return SYNC_JSON_FALSE;
  case cJSON_NULL: return SYNC_JSON_NULL;
  default: return SYNC_JSON_INVALID;
  }
}

/* The next tokens are those of `item`. Recurses no deeper than the reader accepts. */
static void check_item(sync_json *json, const cJSON *item) {
  sync_json_token token;
  check(sync_json_next(json, &token) == kind_of(item) && token.kind != SYNC_JSON_INVALID);
  if (token.kind == SYNC_JSON_STRING) check_text(&token, item->valuestring);
  if (token.kind == SYNC_JSON_NUMBER) check_number(&token, item->valuedouble);
  if (token.kind != SYNC_JSON_OBJECT && token.kind != SYNC_JSON_ARRAY) return;
  bool object = token.kind == SYNC_JSON_OBJECT;
  for (const cJSON *child = item->child; child; child = child->next) {
    if (object) check(sync_json_next(json, &token) == SYNC_JSON_KEY);
    if (object) check_text(&token, child->string);
    check_item(json, child);
  }
  check(sync_json_next(json, &token) == (object ? SYNC_JSON_OBJECT_END : SYNC_JSON_ARRAY_END));
}

static void check_against_cjson(sync_span text) {
  const char *end = NULL;
  cJSON *tree = cJSON_ParseWithLengthOpts(text.bytes, text.length, &end, false);
  check(tree);
  check(sync_json_valid((sync_span){text.bytes, (size_t)(end - text.bytes)}, NULL));
  sync_json json;
  sync_json_token token;
  sync_json_init(&json, text);
  check_item(&json, tree);
  check(sync_json_next(&json, &token) == SYNC_JSON_END);
  cJSON_Delete(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  sync_span text = {(const char *)data, size};
  if (check_readers(text) && cjson_can_hold(text)) check_against_cjson(text);
  return 0;
}
