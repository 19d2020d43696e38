/*
 * book_random_test.c - a server is played, whose events arrive late and whose snapshots overtake them: no member of the
 * order may ever go back in the book, and in the end the book must be where the server is.
 */
#include <stdlib.h>

#include "object.h"
#include "orders.h"

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
      TEST(by_version_nothing_goes_back),
      TEST(by_the_orders_own_time_nothing_goes_back_whatever_the_broadcasters_clock_says),
      TEST(by_the_events_time_nothing_goes_back),
      TEST(by_either_time_nothing_goes_back),
      TEST(without_a_true_age_the_book_ends_where_the_server_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
