/* undertakings.c - what hosts undertake for events, and tell the journal of: acknowledgements, effects, dead letters.
 */
#include "keeper.h"
#include "options.h"

/* ---- done, or not yet -------------------------------------------------------------------------------------------- */

static sync_code note(struct sync_keeper *keeper, const struct sync_note *what) {
  return sync_keeper_note(keeper, what) ? SYNC_OK : SYNC_NO_MEMORY;
}

/* While the host takes items the end of that settles; else nothing may for a while. */
static void settle_between_drains(sync_client *client) {
  if (client->queue.count == 0 && client->current.kind != SYNC_ITEM_EVENT) sync_keeper_settle(client);
}

/* There may be room again, for which a stream that is paused waits. */
static void be_done(sync_client *client, uint64_t seq) {
  bool was_full = sync_keeper_is_full(client);
  sync_keeper_done(client->keeper, seq);
  if (was_full) sync_loop_settle(client->loop);
}

sync_code sync_client_ack(sync_client *client, uint64_t seq) {
  struct sync_keeper *keeper = client->keeper;
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  if (!keeper) return SYNC_OK;
  if (client->options.manual_ack || seq <= keeper->manual_seq) be_done(client, seq);
  sync_code code = note(keeper, &(struct sync_note){.kind = SYNC_NOTE_ACKNOWLEDGED, .number = seq});
  settle_between_drains(client);
  return code;
}

sync_code sync_client_hold(sync_client *client) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  if (client->keeper && client->current.kind == SYNC_ITEM_EVENT) client->keeper->holding = true;
  return SYNC_OK;
}

sync_code sync_client_done(sync_client *client, uint64_t seq) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  if (!client->keeper) return SYNC_OK;
  be_done(client, seq);
  settle_between_drains(client);
  return SYNC_OK;
}

/* ---- effects ----------------------------------------------------------------------------------------------------- */

/* What a disk that cannot be read may know of: then perhaps it has happened. */
static bool may_be_on_disk(const struct sync_keeper *keeper, uint64_t seq) {
  return seq <= keeper->saved_seq || seq <= keeper->again_seq;
}

/* What is noted is newer than what is on disk. */
static sync_effect known_effect(struct sync_keeper *keeper, uint64_t seq, sync_span name) {
  sync_effect effect;
  if (sync_notes_effect(&keeper->notes, seq, name, &effect)) return effect;
  if (keeper->journal && sync_journal_read_effect(keeper->journal, seq, name, &effect)) return effect;
  if (keeper->journal) sync_keeper_fail(keeper);
  return may_be_on_disk(keeper, seq) ? SYNC_EFFECT_STARTED : SYNC_EFFECT_NEW;
}

static sync_code note_effect(sync_client *client, uint64_t seq, sync_span name, sync_effect effect) {
  const struct sync_note what = {
      .kind = SYNC_NOTE_EFFECT,
      .effect = effect,
      .number = seq,
      .text = name,
      .at_ms = sync_loop_wall_ms(client->loop),
  };
  sync_code code = note(client->keeper, &what);
  if (code == SYNC_OK) sync_keeper_settle(client);
  return code;
}

sync_code sync_client_effect_begin(sync_client *client, uint64_t seq, sync_span name, sync_effect *effect) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  if (!client->keeper) return SYNC_NO_JOURNAL;
  *effect = known_effect(client->keeper, seq, name);
  return *effect == SYNC_EFFECT_DONE ? SYNC_OK : note_effect(client, seq, name, SYNC_EFFECT_STARTED);
}

sync_code sync_client_effect_end(sync_client *client, uint64_t seq, sync_span name, bool happened) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  if (!client->keeper) return SYNC_NO_JOURNAL;
  return note_effect(client, seq, name, happened ? SYNC_EFFECT_DONE : SYNC_EFFECT_NEW);
}

/* ---- dead letters ------------------------------------------------------------------------------------------------ */

sync_code sync_client_bury(sync_client *client, sync_event *event, sync_span problem, int64_t attempts) {
  struct sync_keeper *keeper = client->keeper;
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  client->counters.totals.dead_letters++;
  if (!keeper) return SYNC_NO_JOURNAL;
  const struct sync_note what = {
      .kind = SYNC_NOTE_DEAD,
      .event = event,
      .text = problem,
      .at_ms = sync_loop_wall_ms(client->loop),
      .attempts = attempts,
  };
  sync_event_complete(event, &client->names, client->options.decode);
  sync_code code = note(keeper, &what);
  if (code == SYNC_OK) sync_keeper_done(keeper, sync_event_seq(event));
  return code;
}

bool sync_client_next_dead(sync_client *client, uint64_t *next, sync_dead_letter *letter) {
  struct sync_keeper *keeper = client->keeper;
  struct sync_journal_dead dead;
  if (!sync_loop_ours(client->loop) || !keeper || sync_keeper_flush(keeper) != SYNC_OK) return false;
  if (!sync_journal_read_dead(keeper->journal, *next, &dead)) return false;
  *next = dead.number + 1;
  *letter = (sync_dead_letter){
      .number = dead.number,
      .seq = dead.event.seq,
      .id = dead.event.id,
      .type = dead.event.type,
      .order_id = dead.order_id,
      .raw = dead.event.raw,
      .problem = dead.problem,
      .attempts = dead.attempts,
      .failed_at_ms = dead.failed_at_ms,
      .wanted = dead.wanted,
  };
  return true;
}

sync_code sync_client_redeliver(sync_client *client, uint64_t number) {
  struct sync_keeper *keeper = client->keeper;
  sync_failure failure;
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  if (!keeper) return SYNC_NO_JOURNAL;
  sync_code code = note(keeper, &(struct sync_note){.kind = SYNC_NOTE_WANT_DEAD, .number = number});
  if (code == SYNC_OK) code = sync_keeper_flush(keeper);
  if (code == SYNC_OK) code = sync_keeper_revive(keeper, &failure);
  sync_loop_settle(client->loop);
  return code;
}

sync_code sync_client_forget_dead(sync_client *client, uint64_t number) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  if (!client->keeper) return SYNC_NO_JOURNAL;
  sync_code code = note(client->keeper, &(struct sync_note){.kind = SYNC_NOTE_DROP_DEAD, .number = number});
  settle_between_drains(client);
  return code;
}

sync_code sync_client_flush(sync_client *client) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  return client->keeper ? sync_keeper_flush(client->keeper) : SYNC_NO_JOURNAL;
}
