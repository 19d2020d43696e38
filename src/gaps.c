/* gaps.c - the ledger of gaps: first what ids say, then the stream, then cures. */
#include "gaps.h"

#include <string.h>

#include "span.h"

static struct sync_gap_entry *open_gap_after(struct sync_gaps *gaps, sync_span id, struct sync_gap gap,
                                             int64_t now_ms) {
  gap.opened_at_ms = now_ms;
  gap.after_id = id;
  if (gaps->config.order_id) gap.order_id = sync_span_of(gaps->config.order_id);
  return sync_gap_list_add(&gaps->list, (struct sync_gap_entry){.gap = gap});
}

static struct sync_gap_entry *open_gap(struct sync_gaps *gaps, struct sync_gap gap, int64_t now_ms) {
  return open_gap_after(gaps, sync_buffer_span(&gaps->last_id), gap, now_ms);
}

/* ---- ids that count ---------------------------------------------------------------------------------------------- */

struct count {
  sync_span prefix;
  uint64_t number;
};

static bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

/* false: it does not end in a number below 2^64. */
static bool read_count(sync_span id, struct count *count) {
  size_t at = id.length;
  while (at > 0 && is_digit(id.bytes[at - 1])) at--;
  *count = (struct count){.prefix = {id.bytes, at}};
  for (size_t i = at; i < id.length; i++) {
    uint64_t digit = (uint64_t)(id.bytes[i] - '0');
    if (count->number > (UINT64_MAX - digit) / 10) return false;
    count->number = count->number * 10 + digit;
  }
  return at < id.length;
}

/* Takes a run of digits off, and gives what counts of it. */
static sync_span take_digits(sync_span *text) {
  sync_span digits = {text->bytes, 0};
  while (digits.length < text->length && is_digit(text->bytes[digits.length])) digits.length++;
  text->bytes += digits.length;
  text->length -= digits.length;
  for (; digits.length > 0 && digits.bytes[0] == '0'; digits.length--) digits.bytes++;
  return digits;
}

static int compare_digits(sync_span a, sync_span b) {
  if (a.length != b.length) return a.length < b.length ? -1 : 1;
  return a.length == 0 ? 0 : memcmp(a.bytes, b.bytes, a.length);
}

/* Whether both are the same text but for the numbers in it, and the first that differs has grown: as dates and times
 * do. */
static bool has_grown(sync_span before, sync_span now) {
  int order = 0;
  while (before.length > 0 && now.length > 0) {
    if (is_digit(before.bytes[0]) && is_digit(now.bytes[0])) {
      int next = compare_digits(take_digits(&before), take_digits(&now));
      if (order == 0) order = next;
    } else if (before.bytes[0] == now.bytes[0]) {
      before.bytes++, before.length--;
      now.bytes++, now.length--;
    } else {
      return false;
    }
  }
  return before.length == 0 && now.length == 0 && order < 0;
}

/* ---- where the stream is ----------------------------------------------------------------------------------------- */

static void begin_learning(struct sync_gaps *gaps) {
  gaps->ids = gaps->config.ids;
  if (gaps->ids == SYNC_GAP_IDS_AUTO && gaps->config.filtered) gaps->ids = SYNC_GAP_IDS_OPAQUE;
  gaps->vain = 0;
  gaps->has_position = false;
}

/* The ids have turned out not to count. What the user says stands. */
static void contradict(struct sync_gaps *gaps) {
  if (gaps->config.ids == SYNC_GAP_IDS_AUTO) gaps->ids = SYNC_GAP_IDS_OPAQUE;
}

static void note_id(struct sync_gaps *gaps, sync_span id) {
  sync_buffer_clear(&gaps->last_id);
  (void)sync_buffer_append(&gaps->last_id, id); /* without memory a gap does not say where it begins */
}

/* From here on, whatever was before. Without memory the next id is the first. */
static void move_to(struct sync_gaps *gaps, const struct count *count, int64_t now_ms) {
  bool same = gaps->has_position && sync_span_same(sync_buffer_span(&gaps->prefix), count->prefix);
  if (!same) gaps->prefix_from_ms = now_ms;
  if (!same || count->number < gaps->top) gaps->era++;
  sync_buffer_clear(&gaps->prefix);
  gaps->has_position = sync_buffer_append(&gaps->prefix, count->prefix);
  gaps->top = count->number;
  gaps->run = 0;
  gaps->fresh = false;
}

