/*
 * recovery.c - what a client takes up from its journal: the cursor, the order book, the history, events that were not
 * done, dead letters that are wanted again.
 */
#include "error.h"
#include "keeper.h"
#include "span.h"

static sync_code no_memory(sync_failure *failure) {
  return sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for what the journal has");
}

/* After the last row, or after one for which there was no memory. */
static sync_code end_walk(struct sync_keeper *keeper, enum sync_row row, void (*end)(struct sync_journal *),
                          sync_failure *failure) {
  if (row == SYNC_ROW_FAILED) return sync_journal_failure(keeper->journal, failure);
  end(keeper->journal);
  return row == SYNC_ROW ? no_memory(failure) : SYNC_OK;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

/* An event as it was; NULL: no memory. What is no JSON any more, for another decode is in force, stays text. */
static sync_event *restore_event(sync_client *client, const struct sync_journal_event *stored) {
  const struct sync_sse_message message = {.id = stored->id, .type = stored->type, .data = stored->raw};
  struct sync_envelope envelope;
  size_t at_byte;
  sync_decode decode = client->options.decode;
  if (!sync_event_look(&client->names, decode, &message, &envelope, &at_byte) ||
      !sync_event_check(&client->names, decode, &message, &envelope, &at_byte))
    (void)sync_event_look(&client->names, SYNC_DECODE_NONE, &message, &envelope, &at_byte);
  envelope.source = stored->source;
  envelope.previous_stage = stored->previous_stage;
  envelope.fingerprint = stored->fingerprint;
  envelope.redelivered = !stored->done;
  envelope.acknowledged = stored->acknowledged;
  return sync_event_new(&client->segments, &message, &envelope, stored->seq, stored->received_at_ms);
}

/* For the host, first of all. */
static bool queue_again(sync_client *client, sync_event *event) {
  struct sync_entry entry = {.kind = SYNC_ITEM_EVENT, .changes = (uint32_t)client->interest.changes, .event = event};
  if (!sync_queue_push(&client->queue, entry)) return false;
  sync_event_retain(event);
  sync_client_mark_ready(client);
  client->counters.totals.redelivered++;
  return true;
}

/* The latest events: fingerprints of as many as duplicates are known of, and the history's. */
static sync_code take_up_latest(struct sync_keeper *keeper, sync_failure *failure) {
  sync_client *client = keeper->client;
  size_t window = client->recent.limit > client->history.limit ? client->recent.limit : client->history.limit;
  struct sync_journal_event stored;
  enum sync_row row = SYNC_ROW_NONE;
  sync_journal_seek_latest(keeper->journal, window);
  while ((row = sync_journal_next_event(keeper->journal, &stored)) == SYNC_ROW) {
    if (stored.fingerprint) sync_recent_add(&client->recent, stored.fingerprint);
    sync_event *event = restore_event(client, &stored);
    bool kept = event && sync_history_add(&client->history, event);
    if (event) sync_event_release(event);
    if (!kept) break;
  }
  return end_walk(keeper, row, sync_journal_end_events, failure);
}

/* In a client that has run for a while they come behind what it has, and the mark must not move over them. */
static sync_code take_up_undone(struct sync_keeper *keeper, bool late, sync_failure *failure) {
  struct sync_journal_event stored;
  enum sync_row row = SYNC_ROW_NONE;
  sync_journal_seek_undone(keeper->journal);
  while ((row = sync_journal_next_event(keeper->journal, &stored)) == SYNC_ROW) {
    if (stored.seq <= keeper->again_seq) continue; /* by an attempt that failed later on */
    sync_event *event = restore_event(keeper->client, &stored);
    bool kept = event && (!late || sync_held_add(&keeper->held, event)) && queue_again(keeper->client, event);
    if (event) sync_event_release(event);
    if (!kept) break;
    keeper->again_seq = stored.seq;
  }
  return end_walk(keeper, row, sync_journal_end_events, failure);
}

/* ---- the order book ---------------------------------------------------------------------------------------------- */

/* What a client has learned without its journal is newer, and the file does not have it. */
static sync_code take_up_orders(struct sync_keeper *keeper, bool late, sync_failure *failure) {
  struct sync_book *book = &keeper->client->book;
  struct sync_book_entry entry;
  enum sync_row row = SYNC_ROW_NONE;
  if (!sync_books_are_kept(keeper->client)) return SYNC_OK;
  sync_journal_seek_orders(keeper->journal);
  while ((row = sync_journal_next_order(keeper->journal, &entry)) == SYNC_ROW)
    if (!sync_book_restore(book, &entry)) break;
  if (!late && row == SYNC_ROW_NONE) keeper->book_mark = sync_book_mark(book);
  return end_walk(keeper, row, sync_journal_end_orders, failure);
}

/* ---- the stream -------------------------------------------------------------------------------------------------- */

/* A server that gave ids is asked to go on behind the last one. */
static sync_code take_up_cursor(struct sync_keeper *keeper, const struct sync_journal_stream *stream,
                                sync_failure *failure) {
  sync_client *client = keeper->client;
  if (stream->last_event_id.length == 0) return SYNC_OK;
  char *id = sync_alloc_text(client->alloc, stream->last_event_id);
  if (!id) return no_memory(failure);
  sync_alloc_free(client->alloc, client->first_id);
  client->first_id = id;
  client->connection.has_ids = true;
  return SYNC_OK;
}

/* Numbers go on behind those of the file. */
static sync_code read_stream(struct sync_keeper *keeper, struct sync_journal_stream *stream, sync_failure *failure) {
  sync_client *client = keeper->client;
  if (!sync_journal_read_stream(keeper->journal, stream)) return sync_journal_failure(keeper->journal, failure);
  if (stream->last_seq > client->seq) client->seq = stream->last_seq;
  return SYNC_OK;
}

static sync_code take_up_stream(struct sync_keeper *keeper, bool late, sync_failure *failure) {
  sync_client *client = keeper->client;
  struct sync_journal_stream stream;
  sync_code code = read_stream(keeper, &stream, failure);
  if (code == SYNC_OK && stream.has_past) sync_gaps_restore_past(&client->gaps);
  if (code != SYNC_OK || late) return code;
  keeper->finished_seq = stream.done_seq;
  keeper->noted_seq = keeper->saved_seq = stream.last_seq;
  client->poll.loaded = stream.loaded;
  code = take_up_cursor(keeper, &stream, failure);
  keeper->resumes = code == SYNC_OK;
  return code;
}

/* ---- gaps -------------------------------------------------------------------------------------------------------- */

/* What a client has noted without its journal has to be written there; with it, all of this has come from there. */
static sync_code take_up_gaps(struct sync_keeper *keeper, bool late, sync_failure *failure) {
  sync_client *client = keeper->client;
  sync_gap gap;
  enum sync_row row;
  sync_journal_seek_gaps(keeper->journal, SYNC_GAPS_MAX);
  while ((row = sync_journal_next_gap(keeper->journal, &gap)) == SYNC_ROW) sync_gaps_restore(&client->gaps, &gap);
  if (row == SYNC_ROW_FAILED) return sync_journal_failure(keeper->journal, failure);
  sync_cures_restored(client);
  if (!late) keeper->gaps_saved = client->gaps_told;
  return SYNC_OK;
}

/* A stream that was opened without the journal's cursor has not been asked for what came behind that. */
static sync_code tell_break(struct sync_keeper *keeper, sync_failure *failure) {
  struct sync_journal_stream stream;
  if (keeper->resumes) return SYNC_OK;
  sync_code code = read_stream(keeper, &stream, failure);
  if (code == SYNC_OK && stream.has_past) sync_cures_miss_past(keeper->client, stream.last_event_id);
  return code;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

/* The mark stands still at the first event that is held: of those that are noted, the ones beyond it that are done are
 * said to be one by one. false: no memory. */
static bool note_finished(struct sync_keeper *keeper) {
  const struct sync_notes *notes = &keeper->notes;
  uint64_t mark = sync_keeper_done_seq(keeper);
  for (size_t i = 0, count = notes->count; i < count && mark < keeper->finished_seq; i++) {
    const sync_event *event = notes->list[i].kind == SYNC_NOTE_EVENT ? notes->list[i].event : NULL;
    uint64_t seq = event ? sync_event_seq(event) : 0;
    if (seq <= mark || seq > keeper->finished_seq || seq >= keeper->unsure_seq) continue;
    if (sync_held_has(&keeper->held, seq)) continue;
    if (!sync_notes_add(&keeper->notes, &(struct sync_note){.kind = SYNC_NOTE_DONE, .number = seq})) return false;
  }
  return true;
}

sync_code sync_keeper_recover(struct sync_keeper *keeper, bool late, sync_failure *failure) {
  sync_code code = take_up_stream(keeper, late, failure);
  if (code == SYNC_OK) code = take_up_orders(keeper, late, failure);
  if (code == SYNC_OK) code = take_up_gaps(keeper, late, failure);
  if (code == SYNC_OK && !late) code = take_up_latest(keeper, failure);
  if (code == SYNC_OK) code = take_up_undone(keeper, late, failure);
  if (code == SYNC_OK) code = sync_keeper_revive(keeper, failure);
  if (code == SYNC_OK && late && !note_finished(keeper)) code = no_memory(failure);
  if (code == SYNC_OK && late) code = tell_break(keeper, failure);
  if (code == SYNC_OK) sync_keeper_read_totals(keeper);
  return code;
}

/* ---- dead letters ------------------------------------------------------------------------------------------------ */

static bool is_revived(const struct sync_keeper *keeper, uint64_t number) {
  for (size_t i = 0; i < keeper->revived_count; i++)
    if (keeper->revived[i].number == number) return true;
  return false;
}

static bool note_revived(struct sync_keeper *keeper, const struct sync_journal_dead *dead) {
  if (keeper->revived_count == keeper->revived_capacity) {
    size_t capacity = keeper->revived_capacity ? keeper->revived_capacity * 2 : 4;
    struct sync_revived *grown = sync_alloc_resize(keeper->alloc, keeper->revived, capacity * sizeof *grown);
    if (!grown) return false;
    keeper->revived = grown;
    keeper->revived_capacity = capacity;
  }
  keeper->revived[keeper->revived_count++] = (struct sync_revived){dead->event.seq, dead->number};
  return true;
}

static bool revive(struct sync_keeper *keeper, const struct sync_journal_dead *dead) {
  sync_event *event = restore_event(keeper->client, &dead->event);
  bool revived = event && note_revived(keeper, dead);
  if (revived && !queue_again(keeper->client, event)) {
    keeper->revived_count--;
    revived = false;
  }
  if (event) sync_event_release(event);
  return revived;
}

sync_code sync_keeper_revive(struct sync_keeper *keeper, sync_failure *failure) {
  struct sync_journal_dead dead;
  enum sync_row row = SYNC_ROW_NONE;
  sync_journal_seek_dead(keeper->journal);
  while ((row = sync_journal_next_dead(keeper->journal, &dead)) == SYNC_ROW)
    if (!is_revived(keeper, dead.number) && !revive(keeper, &dead)) break;
  return end_walk(keeper, row, sync_journal_end_dead, failure);
}

/* ---- a new file -------------------------------------------------------------------------------------------------- */

/* What has not been on disk is noted already. */
static bool note_event(struct sync_keeper *keeper, sync_event *event) {
  uint64_t seq = sync_event_seq(event);
  if (seq == 0 || seq > keeper->saved_seq) return true;
  if (sync_interest_must_name(sync_event_text(event, SYNC_EVENT_TYPE))) return true;
  sync_event_complete(event, &keeper->client->names, keeper->client->options.decode);
  return sync_notes_add(&keeper->notes, &(struct sync_note){.kind = SYNC_NOTE_EVENT, .event = event});
}

/* The order book and the cursor need no notes: all of both is written when nothing of them is known to be. */
static bool note_events_anew(struct sync_keeper *keeper) {
  sync_client *client = keeper->client;
  const struct sync_queue *queue = &client->queue;
  bool noted = true;
  for (size_t age = client->history.count; noted && age-- > 0;)
    noted = note_event(keeper, sync_history_get(&client->history, age));
  for (size_t i = 0; noted && i < sync_held_count(&keeper->held); i++)
    noted = note_event(keeper, sync_held_get(&keeper->held, i));
  if (noted && client->current.kind == SYNC_ITEM_EVENT) noted = note_event(keeper, client->current.event);
  for (size_t i = 0; noted && i < queue->count; i++) {
    const struct sync_entry *entry = sync_queue_at(queue, i);
    if (entry->kind == SYNC_ITEM_EVENT) noted = note_event(keeper, entry->event);
  }
  return noted && note_finished(keeper);
}

/* Dead letters went with the old file. */
sync_code sync_keeper_return(struct sync_keeper *keeper, sync_failure *failure) {
  struct sync_journal_stream stream;
  sync_code code = read_stream(keeper, &stream, failure);
  if (code != SYNC_OK || stream.last_seq >= keeper->saved_seq) return code;
  if (!note_events_anew(keeper)) return no_memory(failure);
  keeper->saved_seq = 0;
  keeper->revived_count = 0;
  return SYNC_OK;
}
