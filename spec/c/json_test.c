/*
 * json_test.c - the JSON reader against RFC 8259. Every text lies right before a page that cannot be read, so that a
 * read beyond its end kills the test. Compiled a second time with -DSYNC_JSON_PORTABLE it tests the reader without
 * SSE2.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "json.h"

#define ARENA_BYTES    65536u
#define COUNT_OF(list) (sizeof(list) / sizeof *(list))

/* ---- the texts' place -------------------------------------------------------------------------------------------- */

static char *arena;

static int map_arena(void **state) {
  (void)state;
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  arena = mmap(NULL, ARENA_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return arena == MAP_FAILED ? -1 : mprotect(arena + ARENA_BYTES, page, PROT_NONE);
}

static int unmap_arena(void **state) {
  (void)state;
  return munmap(arena, ARENA_BYTES + (size_t)sysconf(_SC_PAGESIZE));
}

/* The text, moved to the end of the arena. */
static sync_span place(const void *bytes, size_t length) {
  assert_true(length <= ARENA_BYTES);
  return (sync_span){memmove(arena + ARENA_BYTES - length, bytes, length), length};
}

static sync_span place_text(const char *text) {
  return place(text, strlen(text));
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Whether `text` is JSON, and where not: what sync_json_valid says, once all tokens have been seen to agree with it. */
static bool reads(sync_span text, size_t *at_byte) {
  *at_byte = SIZE_MAX;
  bool valid = sync_json_valid(text, at_byte);
  sync_json json;
  sync_json_token token;
  sync_json_init(&json, text);
  while (sync_json_next(&json, &token) != SYNC_JSON_END && token.kind != SYNC_JSON_INVALID) continue;
  assert_int_equal(token.kind, valid ? SYNC_JSON_END : SYNC_JSON_INVALID);
  assert_int_equal(sync_json_offset(&json), valid ? text.length : *at_byte);
  assert_int_equal(sync_json_next(&json, &token), valid ? SYNC_JSON_END : SYNC_JSON_INVALID);
  assert_int_equal(sync_json_offset(&json), valid ? text.length : *at_byte);
  return valid;
}

static void expect_valid(sync_span text) {
  size_t at_byte;
  if (!reads(text, &at_byte)) fail_msg("refused at byte %zu: %.*s", at_byte, (int)text.length, text.bytes);
  assert_true(at_byte == SIZE_MAX);
}

static void expect_invalid(sync_span text, size_t where) {
  size_t at_byte;
  if (reads(text, &at_byte)) fail_msg("accepted: %.*s", (int)text.length, text.bytes);
  if (at_byte != where) fail_msg("wrong at %zu, not %zu: %.*s", where, at_byte, (int)text.length, text.bytes);
}

/* The tokens of `text`, one short word each: {  }  [  ]  k:key  s:string  n:number  true  false  null; a key or string
 * with a backslash has a capital letter. */
static const char *tokens_of(sync_span text) {
  static const char *const words[] = {"END", "{", "}", "[", "]", "k:", "s:", "n:", "", "", "", "INVALID"};
  static char list[1024];
  size_t length = 0;
  sync_json json;
  sync_json_token token;
  sync_json_init(&json, text);
  do {
    const char *word = words[sync_json_next(&json, &token)];
    bool text_follows = token.kind >= SYNC_JSON_KEY && token.kind <= SYNC_JSON_NULL;
    if (token.escaped) word = token.kind == SYNC_JSON_KEY ? "K:" : "S:";
    length += (size_t)snprintf(list + length, sizeof list - length, "%s%s%.*s", length ? " " : "", word,
                               text_follows ? (int)token.text.length : 0, text_follows ? token.text.bytes : "");
    assert_true(length < sizeof list);
  } while (token.kind != SYNC_JSON_END && token.kind != SYNC_JSON_INVALID);
  return list;
}

/* ---- what is JSON ------------------------------------------------------------------------------------------------ */

/* Rows by subject, which the formatter would take apart. */
/* clang-format off */
static const char *const valid_texts[] = {
    /* words */
    "null", "true", "false",
    /* numbers */
    "0", "-0", "-1", "7", "1234567890123456789012345678901234567890", "0.5", "-0.0", "10.01", "0e0", "0E+1", "1e5",
    "1E5", "1e+05", "1e-05", "-1.25E-300", "1e999",
    /* strings */
    "\"\"", "\"a\"", "\" \"", "\"\x7f\"", "\"\\\"\"", "\"\\\\\"", "\"\\/\\b\\f\\n\\r\\t\"", "\"\\u0000\"",
    "\"\\u00e9\\uABCD\\uabcd\\uFfFf\"", "\"\\uD83D\\uDE00\"", "\"\\uD800\"", "\"\\uDC00\\uD800\"", "\"\\\\u12\"",
    "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"", "\"\xff\x80\"", "\"/* no comment */ // none\"",
    "\"a string that is longer than the sixteen bytes which are looked at together\"",
    /* containers and white space */
    "[]", "{}", " \t\r\n[ \t\r\n] \t\r\n", " { } ", "[null]", "[1,2 , 3\n,\t4]", "[[],[[]],{}]",
    "[\"a\",true,false,null,-1.5e3,{}]", "{\"a\":1}", "{ \"a\" : 1 , \"b\" : [ ] }", "{\"\":0}", "{\"a\":1,\"a\":2}",
    "{\"a\\u0062\\n\":{\"b\":{\"c\":[{}]}}}", "{\"a\":\"}\",\"b\":\"]\",\"c\":\"[{\",\"d\":\",:\"}",
    "{\"eventType\":\"stage_change\",\"data\":{\"total\":12.5,\"items\":[{\"sku\":\"A1\",\"qty\":1}]}}",
};
/* clang-format on */

static void test_valid(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(valid_texts); i++) expect_valid(place_text(valid_texts[i]));
}

/* Texts, each with the offset of its first wrong byte. */
/* clang-format off */
static const struct {
  const char *text;
  size_t where;
} invalid_texts[] = {
    /* nothing, and what is not white space */
    {"", 0}, {" ", 1}, {"\xef\xbb\xbf{}", 0}, {"\v1", 0}, {"\f1", 0}, {"\xc2\xa0 1", 0}, {"1\v", 1},
    /* words */
    {"nul", 3}, {"nulL", 3}, {"Null", 0}, {"truee", 4}, {"true false", 5}, {"fals\"", 4}, {"falsy", 4},
    {"undefined", 0}, {"NaN", 0}, {"-NaN", 1}, {"Infinity", 0}, {"-Infinity", 1},
    /* numbers */
    {"+1", 0}, {"-", 1}, {"--1", 1}, {"- 1", 1}, {"01", 1}, {"-01", 2}, {"00", 1}, {"0x10", 1}, {"1.", 2},
    {"1.e5", 2}, {".5", 0}, {"-.5", 1}, {"1..5", 2}, {"1.5.5", 3}, {"1e", 2}, {"1e+", 3}, {"1e+-1", 3}, {"1e1.5", 3},
    {"1 2", 2}, {"1_000", 1}, {"1,", 1}, {"\xef\xbc\x91", 0},
    /* strings */
    {"\"", 1}, {"\"a", 2}, {"'a'", 0}, {"a", 0}, {"\"a\"b", 3}, {"\"a\"\"b\"", 3}, {"\"\n\"", 1}, {"\"a\tb\"", 2},
    {"\"\x1f\"", 1}, {"\"\\", 2}, {"\"\\\"", 3}, {"\"\\a\"", 2}, {"\"\\x41\"", 2}, {"\"\\'\"", 2}, {"\"\\0\"", 2},
    {"\"\\U0041\"", 2}, {"\"\\\n\"", 2}, {"\"\\\xc3\xa9\"", 2}, {"\"\\u\"", 3}, {"\"\\u123\"", 6}, {"\"\\u12g4\"", 5},
    {"\"\\u 123\"", 3}, {"\"\\u+123\"", 3}, {"\"\\uD800\\u\"", 9}, {"\"\\uD800\\x\"", 8},
    /* arrays */
    {"[", 1}, {"]", 0}, {"[1", 2}, {"[1,", 3}, {"[1,]", 3}, {"[,1]", 1}, {"[1,,2]", 3}, {"[1 2]", 3}, {"[1:2]", 2},
    {"[1}", 2}, {"[}", 1}, {"[]]", 2}, {"[],", 2}, {"[[1]", 4}, {"[\"a\":1]", 4}, {"[1/**/]", 2}, {"[1]//", 3},
    /* objects */
    {"{", 1}, {"}", 0}, {"{]", 1}, {"{,}", 1}, {"{1:2}", 1}, {"{null:1}", 1}, {"{a:1}", 1}, {"{'a':1}", 1},
    {"{[]:1}", 1}, {"{\"a\"}", 4}, {"{\"a\":}", 5}, {"{\"a\":]", 5}, {"{\"a\"::1}", 5}, {"{\"a\",1}", 4},
    {"{\"a\" 1}", 5}, {"{\"a\"=1}", 4}, {"{\"a\":1,}", 7}, {"{\"a\":1,,\"b\":2}", 7}, {"{\"a\":1 \"b\":2}", 7},
    {"{\"a\":1;\"b\":2}", 6}, {"{\"a\":1]", 6}, {"{\"a\":1", 6}, {"{\"a\":1,1}", 7}, {"{\"a\":1,[]}", 7},
    {"{\"a\\q\":1}", 4}, {"{\"a\n\":1}", 3}, {"{} {}", 3}, {"{}}", 2}, {"{\"a\":[{\"b\":1}}", 13},
};
/* clang-format on */

static void test_invalid(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(invalid_texts); i++)
    expect_invalid(place_text(invalid_texts[i].text), invalid_texts[i].where);
}

