/* merge_test.c - one JSON object made of two: which members it has, where they stand, and what is said of the outcome.
 */
#include "merge.h"

#include <stdio.h>

#include "counting_alloc.h"
#include "fingerprint.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_object base, patch;
static struct sync_buffer out;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  sync_object_init(&base, &memory.allocator);
  sync_object_init(&patch, &memory.allocator);
  sync_buffer_init(&out, &memory.allocator);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sync_object_fini(&base);
  sync_object_fini(&patch);
  sync_buffer_fini(&out);
  counting_alloc_check(&memory);
  return 0;
}

#define ALL UINT64_MAX

/* Merges the two texts as `merge` says, and checks the text that comes of it. */
static void check_merge(const char *base_text, const char *patch_text, struct sync_merge *merge, const char *expected) {
  sync_buffer_clear(&out);
  assert_int_equal(sync_object_read(&base, span_of(base_text)), SYNC_OK);
  assert_int_equal(sync_object_read(&patch, span_of(patch_text)), SYNC_OK);
  assert_true(sync_merge_objects(&out, &base, &patch, merge));
  check_span(sync_buffer_span(&out), expected);
  assert_int_equal(merge->differs, !sync_json_same(span_of(base_text), sync_buffer_span(&out)));
}

static void members_are_replaced_in_their_place_and_new_ones_follow(void **state) {
  (void)state;
  struct sync_merge merge = {.whole = false};
  check_merge("{\"a\":1,\"b\":{\"x\":1},\"c\":3}", "{\"d\":4,\"b\":[2],\"e\":5}", &merge,
              "{\"a\":1,\"b\":[2],\"c\":3,\"d\":4,\"e\":5}");
  assert_int_equal(merge.taken, 2 | 8 | 16);
  assert_int_equal(merge.kept, 0);
  assert_false(merge.disputed);
}

static void null_is_a_value(void **state) {
  (void)state;
  struct sync_merge merge = {.whole = false};
  check_merge("{\"a\":1}", "{\"a\":null}", &merge, "{\"a\":null}");
}

static void empty_objects_merge(void **state) {
  (void)state;
  struct sync_merge merge = {.whole = false};
  check_merge("{}", "{}", &merge, "{}");
  check_merge("{}", "{\"a\":1,\"b\":2}", &merge, "{\"a\":1,\"b\":2}");
  check_merge("{\"a\":1,\"b\":2}", "{}", &merge, "{\"a\":1,\"b\":2}");
}

static void a_whole_patch_drops_what_it_has_not(void **state) {
  (void)state;
  struct sync_merge merge = {.whole = true};
  check_merge("{\"a\":1,\"b\":2,\"c\":3}", "{\"d\":4,\"b\":2}", &merge, "{\"b\":2,\"d\":4}");
  assert_int_equal(merge.taken, 1 | 2);
  check_merge("{\"a\":1}", "{}", &merge, "{}");
}

static void kept_members_stay_whatever_patch_says(void **state) {
  (void)state;
  struct sync_merge merge = {.keep = 2};
  check_merge("{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":7,\"b\":8}", &merge, "{\"a\":7,\"b\":2,\"c\":3}");
  assert_int_equal(merge.kept, 2);
  assert_int_equal(merge.taken, 1);
  assert_true(merge.disputed);
  merge = (struct sync_merge){.keep = 4, .whole = true};
  check_merge("{\"a\":1,\"b\":2,\"c\":3}", "{\"b\":8,\"d\":9}", &merge, "{\"b\":8,\"c\":3,\"d\":9}");
  assert_int_equal(merge.kept, 2);
  assert_int_equal(merge.taken, 1 | 4);
  assert_false(merge.disputed);
}

static void keeping_all_adds_only_what_is_missing(void **state) {
  (void)state;
  struct sync_merge merge = {.keep = ALL};
  check_merge("{\"a\":1,\"b\":2}", "{\"b\":3,\"c\":4}", &merge, "{\"a\":1,\"b\":2,\"c\":4}");
  assert_int_equal(merge.taken, 4);
  assert_true(merge.disputed);
  check_merge("{\"a\":1,\"b\":2}", "{\"b\":2.0}", &merge, "{\"a\":1,\"b\":2}");
  assert_false(merge.disputed);
}

