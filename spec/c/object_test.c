/* object_test.c - the members of a JSON object: found by name, in the order of the text, many of them, without memory.
 */
#include "object.h"

#include <stdio.h>

#include "counting_alloc.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_object object;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  sync_object_init(&object, &memory.allocator);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sync_object_fini(&object);
  counting_alloc_check(&memory);
  return 0;
}

static void check_member(const char *name, const char *text) {
  const struct sync_member *member = sync_object_find(&object, span_of(name));
  if (!member) fail_msg("no member '%s'", name);
  check_span(member->name, name);
  check_span(member->text, text);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void members_are_found_by_name_and_keep_their_order(void **state) {
  (void)state;
  static const char text[] = "{ \"a\" : 1 , \"b\":\"x\\ny\",\"c\":{\"d\":[1,2]},\"\":null,\"e\":-1.5e3}";
  static const char *const names[] = {"a", "b", "c", "", "e"};
  assert_int_equal(sync_object_read(&object, span_of(text)), SYNC_OK);
  assert_int_equal(object.count, COUNT_OF(names));
  for (size_t i = 0; i < COUNT_OF(names); i++) check_span(object.list[i].name, names[i]);
  check_member("a", "1");
  check_member("b", "\"x\\ny\"");
  check_member("c", "{\"d\":[1,2]}");
  check_member("", "null");
  check_member("e", "-1.5e3");
  assert_null(sync_object_find(&object, SPAN("d")));
  check_span((sync_span){object.list[0].begin, 7}, "\"a\" : 1");
}

static void an_empty_object_has_no_members_and_takes_no_memory(void **state) {
  (void)state;
  assert_int_equal(sync_object_read(&object, SPAN(" { } ")), SYNC_OK);
  assert_int_equal(object.count, 0);
  assert_null(sync_object_find(&object, SPAN("")));
  assert_int_equal(memory.requests, 0);
}

static void names_with_escapes_are_found_without_them(void **state) {
  (void)state;
  assert_int_equal(sync_object_read(&object, span_of("{\"\\u0061\\n\":1,\"b\":2,\"\\u0063\\/\":3}")), SYNC_OK);
  check_member("a\n", "1");
  check_member("b", "2");
  check_member("c/", "3");
}

static void of_several_members_with_one_name_the_last_counts(void **state) {
  (void)state;
  assert_int_equal(sync_object_read(&object, span_of("{\"a\":1,\"b\":2,\"\\u0061\":3}")), SYNC_OK);
  assert_int_equal(object.count, 2);
  check_member("a", "3");
  check_span(object.list[0].name, "a");
}

static void what_is_no_object_is_refused_and_leaves_an_empty_one(void **state) {
  (void)state;
  static const char *const texts[] = {"",        "1",        "[]",         "[{}]",       "{",           "{\"a\"",
                                      "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{\"a\":{]}", "{\"a\":1} 2", "{\"a\":[1}",
                                      "{a:1}"};
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    assert_int_equal(sync_object_read(&object, SPAN("{\"a\":1}")), SYNC_OK);
    if (sync_object_read(&object, span_of(texts[i])) != SYNC_EVENT_JSON) fail_msg("'%s' was read", texts[i]);
    assert_int_equal(object.count, 0);
    assert_int_equal(object.text.length, 0);
    assert_null(sync_object_find(&object, SPAN("a")));
  }
}

/* ---- many -------------------------------------------------------------------------------------------------------- */

#define MEMBERS 5000u

static char many[MEMBERS * 20 + 2];

static sync_span write_many(unsigned count) {
  size_t length = 0;
  many[length++] = '{';
  for (unsigned i = 0; i < count; i++)
    length += (size_t)snprintf(many + length, sizeof many - length, "%s\"n%u\":%u", i ? "," : "", i, i);
  many[length++] = '}';
  return (sync_span){many, length};
}

static void thousands_of_members_are_found(void **state) {
  (void)state;
  char name[16], value[16];
  assert_int_equal(sync_object_read(&object, write_many(MEMBERS)), SYNC_OK);
  assert_int_equal(object.count, MEMBERS);
  for (unsigned i = 0; i < MEMBERS; i++) {
    snprintf(name, sizeof name, "n%u", i);
    snprintf(value, sizeof value, "%u", i);
    check_member(name, value);
  }
}

static void the_next_object_takes_no_memory_but_room_for_thousands_is_given_back(void **state) {
  (void)state;
  assert_int_equal(sync_object_read(&object, write_many(100)), SYNC_OK);
  size_t requests = memory.requests;
  for (int i = 0; i < 10; i++) assert_int_equal(sync_object_read(&object, write_many(100)), SYNC_OK);
  assert_int_equal(memory.requests, requests);
  assert_int_equal(sync_object_read(&object, write_many(MEMBERS)), SYNC_OK);
  assert_true(object.capacity >= MEMBERS);
  assert_int_equal(sync_object_read(&object, write_many(100)), SYNC_OK);
  assert_in_range(object.capacity, 100, 256);
}

static void without_memory_it_is_empty_and_the_next_read_works(void **state) {
  (void)state;
  const sync_span text = SPAN("{\"\\u0061\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,"
                              "\"k\":11,\"l\":12,\"m\":13,\"n\":14,\"o\":15,\"p\":16,\"q\":17,\"\\u0072\":18}");
  sync_code code = SYNC_NO_MEMORY;
  for (size_t nth = 1; code != SYNC_OK; nth++) {
    sync_object_fini(&object);
    counting_alloc_refuse(&memory, nth, 1);
    code = sync_object_read(&object, text);
    counting_alloc_allow(&memory);
    if (code == SYNC_OK) break;
    assert_int_equal(code, SYNC_NO_MEMORY);
    assert_int_equal(object.count, 0);
    assert_int_equal(sync_object_read(&object, text), SYNC_OK);
    check_member("r", "18");
  }
  assert_true(memory.refused >= 5); /* names, list, table, and the last two again */
  check_member("r", "18");
}

/* ---- plain text -------------------------------------------------------------------------------------------------- */

static void strings_and_numbers_say_something_in_plain_text(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"\"open\"", "open"}, {"\"\"", ""}, {"\"a\\u0062c\"", "abc"}, {"12", "12"}, {"-1.5", "-1.5"},
      {"null", ""},         {"true", ""}, {"{\"a\":1}", ""},        {"[1]", ""},  {"", ""},
  };
  struct sync_buffer room;
  sync_span plain;
  sync_buffer_init(&room, &memory.allocator);
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    assert_true(sync_json_plain(span_of(cases[i][0]), &room, &plain));
    check_span(plain, cases[i][1]);
  }
  check_span(sync_buffer_span(&room), "abc");
  sync_buffer_fini(&room);
  counting_alloc_refuse(&memory, 1, 1);
  assert_false(sync_json_plain(SPAN("\"\\n\""), &room, &plain));
  assert_int_equal(plain.length, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(members_are_found_by_name_and_keep_their_order),
      TEST(an_empty_object_has_no_members_and_takes_no_memory),
      TEST(names_with_escapes_are_found_without_them),
      TEST(of_several_members_with_one_name_the_last_counts),
      TEST(what_is_no_object_is_refused_and_leaves_an_empty_one),
      TEST(thousands_of_members_are_found),
      TEST(the_next_object_takes_no_memory_but_room_for_thousands_is_given_back),
      TEST(without_memory_it_is_empty_and_the_next_read_works),
      TEST(strings_and_numbers_say_something_in_plain_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