static void test_nothing_and_nul(void **state) {
  (void)state;
  expect_invalid((sync_span){NULL, 0}, 0);
  assert_false(sync_json_valid((sync_span){NULL, 0}, NULL));
  assert_true(sync_json_valid(place_text("1"), NULL));
  expect_invalid(place("\0", 1), 0);
  expect_invalid(place("1\0", 2), 1);
  expect_invalid(place("[\0]", 3), 1);
  expect_invalid(place("[1\0]", 4), 2);
  expect_invalid(place("{\0}", 3), 1);
  expect_invalid(place("{\"a\"\0:1}", 8), 4);
  expect_invalid(place("\"a\0b\"", 5), 2);
  expect_invalid(place("\"\\\0\"", 4), 2);
  expect_invalid(place("\"\\u\0\"", 5), 3);
}

/* ---- offsets ----------------------------------------------------------------------------------------------------- */

/* Every construct, with every kind of break between two tokens; it starts and ends with a bracket, so that none of its
 * prefixes is a value. */
static const char sampler[] =
    "{ \"key\\n\" : [ 0, -12.50e+07 ,true,false , null ], \"\\u00e9\\\\ long enough to be read in "
    "blocks \xe2\x82\xac\":\"\",\n\"o\":{\"p\":{},\"q\":[[],[ ]],\"r\":\"\\uD83D\\uDE00\"}\t}";