static void the_same_value_in_another_spelling_does_not_differ(void **state) {
  (void)state;
  struct sync_merge merge = {.whole = true};
  check_merge("{\"a\":1.50,\"b\":\"x/y\",\"c\":{\"p\":1,\"q\":2}}",
              "{\"c\":{\"q\":2,\"p\":1},\"b\":\"x\\/y\",\"a\":15e-1}", &merge,
              "{\"a\":15e-1,\"b\":\"x\\/y\",\"c\":{\"q\":2,\"p\":1}}");
  assert_false(merge.differs);
}

static void names_are_matched_without_their_escapes(void **state) {
  (void)state;
  struct sync_merge merge = {.whole = false};
  check_merge("{\"ab\":1}", "{\"\\u0061b\":2}", &merge, "{\"\\u0061b\":2}");
}

static void of_members_with_one_name_one_is_left(void **state) {
  (void)state;
  struct sync_merge merge = {.whole = false};
  assert_int_equal(sync_object_read(&base, SPAN("{}")), SYNC_OK);
  assert_int_equal(sync_object_read(&patch, SPAN("{\"a\":1,\"b\":2,\"a\":3}")), SYNC_OK);
  assert_true(sync_merge_objects(&out, &base, &patch, &merge));
  check_span(sync_buffer_span(&out), "{\"a\":3,\"b\":2}");
}

/* Behind what the buffer already holds; places are counted from where the object begins. */
static void each_member_is_told_where_it_went(void **state) {
  (void)state;
  struct sync_merge merge = {.whole = true};
  assert_true(sync_buffer_append(&out, SPAN("before ")));
  assert_int_equal(sync_object_read(&base, SPAN("{\"a\":1,\"b\":2}")), SYNC_OK);
  assert_int_equal(sync_object_read(&patch, SPAN("{\"b\" : 22,\"c\":\"x\"}")), SYNC_OK);
  assert_true(sync_merge_objects(&out, &base, &patch, &merge));
  check_span(sync_buffer_span(&out), "before {\"b\" : 22,\"c\":\"x\"}");
  assert_int_equal(sync_object_find(&base, SPAN("a"))->at, SYNC_MEMBER_NOWHERE);
  assert_true(sync_object_find(&base, SPAN("a"))->differs);
  assert_int_equal(sync_object_find(&base, SPAN("b"))->at, SYNC_MEMBER_NOWHERE);
  assert_false(sync_object_find(&base, SPAN("b"))->differs);
  assert_int_equal(sync_object_find(&patch, SPAN("b"))->at, 7);
  assert_true(sync_object_find(&patch, SPAN("b"))->differs);
  assert_int_equal(sync_object_find(&patch, SPAN("c"))->at, 14);
}

/* From the 64th member on they share a bit. */
static void beyond_the_bits_members_stand_together(void **state) {
  (void)state;
  char text[1024] = "{";
  for (int i = 0; i < 70; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s\"n%d\":0", i ? "," : "", i);
  snprintf(text + strlen(text), sizeof text - strlen(text), "}");
  struct sync_merge merge = {.keep = UINT64_C(1) << 63};
  assert_int_equal(sync_object_read(&base, span_of(text)), SYNC_OK);
  assert_int_equal(sync_object_read(&patch, SPAN("{\"n0\":1,\"n62\":1,\"n63\":1,\"n69\":1}")), SYNC_OK);
  assert_true(sync_merge_objects(&out, &base, &patch, &merge));
  assert_int_equal(merge.kept, UINT64_C(1) << 63);
  assert_int_equal(merge.taken, UINT64_C(1) << 62 | 1);
  assert_int_equal(sync_object_read(&base, sync_buffer_span(&out)), SYNC_OK);
  check_span(sync_object_find(&base, SPAN("n62"))->text, "1");
  check_span(sync_object_find(&base, SPAN("n63"))->text, "0");
  check_span(sync_object_find(&base, SPAN("n69"))->text, "0");
}