static bool is_clock(const struct sync_gaps *gaps, sync_span prefix) {
  bool steady = gaps->prefix_until_ms - gaps->prefix_from_ms >= SYNC_GAPS_STEADY_MS;
  return gaps->config.ids == SYNC_GAP_IDS_AUTO && !steady && has_grown(sync_buffer_span(&gaps->prefix), prefix);
}

/* ---- holes ------------------------------------------------------------------------------------------------------- */

/* What was refused has come again, or something behind it has: what is open of its hole was not replayed. */
static void end_replay(struct sync_gaps *gaps) {
  gaps->replaying = false;
  for (size_t i = 0; i < gaps->list.count; i++) gaps->list.entries[i].replaying = false;
}

/* The server knows where the hole is, and has nothing for it. */
static void count_vain_replay(struct sync_gaps *gaps) {
  bool vain = false;
  for (size_t i = 0; i < gaps->list.count; i++) vain = vain || gaps->list.entries[i].replaying;
  end_replay(gaps);
  if (vain && ++gaps->vain >= SYNC_GAPS_VAIN_MAX) contradict(gaps);
}

/* In mid-stream the connection has lost nothing, so the server has; it is asked again if it has kept what it dropped.
 */
static bool is_worth_replaying(const struct sync_gaps *gaps) {
  return gaps->may_replay && gaps->replays && !gaps->fresh && gaps->vain < SYNC_GAPS_VAIN_MAX;
}

/* The numbers between the highest one and `count` have not come. */
static enum sync_gaps_verdict open_hole(struct sync_gaps *gaps, sync_span id, const struct count *count,
                                        int64_t now_ms) {
  if (gaps->replaying) { /* the refused one is lost as well: this server does not replay */
    end_replay(gaps);
    gaps->vain = SYNC_GAPS_VAIN_MAX;
  }
  uint64_t first = gaps->top + 1, last = count->number - 1;
  const struct sync_gap gap = {.reason = SYNC_GAP_IDS, .missing = last - first + 1, .before_id = id};
  struct sync_gap_entry *entry = open_gap(gaps, gap, now_ms);
  bool refuse = entry && is_worth_replaying(gaps);
  if (entry) {
    entry->era = gaps->era;
    entry->first = first;
    entry->last = last;
    entry->replaying = gaps->replaying = refuse;
  }
  gaps->top = refuse ? last : count->number;
  if (refuse) return SYNC_GAPS_REFUSE;
  gaps->fresh = false;
  note_id(gaps, id);
  return SYNC_GAPS_TAKE;
}

/* `number`, which is not a new one, has come: it may be one that was missing. */
static void fill(struct sync_gaps *gaps, uint64_t number, int64_t now_ms) {
  for (size_t i = 0; i < gaps->list.count; i++) {
    struct sync_gap_entry *entry = &gaps->list.entries[i];
    if (!sync_gap_entry_is_open(entry) || entry->era != gaps->era || number < entry->first || number > entry->last)
      continue;
    if (entry->first != number && entry->last != number) {
      (void)sync_gap_list_split(&gaps->list, i, number);
    } else if (--entry->gap.missing == 0) {
      sync_gap_list_close(&gaps->list, entry, SYNC_CURE_REPLAY, now_ms);
      gaps->vain = 0;
    } else {
      if (entry->first == number)
        entry->first++;
      else
        entry->last--;
      sync_gap_list_touch(&gaps->list, entry);
    }
    return;
  }
}

/* ---- an event's id ----------------------------------------------------------------------------------------------- */