static void test_every_prefix_ends_too_early(void **state) {
  (void)state;
  expect_valid(place_text(sampler));
  for (size_t length = 0; length < strlen(sampler); length++) expect_invalid(place(sampler, length), length);
}

static void test_every_byte_can_be_the_wrong_one(void **state) {
  (void)state;
  for (size_t where = 0; where < strlen(sampler); where++) {
    sync_span text = place_text(sampler);
    arena[ARENA_BYTES - text.length + where] = '\x01';
    expect_invalid(text, where);
  }
}

/* Any byte at any place of strings around one, two and three blocks long. */
static void test_every_byte_in_strings(void **state) {
  (void)state;
  for (size_t length = 1; length < 52; length++) {
    for (size_t where = 1; where <= length; where++) {
      char string[64];
      memset(string, 'x', sizeof string);
      string[0] = string[length + 1] = '"';
      for (int byte = 0; byte < 256; byte++) {
        string[where] = (char)byte;
        sync_span text = place(string, length + 2);
        if (byte == '"' || byte == '\\')
          expect_invalid(text, byte == '\\' && where == length ? length + 2 : where + 1);
        else if (byte < 0x20)
          expect_invalid(text, where);
        else
          expect_valid(text);
      }
    }
  }
}

/* ---- depth ------------------------------------------------------------------------------------------------------- */

