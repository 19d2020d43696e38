/*
 * book_age_test.c - old news and new news: what may overwrite what in the order book.
 *
 * At the end a server is played, whose events arrive late and whose snapshots overtake them: no member of the order may
 * ever go back, and in the end the book must be where the server is.
 */
#include <stdlib.h>

#include "object.h"
#include "orders.h"

/* ---- events against events --------------------------------------------------------------------------------------- */

static void an_older_event_does_not_overwrite(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":2}", 200);
  assert_int_equal(tell("A", "{\"n\":1}", 100), SYNC_BOOK_OLDER);
  assert_int_equal(book.older, 1);
  assert_int_equal(effect.changed, 0);
  check_order("A", "{\"orderID\":\"A\",\"n\":2}");
}

static void an_older_event_fills_in_what_is_not_known(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":2}", 200);
  assert_int_equal(tell("A", "{\"n\":1,\"m\":1}", 100), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"m\":1}");
  assert_int_equal(effect.changed, SYNC_BOOK_OTHER);
  assert_int_equal(tell("A", "{\"m\":0}", 50), SYNC_BOOK_OLDER); /* and then it is known */
}

static void an_event_as_new_as_the_book_applies(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":1}", 100);
  assert_int_equal(tell("A", "{\"n\":2}", 100), SYNC_BOOK_CHANGED);
  assert_int_equal(tell("A", "{\"n\":3,\"version\":5}", 0), SYNC_BOOK_CHANGED);
  assert_int_equal(tell("A", "{\"n\":4,\"version\":5}", 0), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":4,\"version\":5}");
}

static void events_without_any_age_apply_in_their_order(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":1}", 100);
  assert_int_equal(tell("A", "{\"n\":2}", 0), SYNC_BOOK_CHANGED);
  assert_int_equal(tell("A", "{\"n\":3}", 0), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":3}");
}

static void a_version_decides_before_any_time(void **state) {
  (void)state;
  static const char *const fields[] = {"version", "sequence", "seq"};
  for (size_t i = 0; i < COUNT_OF(fields); i++) {
    char newer[64], older[64];
    snprintf(newer, sizeof newer, "{\"n\":2,\"%s\":9223372036854775807}", fields[i]);
    snprintf(older, sizeof older, "{\"n\":1,\"%s\":9223372036854775806}", fields[i]);
    tell(fields[i], newer, 100);
    assert_int_equal(tell(fields[i], older, 200), SYNC_BOOK_OLDER);
    assert_int_equal(show(fields[i], older), SYNC_BOOK_OLDER);
  }
  tell("A", "{\"n\":1}", 0);
  assert_int_equal(tell("A", "{\"n\":2,\"version\":-5}", 0), SYNC_BOOK_CHANGED);
  assert_int_equal(tell("A", "{\"n\":3,\"version\":-6}", 0), SYNC_BOOK_OLDER);
}

static void the_orders_own_time_decides_before_the_events(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":2,\"updatedAt\":\"2026-11-22T10:00:02Z\"}", 1000);
  assert_int_equal(tell("A", "{\"n\":1,\"updatedAt\":\"2026-11-22T10:00:01Z\"}", 2000), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"n\":3,\"updatedAt\":\"2026-11-22T11:00:03+01:00\"}", 500), SYNC_BOOK_CHANGED);
}

/* What the broadcaster sends at 52 without the order, and at 53 with it, was changed at 48 and 49. */
static void clocks_that_differ_do_not_make_the_stream_old(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"orderStage\":\"empty\",\"updatedAt\":1795341600047}");
  tell("A", "{\"orderStage\":\"open\"}", 1795341600052);
  assert_int_equal(tell("A", "{\"orderStage\":\"billed\",\"updatedAt\":1795341600049}", 1795341600053),
                   SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"orderStage\":\"billed\",\"updatedAt\":1795341600049}");
}

/* ---- snapshots against events ------------------------------------------------------------------------------------ */

static void an_older_snapshot_leaves_alone_what_events_have_told_since(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":1,\"updatedAt\":10}");
  tell("A", "{\"n\":2}", 20000);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":2,\"updatedAt\":15}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"m\":2,\"updatedAt\":15}");
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":2,\"updatedAt\":15}"), SYNC_BOOK_OLDER);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":2,\"m\":2,\"updatedAt\":15}"), SYNC_BOOK_SAME);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":3,\"updatedAt\":25}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":3,\"updatedAt\":25}");
}