/* What was on disk without its value has it again; nobody can say that it is another one. */
static void a_redacted_value_is_replaced_and_does_not_differ(void **state) {
  (void)state;
  static const char redacted[] = "{\"a\":\"[redacted]\",\"b\":{\"c\":[{\"a\":\"[redacted]\",\"d\":1}]}}";
  const struct {
    const char *patch, *merged;
    bool differs, revealed;
  } cases[] = {
      {"{\"a\":{\"x\":1}}", "{\"a\":{\"x\":1},\"b\":{\"c\":[{\"a\":\"[redacted]\",\"d\":1}]}}", false, true},
      {"{\"b\":{\"c\":[{\"d\":1.0,\"a\":[7]}]}}", "{\"a\":\"[redacted]\",\"b\":{\"c\":[{\"d\":1.0,\"a\":[7]}]}}", false,
       true},
      {"{\"b\":{\"c\":[{\"d\":2,\"a\":7}]}}", "{\"a\":\"[redacted]\",\"b\":{\"c\":[{\"d\":2,\"a\":7}]}}", true, false},
      {"{\"b\":{\"c\":[{\"d\":1}]}}", "{\"a\":\"[redacted]\",\"b\":{\"c\":[{\"d\":1}]}}", true, false},
      {"{\"a\":\"[redacted]\"}", redacted, false, false},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct sync_merge merge = {.whole = false};
    sync_buffer_clear(&out);
    assert_int_equal(sync_object_read(&base, SPAN(redacted)), SYNC_OK);
    assert_int_equal(sync_object_read(&patch, span_of(cases[i].patch)), SYNC_OK);
    assert_true(sync_merge_objects(&out, &base, &patch, &merge));
    check_span(sync_buffer_span(&out), cases[i].merged);
    assert_int_equal(merge.differs, cases[i].differs);
    assert_int_equal(merge.revealed, cases[i].revealed);
  }
}

static void a_redacted_value_that_is_kept_is_not_disputed(void **state) {
  (void)state;
  struct sync_merge merge = {.keep = 1};
  assert_int_equal(sync_object_read(&base, SPAN("{\"a\":\"[redacted]\"}")), SYNC_OK);
  assert_int_equal(sync_object_read(&patch, SPAN("{\"a\":1}")), SYNC_OK);
  assert_true(sync_merge_objects(&out, &base, &patch, &merge));
  check_span(sync_buffer_span(&out), "{\"a\":\"[redacted]\"}");
  assert_false(merge.disputed);
  assert_false(merge.revealed);
}

static void without_memory_the_buffer_is_as_it_was(void **state) {
  (void)state;
  struct sync_merge merge = {.whole = false};
  assert_true(sync_buffer_append(&out, SPAN("before")));
  assert_int_equal(sync_object_read(&base, SPAN("{\"a\":\"0123456789012345678901234567890123456789\"}")), SYNC_OK);
  assert_int_equal(sync_object_read(&patch, SPAN("{\"b\":\"0123456789012345678901234567890123456789\"}")), SYNC_OK);
  counting_alloc_refuse(&memory, 1, 1);
  assert_false(sync_merge_objects(&out, &base, &patch, &merge));
  check_span(sync_buffer_span(&out), "before");
  assert_true(sync_merge_objects(&out, &base, &patch, &merge));
  assert_int_equal(memory.refused, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(members_are_replaced_in_their_place_and_new_ones_follow),
      TEST(null_is_a_value),
      TEST(empty_objects_merge),
      TEST(a_whole_patch_drops_what_it_has_not),
      TEST(kept_members_stay_whatever_patch_says),
      TEST(keeping_all_adds_only_what_is_missing),
      TEST(the_same_value_in_another_spelling_does_not_differ),
      TEST(names_are_matched_without_their_escapes),
      TEST(of_members_with_one_name_one_is_left),
      TEST(each_member_is_told_where_it_went),
      TEST(beyond_the_bits_members_stand_together),
      TEST(a_redacted_value_is_replaced_and_does_not_differ),
      TEST(a_redacted_value_that_is_kept_is_not_disputed),
      TEST(without_memory_the_buffer_is_as_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
