/* gaps_scene.h - a ledger of gaps, and a server in words, for the tests of gaps.c. One test at a time. */
#ifndef GAPS_SCENE_H
#define GAPS_SCENE_H

#include "gaps.h"

#include <stdio.h>
#include <string.h>

#include "counting_alloc.h"
#include "spans.h"

#define NONE ((sync_span){NULL, 0})

static struct counting_alloc memory;
static struct sync_gaps gaps;
static int64_t now_ms;
static bool may_replay;

static inline void begin(enum sync_gap_ids ids) {
  const struct sync_gaps_config config = {.ids = ids, .can_fetch_snapshot = true};
  sync_gaps_init(&gaps, &memory.allocator, &config);
  now_ms = 1000000;
  may_replay = true;
}

static inline int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  begin(SYNC_GAP_IDS_AUTO);
  return 0;
}

static inline int tear_down(void **state) {
  (void)state;
  sync_gaps_fini(&gaps);
  counting_alloc_check(&memory);
  return 0;
}

static inline void begin_again(enum sync_gap_ids ids) {
  sync_gaps_fini(&gaps);
  begin(ids);
}

static inline void reopen(const char *asked) {
  sync_gaps_opened(&gaps, span_of(asked), NONE, now_ms);
}

static inline enum sync_gaps_verdict see(const char *id) {
  return sync_gaps_see(&gaps, span_of(id), may_replay, now_ms);
}

static inline enum sync_gaps_verdict see_number(const char *prefix, unsigned long long number) {
  char id[64];
  snprintf(id, sizeof id, "%s%llu", prefix, number);
  return see(id);
}

/* Numbers without a hole, long enough to be believed. */
static inline unsigned long long count_up(const char *prefix, unsigned long long from) {
  for (unsigned step = 0; step <= SYNC_GAPS_DENSE_FROM; step++) see_number(prefix, from++);
  return from - 1;
}

/* Follows what another id means: the server is known to replay. */
static inline void prove_replay(const char *asked) {
  sync_gaps_opened(&gaps, span_of(asked), span_of(asked), now_ms);
}

static inline const struct sync_gap *gap_at(size_t index) {
  const struct sync_gap *gap = sync_gaps_get(&gaps, index);
  assert_non_null(gap);
  return gap;
}

static inline void check_gap(size_t index, enum sync_gap_reason reason, enum sync_gap_cure cure, uint64_t missing) {
  const struct sync_gap *gap = gap_at(index);
  assert_string_equal(sync_gap_reason_name(gap->reason), sync_gap_reason_name(reason));
  assert_string_equal(sync_gap_cure_name(gap->cure), sync_gap_cure_name(cure));
  assert_int_equal(gap->missing, missing);
}

static inline void check_open(uint64_t count) {
  assert_int_equal(sync_gaps_open_count(&gaps), count);
}

/* What a server sends, word by word: an id; `|`: the stream was away, and resumed; `+N`: N ms went by; `N..M`: all
 * numbers between, with what stands before N; `-`: an event without id. */
static inline void play_range(char *word, char *dots) {
  *dots = '\0';
  char *digits = dots;
  while (digits > word && digits[-1] >= '0' && digits[-1] <= '9') digits--;
  unsigned long long from = strtoull(digits, NULL, 10), to = strtoull(dots + 2, NULL, 10);
  *digits = '\0';
  for (; from <= to; from++) see_number(word, from);
}

static inline void play_word(char *word) {
  char *dots = strstr(word, "..");
  if (strcmp(word, "|") == 0)
    reopen("whatever");
  else if (strcmp(word, "-") == 0)
    see("");
  else if (word[0] == '+')
    now_ms += strtoll(word + 1, NULL, 10);
  else if (dots)
    play_range(word, dots);
  else
    assert_int_equal(see(word), SYNC_GAPS_TAKE);
}

static inline void play(const char *sent) {
  char words[256], *at = words;
  assert_true(strlen(sent) < sizeof words);
  strcpy(words, sent);
  for (char *word; (word = strsep(&at, " "));) play_word(word);
}

#endif