static void what_is_older_than_the_whole_changes_nothing(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":2,\"updatedAt\":20}");
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":1,\"updatedAt\":10}"), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"n\":1,\"m\":1}", 10000), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"n\":1,\"m\":1,\"updatedAt\":10}", 30000), SYNC_BOOK_OLDER);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"updatedAt\":20}");
  assert_int_equal(book.older, 3);
}

static void a_newer_snapshot_ends_that(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":1,\"updatedAt\":10}");
  tell("A", "{\"n\":2}", 20000);
  show("A", "{\"orderID\":\"A\",\"n\":3,\"m\":1,\"updatedAt\":30}");
  tell("A", "{\"m\":2}", 50000);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":4,\"m\":1,\"updatedAt\":40}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":4,\"m\":2,\"updatedAt\":40}");
}

/* A snapshot that drops members moves those that it leaves alone. */
static void members_are_left_alone_wherever_they_move(void **state) {
  (void)state;
  show("A", "{\"gone\":1,\"orderID\":\"A\",\"m\":1,\"n\":1,\"updatedAt\":10}");
  tell("A", "{\"n\":2}", 30000);
  show("A", "{\"orderID\":\"A\",\"m\":2,\"n\":1,\"updatedAt\":11}");
  check_order("A", "{\"orderID\":\"A\",\"m\":2,\"n\":2,\"updatedAt\":11}");
  show("A", "{\"orderID\":\"A\",\"m\":3,\"n\":1,\"updatedAt\":12}");
  check_order("A", "{\"orderID\":\"A\",\"m\":3,\"n\":2,\"updatedAt\":12}");
}

static void an_older_snapshot_still_is_the_newest_whole(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":2}", 20000);
  show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":2,\"updatedAt\":15}");
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":1,\"updatedAt\":12}"), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"m\":1,\"k\":1}", 14000), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"m\":1,\"updatedAt\":12}", 21000), SYNC_BOOK_OLDER);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"m\":2,\"updatedAt\":15}");
}

/* The stream tells at 200 of one member, and a late event of 150 of another: it is newer than the whole. */
static void an_event_between_the_whole_and_the_last_one_tells_of_other_members(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1,\"m\":1,\"updatedAt\":100}");
  tell("A", "{\"n\":2}", 200000);
  assert_int_equal(tell("A", "{\"n\":0,\"m\":2}", 150000), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"m\":2,\"updatedAt\":100}");
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":0,\"m\":0,\"updatedAt\":120}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"m\":2,\"updatedAt\":120}");
}

static void a_snapshot_as_new_as_the_stream_applies_if_nothing_was_heard_since_it_was_asked_for(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":10}", 0);
  uint64_t mark = sync_book_mark(&book);
  tell("A", "{\"n\":2,\"updatedAt\":10}", 0);
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"n\":1,\"m\":7,\"updatedAt\":10}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"updatedAt\":10,\"m\":7}");
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":3,\"m\":7,\"updatedAt\":10}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":3,\"updatedAt\":10,\"m\":7}");
}

static void so_does_a_snapshot_without_any_age(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":1}", 0);
  uint64_t mark = sync_book_mark(&book);
  tell("A", "{\"n\":2}", 0);
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"n\":1}"), SYNC_BOOK_OLDER);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":3}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"n\":3}");
}

static void an_event_without_a_time_is_later_than_the_snapshot_before_it(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":10}");
  uint64_t mark = sync_book_mark(&book);
  tell("A", "{\"n\":2}", 0);
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":10}"), SYNC_BOOK_OLDER);
  check_order("A", "{\"orderID\":\"A\",\"n\":2,\"updatedAt\":10}");
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"n\":3,\"updatedAt\":11}"), SYNC_BOOK_CHANGED);
}

/* ---- deletion ---------------------------------------------------------------------------------------------------- */

static void a_deleted_order_is_not_listed_and_what_it_was_is_told(void **state) {
  (void)state;
  tell("A", "{\"orderStage\":\"open\",\"overallStatus\":\"ready\"}", 10);
  assert_int_equal(delete_order("A", 20), SYNC_BOOK_DELETED);
  check_span(effect.previous_stage, "open");
  check_span(effect.previous_status, "ready");
  assert_false(is_listed("A"));
  check_listed("");
  assert_int_equal(delete_order("A", 30), SYNC_BOOK_SAME);
  assert_int_equal(delete_order("B", 30), SYNC_BOOK_SAME);
  check_listed("");
}

