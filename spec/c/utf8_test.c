/* utf8_test.c - well-formed or replaced: the cases of table 3-7, and each way to break them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "utf8.h"

/* A literal's bytes, NUL included, without the one behind it. */
#define SPAN(literal) ((sync_span){literal, sizeof(literal) - 1})

/* The replacement character. */
#define R "\xEF\xBF\xBD"

static void check_utf8(sync_span text, sync_span expected) {
  struct sync_buffer out;
  sync_buffer_init(&out, &sync_alloc_standard);
  bool same = text.length == expected.length && memcmp(text.bytes, expected.bytes, text.length) == 0;
  assert_int_equal(sync_utf8_valid(text), same);
  assert_true(sync_utf8_append(&out, text));
  assert_int_equal(out.length, expected.length);
  assert_memory_equal(out.bytes, expected.bytes, out.length);
  sync_buffer_fini(&out);
}

static void utf8_is_well_formed_or_replaced(void **state) {
  (void)state;
  static const struct {
    sync_span text, expected;
  } cases[] = {
      {SPAN("plain ASCII, long enough for words of 8 and 32\x7F\0"),
       SPAN("plain ASCII, long enough for words of 8 and 32\x7F\0")},
      {SPAN("\xC2\x80\xDF\xBF"), SPAN("\xC2\x80\xDF\xBF")},
      {SPAN("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"),
       SPAN("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF")},
      {SPAN("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"), SPAN("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")},
      {SPAN("\x80\xBF"), SPAN(R R)},
      {SPAN("\xC0\x80\xC1\xBF"), SPAN(R R R R)},
      {SPAN("\xE0\x9F\x80"), SPAN(R R R)},
      {SPAN("\xED\xA0\x80"), SPAN(R R R)},
      {SPAN("\xF0\x8F\x80\x80"), SPAN(R R R R)},
      {SPAN("\xF4\x90\x80\x80"), SPAN(R R R R)},
      {SPAN("\xF5\x80\xFF"), SPAN(R R R)},
      {SPAN("\xE2\x82x\xF0\x9F\x93x\xF0\x9Fx\xC3x"), SPAN(R "x" R "x" R "x" R "x")},
      {SPAN("0123456\xE2\x82\xAC"
            "0123456789012345678901234567890\xE2"),
       SPAN("0123456\xE2\x82\xAC"
            "0123456789012345678901234567890" R)},
      /* Unicode, section 3.9, table 3-11 */
      {SPAN("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), SPAN(R R R R "\x41")},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_utf8(cases[i].text, cases[i].expected);
}

/* Writes `point` in `length` bytes, the shortest form or not. */
static sync_span encode(uint32_t point, size_t length, char out[4]) {
  static const unsigned char leads[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
  for (size_t i = length; i-- > 1; point >>= 6) out[i] = (char)(0x80 | (point & 0x3F));
  out[0] = (char)(leads[length] | point);
  return (sync_span){out, length};
}

static size_t shortest(uint32_t point) {
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

static void utf8_of_every_code_point_is_well_formed(void **state) {
  (void)state;
  char out[4];
  for (uint32_t point = 0; point < 0x1FFFFF; point++) {
    bool scalar = point < 0xD800 || (point > 0xDFFF && point <= 0x10FFFF);
    for (size_t length = shortest(point); length <= 4; length++) {
      if (sync_utf8_valid(encode(point, length, out)) == (scalar && length == shortest(point))) continue;
      fail_msg("U+%04X in %zu bytes", point, length);
    }
  }
}

static void utf8_cut_short_is_one_replacement_character(void **state) {
  (void)state;
  static const uint32_t points[] = {0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF};
  for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
    char out[4];
    sync_span whole = encode(points[i], shortest(points[i]), out);
    for (size_t length = 1; length < whole.length; length++) check_utf8((sync_span){whole.bytes, length}, SPAN(R));
  }
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(utf8_is_well_formed_or_replaced),
      cmocka_unit_test(utf8_of_every_code_point_is_well_formed),
      cmocka_unit_test(utf8_cut_short_is_one_replacement_character),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
