/*
 * keeper.c - writes a client's journal: notes as they come, the order book and the cursor with each commit.
 *
 * Runs inside curl's callbacks as well as outside: it calls nobody but the journal.
 */
#include "keeper.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "options.h"
#include "span.h"
#include "url.h"

/* A disk that failed is tried again after this, and then after twice as long each time, up to the most. */
#define RETRY_FIRST_MS 1000
#define RETRY_MOST_MS  30000

/* How often we look at the file itself; totals are written as often at most, and at the end. */
#define LOOK_MS   1000
#define TOTALS_MS 5000

/* A stream's name on disk: its url without secrets, and what tells two apart that differ in those. */
#define STREAM_NAME_MOST 512

/* A client that begins without its journal must not use numbers that are taken there, of events and of gaps: it counts
 * from the wall clock, which is ahead of any count of events and stays below 2^53, as far as LuaJIT can count. */
#define SEQ_PER_MS 1024u

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static int64_t now_ms(const struct sync_keeper *keeper) {
  return sync_loop_now_ms(keeper->client->loop);
}

/* The stream's row is to be written again, whatever it says. */
static void forget_row(struct sync_keeper *keeper) {
  keeper->saved_done_seq = UINT64_MAX;
}

static void forget_transaction(struct sync_keeper *keeper) {
  keeper->begun = false;
  keeper->written = 0;
}

/* What is wrong with the file itself, and not with a moment, is looked at afresh next time. */
static bool wants_reopening(sync_code code) {
  return code != SYNC_JOURNAL_FULL && code != SYNC_JOURNAL_LOCKED && code != SYNC_NO_MEMORY;
}

static void fail_for(struct sync_keeper *keeper, const sync_failure *failure) {
  sync_client *client = keeper->client;
  bool known = keeper->failure.code == failure->code;
  if (keeper->journal && keeper->begun) sync_journal_rollback(keeper->journal);
  forget_transaction(keeper);
  forget_row(keeper);
  if (wants_reopening(failure->code)) {
    sync_journal_close(keeper->journal);
    keeper->journal = NULL;
  }
  if (keeper->failure.code == SYNC_OK) keeper->failing_since_ms = sync_loop_wall_ms(client->loop);
  keeper->failure = *failure;
  keeper->retry_at_ms = now_ms(keeper) + keeper->retry_delay_ms;
  keeper->retry_delay_ms = keeper->retry_delay_ms * 2 < RETRY_MOST_MS ? keeper->retry_delay_ms * 2 : RETRY_MOST_MS;
  sync_client_set_timer(client);
  if (known) return;
  client->counters.totals.failures++;
  sync_client_tell_failure(client, failure);
}

void sync_keeper_fail(struct sync_keeper *keeper) {
  sync_failure failure;
  (void)sync_journal_failure(keeper->journal, &failure);
  fail_for(keeper, &failure);
}

static void recovered(struct sync_keeper *keeper) {
  keeper->failure.code = SYNC_OK;
  keeper->failing_since_ms = 0;
  keeper->retry_at_ms = -1;
  keeper->retry_delay_ms = RETRY_FIRST_MS;
  sync_client_set_timer(keeper->client);
}

/* ---- the transaction --------------------------------------------------------------------------------------------- */

static bool begin(struct sync_keeper *keeper) {
  if (keeper->begun) return true;
  keeper->begun = sync_journal_begin(keeper->journal);
  return keeper->begun;
}

static bool write_notes(struct sync_keeper *keeper) {
  while (keeper->written < keeper->notes.count) {
    if (!begin(keeper) || !sync_note_write(&keeper->notes.list[keeper->written], keeper->journal)) return false;
    keeper->written++;
  }
  return true;
}

static bool write_orders(struct sync_keeper *keeper) {
  struct sync_book *book = &keeper->client->book;
  sync_order_place place = {.begun = false};
  struct sync_book_entry entry;
  if (sync_book_mark(book) == keeper->book_mark) return true;
  while (sync_book_each_changed(book, keeper->book_mark, &place, &entry))
    if (!begin(keeper) || !sync_journal_put_order(keeper->journal, &entry)) return false;
  return true;
}