/* `depth` containers in each other, an object where the pattern has a 1 bit; `end` takes the last closing bracket's
 * place when it is not '\0'. */
static sync_span nested(unsigned depth, uint64_t pattern, char end) {
  static char text[8 * (SYNC_JSON_DEPTH_MAX + 1)];
  size_t length = 0;
  for (unsigned i = 0; i < depth; i++) {
    const char *open = pattern >> i % 61 & 1 ? "{\"k\":" : "[";
    memcpy(text + length, open, strlen(open));
    length += strlen(open);
  }
  text[length++] = '0';
  for (unsigned i = depth; i-- > 0;) text[length++] = pattern >> i % 61 & 1 ? '}' : ']';
  if (end) text[length - 1] = end;
  return place(text, length);
}

static const uint64_t patterns[] = {0, UINT64_MAX, 0x5555555555555555, 0x123456789abcdef1, 0xf0e1d2c3b4a59687};

static void test_depth_is_limited(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(patterns); i++) {
    for (unsigned depth = 1; depth <= SYNC_JSON_DEPTH_MAX; depth++) expect_valid(nested(depth, patterns[i], '\0'));
    size_t deepest = (size_t)(strchr(nested(SYNC_JSON_DEPTH_MAX, patterns[i], '\0').bytes, '0') - arena);
    sync_span within = nested(SYNC_JSON_DEPTH_MAX, patterns[i], '\0');
    expect_invalid(nested(SYNC_JSON_DEPTH_MAX + 1, patterns[i], '\0'), deepest - (size_t)(within.bytes - arena));
  }
}

static void test_brackets_pair(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(patterns); i++) {
    for (unsigned depth = 1; depth <= SYNC_JSON_DEPTH_MAX; depth++) {
      sync_span text = nested(depth, patterns[i], patterns[i] & 1 ? ']' : '}');
      expect_invalid(text, text.length - 1);
    }
  }
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