static void an_older_deletion_is_no_deletion(void **state) {
  (void)state;
  tell("A", "{\"n\":1}", 20);
  assert_int_equal(delete_order("A", 10), SYNC_BOOK_OLDER);
  assert_true(is_listed("A"));
  assert_int_equal(delete_order("A", 20), SYNC_BOOK_DELETED);
}

static void a_deletion_without_a_time_applies(void **state) {
  (void)state;
  tell("A", "{\"n\":1,\"version\":3,\"updatedAt\":20}", 20000);
  assert_int_equal(delete_order("A", 0), SYNC_BOOK_DELETED);
}

static void older_news_do_not_bring_an_order_back(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":10}");
  uint64_t mark = sync_book_mark(&book);
  delete_order("A", 20000);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":10}"), SYNC_BOOK_OLDER);
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"n\":1}"), SYNC_BOOK_OLDER);
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":20}"), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"n\":1}", 19000), SYNC_BOOK_OLDER);
  assert_int_equal(tell("A", "{\"n\":1,\"updatedAt\":10}", 0), SYNC_BOOK_OLDER);
  assert_false(is_listed("A"));
  assert_int_equal(book.older, 5);
}

static void an_order_that_was_never_seen_can_be_deleted_before_its_snapshot_comes(void **state) {
  (void)state;
  uint64_t mark = sync_book_mark(&book);
  delete_order("A", 20000);
  delete_order("B", 0);
  assert_int_equal(show_since(mark, "A", "{\"orderID\":\"A\",\"updatedAt\":19}"), SYNC_BOOK_OLDER);
  assert_int_equal(show_since(mark, "B", "{\"orderID\":\"B\"}"), SYNC_BOOK_OLDER);
  check_listed("");
}

static void newer_news_make_the_order_again_from_nothing(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"orderStage\":\"paid\",\"old\":1,\"version\":9}", 10000);
  delete_order("A", 20000);
  assert_int_equal(tell("A", "{\"orderStage\":\"empty\",\"version\":1}", 21000), SYNC_BOOK_NEW);
  check_order("A", "{\"orderID\":\"A\",\"orderStage\":\"empty\",\"version\":1}");
  check_span(effect.previous_stage, "");
  check_listed("A");
  delete_order("A", 22000);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":3,\"updatedAt\":23}"), SYNC_BOOK_NEW);
  check_order("A", "{\"orderID\":\"A\",\"n\":3,\"updatedAt\":23}");
  delete_order("A", 0);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":3}"), SYNC_BOOK_NEW); /* asked for after it was deleted */
}

static void without_a_time_a_tombstone_goes_by_version(void **state) {
  (void)state;
  tell("A", "{\"version\":9}", 0);
  delete_order("A", 0);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"version\":8}"), SYNC_BOOK_OLDER);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"version\":10}"), SYNC_BOOK_NEW);
}

static void what_was_told_of_an_order_before_it_was_deleted_does_not_protect_it_afterwards(void **state) {
  (void)state;
  show("A", "{\"orderID\":\"A\",\"n\":1,\"updatedAt\":10}");
  tell("A", "{\"n\":2}", 15000);
  delete_order("A", 20000);
  tell("A", "{\"orderID\":\"A\",\"m\":1}", 30000);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"n\":5,\"m\":0,\"updatedAt\":25}"), SYNC_BOOK_CHANGED);
  check_order("A", "{\"orderID\":\"A\",\"m\":1,\"n\":5,\"updatedAt\":25}");
}

static void news_from_before_the_deletion_are_not_about_the_order_that_was_made_since(void **state) {
  (void)state;
  tell("A", "{\"orderID\":\"A\",\"n\":1}", 10000);
  delete_order("A", 20000);
  tell("A", "{\"orderID\":\"A\",\"n\":2}", 30000);
  assert_int_equal(tell("A", "{\"m\":1}", 15000), SYNC_BOOK_OLDER);
  assert_int_equal(show("A", "{\"orderID\":\"A\",\"m\":1,\"updatedAt\":15}"), SYNC_BOOK_OLDER);
  check_order("A", "{\"orderID\":\"A\",\"n\":2}");
  assert_int_equal(tell("A", "{\"m\":2}", 25000), SYNC_BOOK_CHANGED);
}

/* ---- a server, played -------------------------------------------------------------------------------------------- */

/* A server with one order. Each member's value is the tick at which it was set, so that going back shows. */
#define MEMBERS 6u
#define TICKS   4000u

enum style {
  STYLE_VERSION, /* events and snapshots bring a version */
  STYLE_UPDATED, /* both bring the order's own time; the events' is off */
  STYLE_TOLD,    /* events bring only their own time */
  STYLE_MIXED,   /* some events bring the order's time, some only their own */
  STYLE_COARSE,  /* times are in units of eight ticks */
  STYLE_NOTHING,
};