static enum sync_gaps_verdict take_next(struct sync_gaps *gaps, sync_span id, uint64_t number, int64_t now_ms) {
  if (gaps->replaying) count_vain_replay(gaps);
  if (gaps->fresh && now_ms - gaps->stream_opened_at_ms <= SYNC_GAPS_PROMPT_MS) gaps->replays = true;
  gaps->top = number;
  gaps->fresh = false;
  gaps->prefix_until_ms = now_ms;
  note_id(gaps, id);
  if (gaps->ids == SYNC_GAP_IDS_AUTO && ++gaps->run >= SYNC_GAPS_DENSE_FROM) gaps->ids = SYNC_GAP_IDS_DENSE;
  return SYNC_GAPS_TAKE;
}

static void begin_anew(struct sync_gaps *gaps, sync_span id, const struct count *count, bool lost, int64_t now_ms) {
  const struct sync_gap gap = {.reason = SYNC_GAP_EPOCH, .before_id = id};
  if (gaps->replaying) end_replay(gaps);
  if (lost) (void)open_gap(gaps, gap, now_ms);
  move_to(gaps, count, now_ms);
  note_id(gaps, id);
}

/* In mid-stream nothing is lost if the new count begins at its beginning. */
static void take_other_prefix(struct sync_gaps *gaps, sync_span id, const struct count *count, int64_t now_ms) {
  bool lost = gaps->fresh || count->number > 1;
  if (is_clock(gaps, count->prefix)) return contradict(gaps);
  begin_anew(gaps, id, count, lost, now_ms);
}

/* A number that is not above all others: sent again, or missing until now; or, first thing in a stream, the first of a
 * new count. */
static void take_old(struct sync_gaps *gaps, sync_span id, const struct count *count, int64_t now_ms) {
  gaps->prefix_until_ms = now_ms;
  if (gaps->fresh && count->number <= 1 && count->number < gaps->top)
    begin_anew(gaps, id, count, true, now_ms);
  else
    fill(gaps, count->number, now_ms);
}

/* Until it is known whether ids count, one that does not follow shows that they do not: unless the stream was away, for
 * then it shows nothing. */
static void learn(struct sync_gaps *gaps, sync_span id, const struct count *count, bool is_same, int64_t now_ms) {
  bool is_old = is_same && count->number <= gaps->top;
  if (gaps->fresh)
    move_to(gaps, count, now_ms);
  else if (!is_old)
    contradict(gaps);
  note_id(gaps, id);
}

static enum sync_gaps_verdict judge(struct sync_gaps *gaps, sync_span id, const struct count *count, int64_t now_ms) {
  bool is_same = sync_span_same(sync_buffer_span(&gaps->prefix), count->prefix);
  if (is_same && count->number == gaps->top + 1) return take_next(gaps, id, count->number, now_ms); /* 2^64 wraps */
  if (gaps->ids == SYNC_GAP_IDS_AUTO)
    learn(gaps, id, count, is_same, now_ms);
  else if (!is_same)
    take_other_prefix(gaps, id, count, now_ms);
  else if (count->number <= gaps->top)
    take_old(gaps, id, count, now_ms);
  else
    return open_hole(gaps, id, count, now_ms);
  return SYNC_GAPS_TAKE;
}

enum sync_gaps_verdict sync_gaps_see(struct sync_gaps *gaps, sync_span id, bool may_replay, int64_t now_ms) {
  struct count count;
  bool accounted = gaps->accounted;
  gaps->may_replay = may_replay;
  gaps->has_past = true;
  gaps->accounted = false;
  if (id.length == 0) return SYNC_GAPS_TAKE;
  bool counts = read_count(id, &count);
  if (!counts) contradict(gaps);
  if (counts && gaps->ids != SYNC_GAP_IDS_OPAQUE) {
    if (gaps->has_position && !accounted) return judge(gaps, id, &count, now_ms);
    move_to(gaps, &count, now_ms);
  }
  note_id(gaps, id);
  return SYNC_GAPS_TAKE;
}

/* ---- a stream ---------------------------------------------------------------------------------------------------- */

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t';
}

/* As HTTP takes a field's value: without white space around it (RFC 9110, 5.5). */
static sync_span trimmed(sync_span text) {
  while (text.length > 0 && is_blank(text.bytes[0])) text.bytes++, text.length--;
  while (text.length > 0 && is_blank(text.bytes[text.length - 1])) text.length--;
  return text;
}