static void test_tokens(void **state) {
  (void)state;
  static const struct {
    const char *text, *tokens;
  } cases[] = {
      {"null", "null END"},
      {" \"\" ", "s: END"},
      {"\"a\\n\"", "S:a\\n END"},
      {"-0.5e+3 ", "n:-0.5e+3 END"},
      {"[]", "[ ] END"},
      {"{}", "{ } END"},
      {"[true,false,null]", "[ true false null ] END"},
      {"[[1,[]],2]", "[ [ n:1 [ ] ] n:2 ] END"},
      {"{\"a\":{\"b\\\\\":[{}]},\"c\":\"d\"}", "{ k:a { K:b\\\\ [ { } ] } k:c s:d } END"},
      {" { \"a\" : 1 , \"b\" : [ 2 ] } ", "{ k:a n:1 k:b [ n:2 ] } END"},
      {"", "INVALID"},
      {"[1,]", "[ n:1 INVALID"},
      {"01", "n:0 INVALID"},
      {"1 2", "n:1 INVALID"},
      {"{\"a\"}", "{ INVALID"},
      {"{\"a\":}", "{ k:a INVALID"},
      {"{\"a\":tru}", "{ k:a INVALID"},
      {"[\"a\\u12\"]", "[ INVALID"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++)
    assert_string_equal(tokens_of(place_text(cases[i].text)), cases[i].tokens);
}

/* A value can be cut out of the text by what its first token tells. */
static void test_token_text_is_a_part_of_the_text(void **state) {
  (void)state;
  sync_span text = place_text(" [ {\"k\" : 12} ]");
  sync_json json;
  sync_json_token token;
  sync_json_init(&json, text);
  static const size_t starts[] = {1, 3, 5, 10}, lengths[] = {1, 1, 1, 2};
  for (size_t i = 0; i < COUNT_OF(starts); i++) {
    sync_json_next(&json, &token);
    assert_ptr_equal(token.text.bytes, text.bytes + starts[i]);
    assert_int_equal(token.text.length, lengths[i]);
  }
  assert_int_equal(sync_json_next(&json, &token), SYNC_JSON_OBJECT_END);
  assert_int_equal(sync_json_offset(&json), 13);
  assert_null(token.text.bytes);
}

/* ---- skip -------------------------------------------------------------------------------------------------------- */

/* Reads token by token until the container that is open now has closed. */
static bool walk_out(sync_json *json) {
  sync_json_token token;
  for (unsigned depth = 1; depth > 0;) {
    switch (sync_json_next(json, &token)) {
    case SYNC_JSON_OBJECT:
    case SYNC_JSON_ARRAY: depth++; break;
    case SYNC_JSON_OBJECT_END:
    case SYNC_JSON_ARRAY_END: depth--; break;
    case SYNC_JSON_INVALID: return false;
    default: break;
    }
  }
  return true;
}

/* Skips each container of `text` and looks whether the reader stands where walking would have led it. */
static void expect_skips_like_walking(sync_span text) {
  sync_json json;
  sync_json_token token;
  sync_json_init(&json, text);
  while (sync_json_next(&json, &token) != SYNC_JSON_END && token.kind != SYNC_JSON_INVALID) {
    if (token.kind != SYNC_JSON_OBJECT && token.kind != SYNC_JSON_ARRAY) continue;
    sync_json skipper = json, walker = json;
    assert_int_equal(sync_json_skip(&skipper), walk_out(&walker));
    assert_int_equal(sync_json_offset(&skipper), sync_json_offset(&walker));
    sync_json_token skipped, walked;
    assert_int_equal(sync_json_next(&skipper, &skipped), sync_json_next(&walker, &walked));
    assert_int_equal(sync_json_offset(&skipper), sync_json_offset(&walker));
  }
}

static void test_skip_at_every_level(void **state) {
  (void)state;
  expect_skips_like_walking(place_text(sampler));
  for (size_t i = 0; i < COUNT_OF(valid_texts); i++) expect_skips_like_walking(place_text(valid_texts[i]));
  for (size_t i = 0; i < COUNT_OF(patterns); i++)
    expect_skips_like_walking(nested(SYNC_JSON_DEPTH_MAX, patterns[i], '\0'));
}

static void test_skip_finds_what_is_broken(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(invalid_texts); i++) expect_skips_like_walking(place_text(invalid_texts[i].text));
  for (size_t length = 1; length < strlen(sampler); length++) expect_skips_like_walking(place(sampler, length));
  for (size_t i = 0; i < COUNT_OF(patterns); i++)
    expect_skips_like_walking(nested(SYNC_JSON_DEPTH_MAX + 1, patterns[i], '\0'));
}

/* In the middle of a container skip reads what is left of it; outside of any, what is left of the text. */
static void test_skip_reads_the_rest(void **state) {
  (void)state;
  sync_json json;
  sync_json_token token;
  sync_json_init(&json, place_text("{\"a\":[1,2,{}],\"b\":3} "));
  for (int i = 0; i < 4; i++) sync_json_next(&json, &token);
  assert_int_equal(token.kind, SYNC_JSON_NUMBER);
  assert_true(sync_json_skip(&json));
  assert_int_equal(sync_json_next(&json, &token), SYNC_JSON_KEY);
  assert_true(sync_json_skip(&json));
  assert_int_equal(sync_json_offset(&json), 20);
  assert_true(sync_json_skip(&json));
  assert_int_equal(sync_json_next(&json, &token), SYNC_JSON_END);
  assert_true(sync_json_skip(&json));
  sync_json_init(&json, place_text("[] x"));
  assert_false(sync_json_skip(&json));
  assert_int_equal(sync_json_offset(&json), 3);
  assert_false(sync_json_skip(&json));
}

/* ---- escapes ----------------------------------------------------------------------------------------------------- */