struct server {
  unsigned members[MEMBERS];
  unsigned tick;
};

static uint32_t random_state;

static unsigned below(unsigned limit) {
  random_state = random_state * 1664525u + 1013904223u;
  return (random_state >> 8) % limit;
}

/* Whether this order, whole or in part, says when it was changed. */
static bool has_update_time(const struct server *server, enum style style, bool whole) {
  switch (style) {
  case STYLE_UPDATED: return true;
  case STYLE_TOLD: return whole;
  case STYLE_MIXED: return whole || server->tick % 3 == 0;
  default: return false;
  }
}

/* Writes the members in `mask`, and what tells the age. */
static void write_order(char *out, size_t size, const struct server *server, unsigned mask, enum style style,
                        bool whole) {
  char age[32] = "";
  if (style == STYLE_VERSION) snprintf(age, sizeof age, ",\"version\":%u", server->tick);
  if (style == STYLE_COARSE) snprintf(age, sizeof age, ",\"updatedAt\":%u", 1 + server->tick / 8);
  if (has_update_time(server, style, whole)) snprintf(age, sizeof age, ",\"updatedAt\":%u", server->tick);
  size_t length = (size_t)snprintf(out, size, "{\"orderID\":\"A\"%s", age);
  for (unsigned i = 0; i < MEMBERS; i++)
    if (mask >> i & 1) length += (size_t)snprintf(out + length, size - length, ",\"m%u\":%u", i, server->members[i]);
  snprintf(out + length, size - length, "}");
}

/* The members as the book has them; 0: none. */
static void read_members(unsigned members[MEMBERS]) {
  sync_order order;
  struct sync_object object;
  memset(members, 0, MEMBERS * sizeof *members);
  if (!sync_book_get(&book, SPAN("A"), &order)) return;
  sync_object_init(&object, &sync_alloc_standard);
  assert_int_equal(sync_object_read(&object, order.json), SYNC_OK);
  for (unsigned i = 0; i < MEMBERS; i++) {
    char name[8];
    snprintf(name, sizeof name, "m%u", i);
    const struct sync_member *member = sync_object_find(&object, span_of(name));
    if (member) members[i] = (unsigned)strtoul(member->text.bytes, NULL, 10);
  }
  sync_object_fini(&object);
}

/* Events wait to be delivered, in their order. */
#define WAITING_MOST 12u

struct play {
  enum style style;
  struct server server;
  char events[WAITING_MOST][200];
  int64_t at_ms[WAITING_MOST];
  unsigned waiting;
  char snapshot[200]; /* one that was asked for and has been made */
  uint64_t mark;
  bool asked, made;
};

/* When the broadcaster says that it sends the event, by a clock that may be off. */
static int64_t told_at_ms(const struct play *play) {
  int64_t true_ms = (int64_t)play->server.tick * 1000;
  switch (play->style) {
  case STYLE_UPDATED: return true_ms + (int64_t)below(20000);
  case STYLE_TOLD:
  case STYLE_MIXED: return true_ms;
  default: return 0;
  }
}

/* The server changes some members, and sends an event about them, most of the time. */
static void change_server(struct play *play) {
  struct server *server = &play->server;
  unsigned mask = 1 + below((1u << MEMBERS) - 1);
  bool silent = below(5) == 0 || play->waiting == WAITING_MOST;
  server->tick++;
  for (unsigned i = 0; i < MEMBERS; i++)
    if (mask >> i & 1) server->members[i] = server->tick;
  if (silent) return;
  write_order(play->events[play->waiting], sizeof *play->events, server, mask, play->style, false);
  play->at_ms[play->waiting++] = told_at_ms(play);
}

static void deliver_event(struct play *play) {
  if (play->waiting == 0) return;
  tell("A", play->events[0], play->at_ms[0]);
  play->waiting--;
  memmove(play->events, play->events + 1, play->waiting * sizeof *play->events);
  memmove(play->at_ms, play->at_ms + 1, play->waiting * sizeof *play->at_ms);
}

/* Asked for, made, delivered: a step each time. */
static void go_on_with_snapshot(struct play *play) {
  if (!play->asked) {
    play->asked = true;
    play->mark = sync_book_mark(&book);
  } else if (!play->made) {
    play->made = true;
    write_order(play->snapshot, sizeof play->snapshot, &play->server, (1u << MEMBERS) - 1, play->style, true);
  } else {
    play->asked = play->made = false;
    show_since(play->mark, "A", play->snapshot);
  }
}