/* What the hub says of the id that it was asked for. */
static void hear_hub(struct sync_gaps *gaps, sync_span asked, sync_span answered, int64_t now_ms) {
  const struct sync_gap gap = {.reason = SYNC_GAP_HUB, .detail = answered};
  if (sync_span_same(trimmed(asked), trimmed(answered))) {
    gaps->replays = true;
  } else if (!sync_span_is(asked, "earliest")) {
    note_id(gaps, asked);
    (void)open_gap(gaps, gap, now_ms);
    gaps->accounted = true;
  }
}

void sync_gaps_opened(struct sync_gaps *gaps, sync_span asked, sync_span answered, int64_t now_ms) {
  struct count count;
  gaps->accounted = false;
  if (asked.length == 0 && gaps->has_past) {
    (void)open_gap(gaps, (struct sync_gap){.reason = SYNC_GAP_NO_REPLAY}, now_ms);
    gaps->accounted = true;
  }
  if (asked.length > 0) {
    if (answered.bytes) hear_hub(gaps, asked, answered, now_ms);
    if (!gaps->has_position && read_count(asked, &count)) move_to(gaps, &count, now_ms);
    if (gaps->last_id.length == 0) note_id(gaps, asked);
  }
  if (gaps->accounted && gaps->replaying) end_replay(gaps);
  gaps->fresh = true;
  gaps->stream_opened_at_ms = now_ms;
}

/* How many events lie between, if the server counts. */
static uint64_t missing_until(const struct sync_gaps *gaps, const struct count *count) {
  bool known = gaps->ids == SYNC_GAP_IDS_DENSE && gaps->has_position && count->number > gaps->top &&
               sync_span_same(sync_buffer_span(&gaps->prefix), count->prefix);
  return known ? count->number - gaps->top : 0;
}

void sync_gaps_resync(struct sync_gaps *gaps, sync_span id, sync_span why, int64_t now_ms) {
  struct count count;
  bool counts = id.length > 0 && read_count(id, &count);
  struct sync_gap gap = {.reason = SYNC_GAP_RESYNC, .detail = why};
  if (counts) gap.missing = missing_until(gaps, &count);
  if (!gaps->accounted) (void)open_gap(gaps, gap, now_ms);
  if (gaps->replaying) end_replay(gaps);
  if (counts) move_to(gaps, &count, now_ms);
  if (id.length > 0) note_id(gaps, id);
  gaps->accounted = !counts;
  gaps->has_past = true;
}

/* ---- cures ------------------------------------------------------------------------------------------------------- */

/* Only what the client is asked for now can be fetched order by order. */
static bool concerns_our_order(const struct sync_gaps *gaps, const struct sync_gap *gap) {
  return gaps->config.order_id && sync_span_is(gap->order_id, gaps->config.order_id);
}

enum sync_gap_cure sync_gaps_next_cure(const struct sync_gaps *gaps) {
  bool waits = gaps->list.unlisted > gaps->unlisted_covered;
  bool ours = !waits; /* nobody knows what those are about */
  for (size_t i = 0; i < gaps->list.count; i++) {
    const struct sync_gap_entry *entry = &gaps->list.entries[i];
    if (!sync_gap_entry_is_open(entry) || entry->replaying || entry->covered) continue;
    waits = true;
    ours = ours && concerns_our_order(gaps, &entry->gap);
  }
  if (waits && ours && gaps->config.can_fetch_order) return SYNC_CURE_ORDER;
  return waits && gaps->config.can_fetch_snapshot ? SYNC_CURE_SNAPSHOT : SYNC_CURE_NONE;
}

void sync_gaps_asked(struct sync_gaps *gaps, enum sync_gap_cure cure) {
  for (size_t i = 0; i < gaps->list.count; i++) {
    struct sync_gap_entry *entry = &gaps->list.entries[i];
    if (cure == SYNC_CURE_SNAPSHOT || concerns_our_order(gaps, &entry->gap)) entry->covered |= 1u << cure;
  }
  if (cure == SYNC_CURE_SNAPSHOT) gaps->unlisted_covered = gaps->list.unlisted;
}