#define REPLACEMENT "\xef\xbf\xbd"
#define UNESCAPE(escaped, plain)                                                                                       \
  { escaped, plain, sizeof(plain) - 1 }

static const struct {
  const char *escaped, *plain;
  size_t length;
} unescapes[] = {
    UNESCAPE("", ""),
    UNESCAPE("plain \xc3\xa9", "plain \xc3\xa9"),
    UNESCAPE("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"),
    UNESCAPE("\\\\n", "\\n"),
    UNESCAPE("\\\\u0041", "\\u0041"),
    UNESCAPE("\\u0000", "\0"),
    UNESCAPE("a\\u0000b", "a\0b"),
    UNESCAPE("\\u0041\\u007f", "A\x7f"),
    UNESCAPE("\\u0080\\u00e9\\u07FF", "\xc2\x80\xc3\xa9\xdf\xbf"),
    UNESCAPE("\\u0800\\u20aC\\uD7FF\\uE000\\uFFFF", "\xe0\xa0\x80\xe2\x82\xac\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"),
    UNESCAPE("\\uD800\\uDC00\\udbff\\udfff", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
    UNESCAPE("\\uD83D\\uDE00!", "\xf0\x9f\x98\x80!"),
    UNESCAPE("\\uD800", REPLACEMENT),
    UNESCAPE("\\uDC00", REPLACEMENT),
    UNESCAPE("\\uDFFF\\uDBFF", REPLACEMENT REPLACEMENT),
    UNESCAPE("\\uD800\\uD83D\\uDE00", REPLACEMENT "\xf0\x9f\x98\x80"),
    UNESCAPE("\\uD83Dx\\uDE00", REPLACEMENT "x" REPLACEMENT),
    UNESCAPE("\\uD83D\\n", REPLACEMENT "\n"),
    UNESCAPE("\\uD83D\\u0041", REPLACEMENT "A"),
    UNESCAPE("\\uDC00\\uDC00", REPLACEMENT REPLACEMENT),
    UNESCAPE("\\uD83D\\uE000", REPLACEMENT "\xee\x80\x80"),
    UNESCAPE("\\uD83D\\nDE00", REPLACEMENT "\nDE00"),
    UNESCAPE("\\uD83D\\\\uDE00", REPLACEMENT "\\uDE00"),
    UNESCAPE("\\uD83D/uDE00", REPLACEMENT "/uDE00"),
};

/* The reader's own token goes in; what comes out fits into as many bytes as went in. */
static void test_unescape(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(unescapes); i++) {
    char quoted[128], plain[128];
    int length = snprintf(quoted, sizeof quoted, "\"%s\"", unescapes[i].escaped);
    sync_json json;
    sync_json_token token;
    sync_json_init(&json, place(quoted, (size_t)length));
    assert_int_equal(sync_json_next(&json, &token), SYNC_JSON_STRING);
    assert_int_equal(token.escaped, strchr(unescapes[i].escaped, '\\') != NULL);
    size_t written = sync_json_unescape(place(token.text.bytes, token.text.length), plain);
    assert_int_equal(written, unescapes[i].length);
    assert_true(written <= token.text.length);
    assert_memory_equal(plain, unescapes[i].plain, written);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_valid),
      cmocka_unit_test(test_invalid),
      cmocka_unit_test(test_nothing_and_nul),
      cmocka_unit_test(test_every_prefix_ends_too_early),
      cmocka_unit_test(test_every_byte_can_be_the_wrong_one),
      cmocka_unit_test(test_every_byte_in_strings),
      cmocka_unit_test(test_depth_is_limited),
      cmocka_unit_test(test_brackets_pair),
      cmocka_unit_test(test_tokens),
      cmocka_unit_test(test_token_text_is_a_part_of_the_text),
      cmocka_unit_test(test_skip_at_every_level),
      cmocka_unit_test(test_skip_finds_what_is_broken),
      cmocka_unit_test(test_skip_reads_the_rest),
      cmocka_unit_test(test_unescape),
  };
  return cmocka_run_group_tests(tests, map_arena, unmap_arena);
}