static bool write_gaps(struct sync_keeper *keeper, uint64_t *revision) {
  const sync_gap *gap;
  while ((gap = sync_gaps_next_change(&keeper->client->gaps, revision)))
    if (!begin(keeper) || !sync_journal_put_gap(keeper->journal, gap)) return false;
  return true;
}

uint64_t sync_keeper_done_seq(const struct sync_keeper *keeper) {
  const sync_event *held = sync_held_get(&keeper->held, 0);
  uint64_t first = held ? sync_event_seq(held) : UINT64_MAX;
  if (keeper->unsure_seq < first) first = keeper->unsure_seq;
  return first <= keeper->finished_seq ? first - 1 : keeper->finished_seq;
}

static bool write_stream(struct sync_keeper *keeper) {
  const sync_client *client = keeper->client;
  const struct sync_journal_stream row = {
      .last_event_id = sync_client_resume_id(client),
      .done_seq = sync_keeper_done_seq(keeper),
      .loaded = client->poll.loaded,
  };
  if (row.done_seq == keeper->saved_done_seq && row.loaded == keeper->saved_loaded &&
      sync_span_same(row.last_event_id, sync_buffer_span(&keeper->saved_id)))
    return true;
  sync_buffer_clear(&keeper->saved_id);
  (void)sync_buffer_append(&keeper->saved_id, row.last_event_id); /* without memory it is written again next time */
  if (!begin(keeper) || !sync_journal_write_stream(keeper->journal, &row)) return false;
  keeper->saved_done_seq = row.done_seq;
  keeper->saved_loaded = row.loaded;
  return true;
}

/* With what is written anyway. */
static bool write_totals(struct sync_keeper *keeper) {
  if (!keeper->begun || now_ms(keeper) - keeper->totals_at_ms < TOTALS_MS) return true;
  keeper->totals_at_ms = now_ms(keeper);
  return sync_keeper_write_totals(keeper);
}

static bool end_transaction(struct sync_keeper *keeper) {
  sync_client *client = keeper->client;
  if (!keeper->begun) return true;
  if (!write_totals(keeper) || !sync_journal_prune(keeper->journal, sync_loop_wall_ms(client->loop))) return false;
  if (!sync_journal_commit(keeper->journal)) return false;
  client->counters.totals.commits++;
  return true;
}