static void check_forward(unsigned before[MEMBERS], const struct play *play) {
  unsigned now[MEMBERS];
  read_members(now);
  for (unsigned i = 0; i < MEMBERS; i++) {
    if (now[i] < before[i])
      fail_msg("style %d, tick %u: m%u went from %u to %u", play->style, play->server.tick, i, before[i], now[i]);
    before[i] = now[i];
  }
}

/* All that is on its way arrives, and a snapshot behind it. */
static void finish(struct play *play) {
  unsigned members[MEMBERS];
  while (play->waiting > 0) deliver_event(play);
  play->asked = play->made = false;
  for (int step = 0; step < 3; step++) go_on_with_snapshot(play);
  read_members(members);
  assert_memory_equal(members, play->server.members, sizeof members);
}

static void play_server(enum style style, bool never_back) {
  static struct play play;
  unsigned seen[MEMBERS] = {0};
  play = (struct play){.style = style};
  random_state = 7 + (uint32_t)style;
  while (play.server.tick < TICKS) {
    switch (below(3)) {
    case 0: change_server(&play); break;
    case 1: deliver_event(&play); break;
    default: go_on_with_snapshot(&play);
    }
    if (never_back) check_forward(seen, &play);
    if (play.server.tick % 100 == 99) {
      finish(&play);
      read_members(seen);
      play.server.tick++;
    }
  }
  assert_true(book.older > 0 || !never_back);
}

static void by_version_nothing_goes_back(void **state) {
  (void)state;
  play_server(STYLE_VERSION, true);
}

static void by_the_orders_own_time_nothing_goes_back_whatever_the_broadcasters_clock_says(void **state) {
  (void)state;
  play_server(STYLE_UPDATED, true);
}

static void by_the_events_time_nothing_goes_back(void **state) {
  (void)state;
  play_server(STYLE_TOLD, true);
}

static void by_either_time_nothing_goes_back(void **state) {
  (void)state;
  play_server(STYLE_MIXED, true);
}

/* Here an event that a snapshot has overtaken may set a member back, until the next one comes: nothing tells. */
static void without_a_true_age_the_book_ends_where_the_server_is(void **state) {
  (void)state;
  play_server(STYLE_COARSE, false);
  sync_book_fini(&book);
  play_server(STYLE_NOTHING, false);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(an_older_event_does_not_overwrite),
      TEST(an_older_event_fills_in_what_is_not_known),
      TEST(an_event_as_new_as_the_book_applies),
      TEST(events_without_any_age_apply_in_their_order),
      TEST(a_version_decides_before_any_time),
      TEST(the_orders_own_time_decides_before_the_events),
      TEST(clocks_that_differ_do_not_make_the_stream_old),
      TEST(an_older_snapshot_leaves_alone_what_events_have_told_since),
      TEST(a_newer_snapshot_ends_that),
      TEST(members_are_left_alone_wherever_they_move),
      TEST(an_older_snapshot_still_is_the_newest_whole),
      TEST(what_is_older_than_the_whole_changes_nothing),
      TEST(an_event_between_the_whole_and_the_last_one_tells_of_other_members),
      TEST(a_snapshot_as_new_as_the_stream_applies_if_nothing_was_heard_since_it_was_asked_for),
      TEST(so_does_a_snapshot_without_any_age),
      TEST(an_event_without_a_time_is_later_than_the_snapshot_before_it),
      TEST(a_deleted_order_is_not_listed_and_what_it_was_is_told),
      TEST(an_older_deletion_is_no_deletion),
      TEST(a_deletion_without_a_time_applies),
      TEST(older_news_do_not_bring_an_order_back),
      TEST(an_order_that_was_never_seen_can_be_deleted_before_its_snapshot_comes),
      TEST(newer_news_make_the_order_again_from_nothing),
      TEST(without_a_time_a_tombstone_goes_by_version),
      TEST(what_was_told_of_an_order_before_it_was_deleted_does_not_protect_it_afterwards),
      TEST(news_from_before_the_deletion_are_not_about_the_order_that_was_made_since),
      TEST(by_version_nothing_goes_back),
      TEST(by_the_orders_own_time_nothing_goes_back_whatever_the_broadcasters_clock_says),
      TEST(by_the_events_time_nothing_goes_back),
      TEST(by_either_time_nothing_goes_back),
      TEST(without_a_true_age_the_book_ends_where_the_server_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