void sync_gaps_cured(struct sync_gaps *gaps, enum sync_gap_cure cure, int64_t now_ms) {
  for (size_t i = 0; i < gaps->list.count; i++) {
    struct sync_gap_entry *entry = &gaps->list.entries[i];
    if (sync_gap_entry_is_open(entry) && entry->covered & 1u << cure)
      sync_gap_list_close(&gaps->list, entry, cure, now_ms);
  }
  if (cure != SYNC_CURE_SNAPSHOT) return;
  gaps->list.unlisted -= gaps->unlisted_covered;
  gaps->unlisted_covered = 0;
}

void sync_gaps_uncured(struct sync_gaps *gaps, enum sync_gap_cure cure) {
  for (size_t i = 0; i < gaps->list.count; i++) gaps->list.entries[i].covered &= ~(1u << cure);
  if (cure == SYNC_CURE_SNAPSHOT) gaps->unlisted_covered = 0;
}

static bool give_up_unlisted(struct sync_gaps *gaps) {
  bool any = gaps->list.unlisted > 0;
  gaps->list.unlisted = gaps->unlisted_covered = 0;
  return any;
}

bool sync_gaps_give_up(struct sync_gaps *gaps, uint64_t number, int64_t now_ms) {
  if (number == 0) return give_up_unlisted(gaps);
  for (size_t i = 0; i < gaps->list.count; i++) {
    struct sync_gap_entry *entry = &gaps->list.entries[i];
    if (entry->gap.number != number || !sync_gap_entry_is_open(entry)) continue;
    sync_gap_list_close(&gaps->list, entry, SYNC_CURE_GIVEN_UP, now_ms);
    return true;
  }
  return false;
}

/* ---- life, and what there is ------------------------------------------------------------------------------------- */

void sync_gaps_init(struct sync_gaps *gaps, const sync_allocator *alloc, const struct sync_gaps_config *config) {
  *gaps = (struct sync_gaps){.config = *config};
  sync_gap_list_init(&gaps->list, alloc);
  sync_buffer_init(&gaps->prefix, alloc);
  sync_buffer_init(&gaps->last_id, alloc);
  begin_learning(gaps);
}

void sync_gaps_fini(struct sync_gaps *gaps) {
  sync_gap_list_fini(&gaps->list);
  sync_buffer_fini(&gaps->prefix);
  sync_buffer_fini(&gaps->last_id);
}

void sync_gaps_configure(struct sync_gaps *gaps, const struct sync_gaps_config *config, bool other_stream) {
  bool learn_anew = other_stream || config->ids != gaps->config.ids || config->filtered != gaps->config.filtered;
  gaps->config = *config;
  if (learn_anew) begin_learning(gaps);
  if (!other_stream) return;
  end_replay(gaps);
  sync_buffer_clear(&gaps->last_id);
  gaps->replays = gaps->has_past = gaps->accounted = false;
}

void sync_gaps_number_from(struct sync_gaps *gaps, uint64_t number) {
  gaps->list.last_number = number;
}

void sync_gaps_restore(struct sync_gaps *gaps, const struct sync_gap *gap) {
  sync_gap_list_restore(&gaps->list, gap);
}

void sync_gaps_restore_past(struct sync_gaps *gaps) {
  gaps->has_past = true;
}

void sync_gaps_miss_past(struct sync_gaps *gaps, sync_span last_id, int64_t now_ms) {
  (void)open_gap_after(gaps, last_id, (struct sync_gap){.reason = SYNC_GAP_NO_REPLAY}, now_ms);
}

bool sync_gaps_are_dense(const struct sync_gaps *gaps) {
  return gaps->ids == SYNC_GAP_IDS_DENSE;
}

uint64_t sync_gaps_open_count(const struct sync_gaps *gaps) {
  return sync_gap_list_open_count(&gaps->list);
}

const struct sync_gap *sync_gaps_get(const struct sync_gaps *gaps, size_t index) {
  return index < gaps->list.count ? &gaps->list.entries[index].gap : NULL;
}

const struct sync_gap *sync_gaps_next_change(const struct sync_gaps *gaps, uint64_t *revision) {
  return sync_gap_list_next_change(&gaps->list, revision);
}