static void commit(struct sync_keeper *keeper) {
  uint64_t mark = sync_book_mark(&keeper->client->book);
  uint64_t gaps_revision = keeper->gaps_saved;
  if (!write_notes(keeper) || !write_orders(keeper) || !write_gaps(keeper, &gaps_revision)) goto fail;
  if (!write_stream(keeper) || !end_transaction(keeper)) goto fail;
  forget_transaction(keeper);
  sync_notes_clear(&keeper->notes);
  keeper->saved_seq = keeper->noted_seq;
  keeper->book_mark = mark;
  keeper->gaps_saved = gaps_revision;
  if (keeper->failure.code != SYNC_OK) recovered(keeper);
  return;

fail:
  sync_keeper_fail(keeper);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* Written with the next commit: the rows may be being read just now, into a book that has become smaller. */
static void note_dropped_order(void *arg, sync_span order_id) {
  struct sync_keeper *keeper = arg;
  /* without memory its row stays, and the order comes back at the next start, stale */
  (void)sync_notes_add(&keeper->notes, &(struct sync_note){.kind = SYNC_NOTE_DROP_ORDER, .text = order_id});
}

/* Of what is kept without notes nothing is known to be in the file. */
static void forget_saved(struct sync_keeper *keeper) {
  keeper->book_mark = keeper->gaps_saved = 0;
  forget_row(keeper);
}

/* The client has been running for a while, or has just begun. */
static sync_code open_journal(struct sync_keeper *keeper, bool late, sync_failure *failure) {
  sync_client *client = keeper->client;
  sync_code code =
      sync_journal_open(&keeper->journal, keeper->alloc, &keeper->config, sync_span_of(keeper->stream), failure);
  if (code != SYNC_OK) return code;
  forget_saved(keeper);
  sync_book_watch(&client->book, note_dropped_order, keeper);
  code = keeper->taken_up ? sync_keeper_return(keeper, failure) : sync_keeper_recover(keeper, late, failure);
  if (code == SYNC_OK) {
    keeper->taken_up = true;
    return SYNC_OK;
  }
  sync_journal_close(keeper->journal);
  keeper->journal = NULL;
  return code;
}

/* Whether the file may be written now; `hurry`: even if the disk failed a moment ago. */
static bool is_ready(struct sync_keeper *keeper, bool hurry) {
  sync_failure failure;
  if (keeper->retry_at_ms >= 0 && now_ms(keeper) < keeper->retry_at_ms && !hurry) return false;
  if (keeper->journal) return true;
  if (open_journal(keeper, true, &failure) == SYNC_OK) return true;
  fail_for(keeper, &failure);
  return false;
}

/* Whether it is still there. What somebody else has written to it can only be about dead letters. */
static void look_at_file(struct sync_keeper *keeper) {
  sync_failure failure;
  if (now_ms(keeper) - keeper->looked_at_ms < LOOK_MS) return;
  keeper->looked_at_ms = now_ms(keeper);
  if (sync_journal_is_gone(keeper->journal)) {
    sync_failure_set(&failure, SYNC_JOURNAL_GONE, "%s was deleted or replaced", keeper->config.path);
    fail_for(keeper, &failure);
    (void)is_ready(keeper, true); /* there is nothing to wait for */
  } else if (sync_journal_was_changed(keeper->journal) && sync_keeper_revive(keeper, &failure) != SYNC_OK) {
    fail_for(keeper, &failure);
  }
}

/* ---- notes ------------------------------------------------------------------------------------------------------- */

/* While the disk fails the list grows: not beyond what the file would keep, but for what has to stay. It is not gone
 * through again before it has doubled. */
static void bound_notes(struct sync_keeper *keeper) {
  size_t most = keeper->config.max_events + keeper->client->options.queue_limit;
  if (keeper->failure.code == SYNC_OK) keeper->notes_most = 0;
  if (keeper->failure.code == SYNC_OK || keeper->notes.count <= 2 * most) return;
  if (keeper->notes.count <= keeper->notes_most) return;
  sync_notes_trim(&keeper->notes, sync_keeper_done_seq(keeper), most);
  keeper->notes_most = 2 * keeper->notes.count;
}

bool sync_keeper_note(struct sync_keeper *keeper, const struct sync_note *note) {
  if (!sync_notes_add(&keeper->notes, note)) return false;
  if (keeper->journal && keeper->failure.code == SYNC_OK && !write_notes(keeper)) sync_keeper_fail(keeper);
  bound_notes(keeper);
  return true;
}

bool sync_keeper_keep(sync_client *client, sync_event *event, bool wanted) {
  struct sync_keeper *keeper = client->keeper;
  if (!keeper || sync_interest_must_name(sync_event_text(event, SYNC_EVENT_TYPE))) return true;
  sync_event_complete(event, &client->names, client->options.decode);
  if (!sync_keeper_note(keeper, &(struct sync_note){.kind = SYNC_NOTE_EVENT, .event = event})) return false;
  keeper->noted_seq = sync_event_seq(event);
  if (wanted || !client->options.manual_ack) return true;
  const struct sync_note done = {.kind = SYNC_NOTE_DONE, .number = sync_event_seq(event)};
  return sync_keeper_note(keeper, &done);
}

/* ---- what is done ------------------------------------------------------------------------------------------------ */

/* A dead letter that has been done is none. */
static void bury_no_more(struct sync_keeper *keeper, uint64_t seq) {
  for (size_t i = 0; i < keeper->revived_count; i++) {
    if (keeper->revived[i].seq != seq) continue;
    const struct sync_note note = {.kind = SYNC_NOTE_DROP_DEAD, .number = keeper->revived[i].number};
    (void)sync_keeper_note(keeper, &note);
    keeper->revived[i--] = keeper->revived[--keeper->revived_count];
  }
}

/* It is done, and not held; that wants a note where the mark has not moved over it. Without memory for one the event
 * comes again at the next start. */
static void note_done(struct sync_keeper *keeper, uint64_t seq) {
  if (sync_keeper_done_seq(keeper) < seq)
    (void)sync_keeper_note(keeper, &(struct sync_note){.kind = SYNC_NOTE_DONE, .number = seq});
  bury_no_more(keeper, seq);
}

void sync_keeper_finish(sync_client *client, sync_event *event) {
  struct sync_keeper *keeper = client->keeper;
  if (!keeper) return;
  uint64_t seq = sync_event_seq(event);
  bool answered = sync_held_remove(&keeper->early, seq) || keeper->answered;
  bool hold = (keeper->holding || client->options.manual_ack) && !answered;
  keeper->holding = keeper->answered = false;
  if (client->options.manual_ack && seq > keeper->manual_seq) keeper->manual_seq = seq;
  if (seq > keeper->finished_seq) keeper->finished_seq = seq;
  if (hold && !sync_interest_must_name(sync_event_text(event, SYNC_EVENT_TYPE))) {
    if (!sync_held_add(&keeper->held, event) && seq < keeper->unsure_seq) keeper->unsure_seq = seq;
  } else {
    (void)sync_held_remove(&keeper->held, seq); /* it is, if it was found in a journal that was opened late */
    note_done(keeper, seq);
  }
}

static bool is_event(const struct sync_entry *entry, uint64_t seq) {
  return entry->kind == SYNC_ITEM_EVENT && sync_event_seq(entry->event) == seq;
}

/* Whether it has still to be taken. Only what a journal that was opened late had can be queued and held. */
static bool is_early(struct sync_keeper *keeper, uint64_t seq, sync_event **event) {
  const struct sync_queue *queue = &keeper->client->queue;
  size_t i = 0;
  if (seq > keeper->again_seq && sync_held_has(&keeper->held, seq)) return false;
  while (i < queue->count && !is_event(sync_queue_at(queue, i), seq)) i++;
  if (i < queue->count) *event = sync_queue_at(queue, i)->event;
  return i < queue->count;
}

void sync_keeper_done(struct sync_keeper *keeper, uint64_t seq) {
  sync_event *event;
  if (is_event(&keeper->client->current, seq))
    keeper->answered = true;
  else if (is_early(keeper, seq, &event))
    (void)sync_held_add(&keeper->early, event); /* without memory it will be held, and wait to hear it again */
  else if (sync_held_remove(&keeper->held, seq))
    note_done(keeper, seq);
}

bool sync_keeper_is_full(const sync_client *client) {
  return client->keeper && sync_held_count(&client->keeper->held) >= client->options.queue_limit;
}

/* ---- when -------------------------------------------------------------------------------------------------------- */

/* What nobody wants is not queued. With nothing queued and nothing taken it is done, up to the last,
 * whether the disk works or not: what is done need not stay in memory. */
static void pass_unwanted(struct sync_keeper *keeper) {
  const sync_client *client = keeper->client;
  bool idle = client->queue.count == 0 && client->current.kind != SYNC_ITEM_EVENT;
  if (idle && client->seq > keeper->finished_seq) keeper->finished_seq = client->seq;
}

void sync_keeper_settle(sync_client *client) {
  struct sync_keeper *keeper = client->keeper;
  if (!keeper) return;
  pass_unwanted(keeper);
  if (!is_ready(keeper, false)) return;
  look_at_file(keeper);
  if (keeper->journal) commit(keeper);
}

void sync_keeper_secure(sync_client *client, const sync_event *event) {
  const struct sync_keeper *keeper = client->keeper;
  if (keeper && keeper->begun && sync_event_seq(event) > keeper->saved_seq) sync_keeper_settle(client);
}

sync_code sync_keeper_flush(struct sync_keeper *keeper) {
  pass_unwanted(keeper);
  if (is_ready(keeper, true)) commit(keeper);
  return keeper->failure.code;
}

void sync_keeper_health(const sync_client *client, sync_health *health) {
  const struct sync_keeper *keeper = client->keeper;
  if (!keeper) return;
  health->has_journal = true;
  health->journal = keeper->failure;
  health->journal_failing_since_ms = keeper->failing_since_ms;
  health->unsaved = keeper->notes.count;
  health->waiting_for_ack = sync_held_count(&keeper->held);
}

int64_t sync_keeper_deadline_ms(const sync_client *client) {
  return client->keeper ? client->keeper->retry_at_ms : -1;
}

/* ---- made and ended ---------------------------------------------------------------------------------------------- */

/* The url as it may be shown, and a fingerprint of the whole where that says less. */
static char *stream_name(const sync_client *client) {
  char name[STREAM_NAME_MOST];
  const char *url = client->options.url;
  if (client->options.journal_stream)
    return sync_alloc_text(client->alloc, sync_span_of(client->options.journal_stream));
  sync_url_show(url, name, sizeof name - 20);
  size_t length = strlen(name);
  if (strcmp(name, url) != 0) {
    uint64_t mark = sync_recent_fingerprint(sync_span_of(url), sync_span_of(""), sync_span_of(""));
    (void)snprintf(name + length, sizeof name - length, "#%016llx", (unsigned long long)mark);
  }
  return sync_alloc_text(client->alloc, sync_span_of(name));
}

/* The client's own options may be replaced while the journal is open. */
static struct sync_journal_config journal_config(const sync_options *options) {
  return (struct sync_journal_config){
      .path = options->journal_path,
      .durability = options->journal_durability,
      .max_events = options->journal_max_events,
      .max_bytes = options->journal_max_bytes,
      .max_age_ms = options->journal_max_age_ms,
      .max_dead = options->dead_letter_limit,
      .redact = options->redact,
      .redact_count = options->redact_count,
  };
}

static void keeper_free(struct sync_keeper *keeper) {
  sync_book_watch(&keeper->client->book, NULL, NULL);
  sync_journal_close(keeper->journal);
  sync_notes_fini(&keeper->notes);
  sync_held_fini(&keeper->held);
  sync_held_fini(&keeper->early);
  sync_buffer_fini(&keeper->saved_id);
  sync_alloc_free(keeper->alloc, keeper->revived);
  sync_alloc_free(keeper->alloc, keeper->stream);
  sync_options_fini(keeper->alloc, &keeper->options);
  keeper->client->keeper = NULL;
  sync_alloc_free(keeper->alloc, keeper);
}

static struct sync_keeper *keeper_new(sync_client *client) {
  struct sync_keeper *keeper = sync_alloc_zeroed(client->alloc, sizeof *keeper);
  if (!keeper) return NULL;
  keeper->client = client;
  keeper->alloc = client->alloc;
  keeper->retry_at_ms = -1;
  keeper->retry_delay_ms = RETRY_FIRST_MS;
  keeper->unsure_seq = UINT64_MAX;
  sync_notes_init(&keeper->notes, client->alloc);
  sync_held_init(&keeper->held, client->alloc);
  sync_held_init(&keeper->early, client->alloc);
  sync_buffer_init(&keeper->saved_id, client->alloc);
  client->keeper = keeper;
  keeper->stream = stream_name(client);
  if (!keeper->stream || !sync_options_copy(client->alloc, &keeper->options, &client->options)) {
    keeper_free(keeper);
    return NULL;
  }
  keeper->config = journal_config(&keeper->options);
  return keeper;
}

sync_code sync_keeper_open(sync_client *client, sync_failure *failure) {
  sync_failure ours;
  if (!client->options.journal_path) return SYNC_OK;
  struct sync_keeper *keeper = keeper_new(client);
  if (!keeper) return sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for a journal");
  sync_code code = open_journal(keeper, false, &ours);
  if (code == SYNC_OK) return SYNC_OK;
  if (code == SYNC_NO_MEMORY || code == SYNC_JOURNAL_LOCKED || client->options.journal_required) {
    keeper_free(keeper);
    if (failure) *failure = ours;
    return code;
  }
  client->seq = (uint64_t)sync_loop_wall_ms(client->loop) * SEQ_PER_MS;
  sync_gaps_number_from(&client->gaps, client->seq);
  fail_for(keeper, &ours);
  return SYNC_OK;
}

void sync_keeper_close(sync_client *client) {
  struct sync_keeper *keeper = client->keeper;
  if (!keeper) return;
  const struct sync_entry *current = &client->current;
  if (current->kind == SYNC_ITEM_EVENT && keeper->answered) sync_keeper_finish(client, current->event);
  keeper->totals_at_ms = now_ms(keeper) - TOTALS_MS;
  if (is_ready(keeper, true)) (void)begin(keeper); /* the totals are always news */
  (void)sync_keeper_flush(keeper);
  keeper_free(keeper);
}
