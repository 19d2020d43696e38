/*
 * cures.c - a client and its ledger of gaps: what the stream brings and what polls do is told to the ledger, what it
 * wants fetched is polled, and what it has opened and closed is told to the host. The journal's part is keeper.c's.
 */
#include "client.h"
#include "json.h"
#include "span.h"

static int64_t wall_ms(const sync_client *client) {
  return sync_loop_wall_ms(client->loop);
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

void sync_cures_configure(sync_client *client, bool other_stream) {
  const sync_options *options = &client->options;
  bool has_book = sync_books_are_kept(client);
  const struct sync_gaps_config config = {
      .ids = options->gap_ids,
      .filtered = options->order_id || options->event_types,
      .order_id = options->order_id,
      .can_fetch_order = has_book && sync_poll_has_order(client),
      .can_fetch_snapshot = has_book && sync_poll_has_whole_list(client),
  };
  sync_gaps_configure(&client->gaps, &config, other_stream);
}

/* ---- what the host is told, and what is asked for ---------------------------------------------------------------- */

static void tell(sync_client *client, const sync_gap *gap) {
  sync_gap *copy = sync_gap_copy(client->alloc, gap);
  if (copy) sync_client_tell(client, (struct sync_entry){.kind = SYNC_ITEM_GAP, .gap = copy});
}

/* A gap is news when it opens and when it closes; in between it may shrink. Whether one has opened. */
static bool tell_changes(sync_client *client) {
  const sync_gap *gap;
  bool any = false;
  while ((gap = sync_gaps_next_change(&client->gaps, &client->gaps_told))) {
    bool opened = gap->number > client->newest_gap;
    if (opened) {
      client->newest_gap = gap->number;
      client->counters.totals.gaps++;
    }
    if (opened || gap->cure != SYNC_CURE_NONE) tell(client, gap);
    any = any || opened;
  }
  return any;
}

/* A poll that has failed is tried again in its own time, and tells then. */
static void fetch(sync_client *client) {
  const struct sync_poller *poller = &client->poll.poller;
  if (!client->wanted) return;
  if (poller->failures > 0 && poller->phase == SYNC_POLLER_WAITING)
    client->poll.next_source = SYNC_SOURCE_BACKFILL;
  else
    sync_poll_once(client, SYNC_SOURCE_BACKFILL);
}

void sync_cures_seek(sync_client *client) {
  if (sync_gaps_next_cure(&client->gaps) != SYNC_CURE_NONE) fetch(client);
}

/* A snapshot that leaves orders out closes no gap, but it has news. */
static bool has_partial_list(const sync_client *client) {
  return sync_books_are_kept(client) && sync_poll_is_possible(client) && client->options.poll_is_partial;
}

static void settle(sync_client *client) {
  if (client->gaps_told == client->gaps.list.revision) return;
  bool opened = tell_changes(client);
  if (opened && has_partial_list(client))
    fetch(client);
  else
    sync_cures_seek(client);
  sync_client_set_timer(client);
}

/* ---- the stream -------------------------------------------------------------------------------------------------- */

void sync_cures_open(sync_client *client, const char *answered) {
  sync_span asked = sync_client_resume_id(client);
  if (!sync_request_carries_id(asked)) asked = (sync_span){"", 0};
  client->resumed = client->connection.has_ids && asked.length > 0;
  sync_gaps_opened(&client->gaps, asked, answered ? sync_span_of(answered) : (sync_span){NULL, 0}, wall_ms(client));
  settle(client);
}

/* The string in the member `reason` of a JSON object, as it is written; empty: there is none. */
static sync_span reason_in(sync_span text) {
  sync_json json;
  sync_json_token key, value;
  sync_span whole;
  sync_json_init(&json, text);
  if (sync_json_next(&json, &key) != SYNC_JSON_OBJECT) return (sync_span){"", 0};
  while (sync_json_next(&json, &key) == SYNC_JSON_KEY) {
    sync_json_next(&json, &value);
    if (value.kind == SYNC_JSON_STRING && sync_span_is(key.text, "reason")) return value.text;
    if (!sync_json_value(&json, &value, &whole)) break;
  }
  return (sync_span){"", 0};
}

/* Whether the stream may be ended to be asked again from the last event that was kept. Not while a new one is being
 * opened beside it, which goes on where this one is; nor right after it was opened, or a server that drops one event
 * after the other would be asked as often. */
static bool may_replay(const sync_client *client) {
  const sync_options *options = &client->options;
  bool has_cursor = client->latest || *client->first_id;
  int64_t open_ms = sync_loop_now_ms(client->loop) - client->connection.opened_at_ms;
  return has_cursor && !client->successor && !options->strict && options->auto_reconnect &&
         open_ms >= options->reconnect_delay_ms;
}

bool sync_cures_see_id(sync_client *client, sync_span id) {
  enum sync_gaps_verdict verdict = sync_gaps_see(&client->gaps, id, may_replay(client), client->chunk_at_ms);
  settle(client);
  return verdict == SYNC_GAPS_TAKE;
}

bool sync_cures_see(sync_client *client, const struct sync_sse_message *message, sync_span type) {
  sync_span id = message->has_id ? message->id : (sync_span){"", 0};
  if (sync_span_is(type, "resync")) {
    sync_gaps_resync(&client->gaps, id, reason_in(message->data), client->chunk_at_ms);
    settle(client);
    return true;
  }
  return (id.length == 0 && sync_interest_must_name(type)) || sync_cures_see_id(client, id);
}

/* ---- polls ------------------------------------------------------------------------------------------------------- */

void sync_cures_begin(sync_client *client, sync_gap_cure cure) {
  struct sync_poll *poll = &client->poll;
  poll->cure = cure;
  poll->asked_in = client->counters.totals.total_connections;
  poll->asked_lacks = client->lacks;
  sync_gaps_asked(&client->gaps, cure);
}

void sync_cures_end(sync_client *client, bool whole) {
  struct sync_poll *poll = &client->poll;
  sync_gap_cure cure = poll->cure;
  poll->cure = SYNC_CURE_NONE;
  if (cure == SYNC_CURE_NONE) return;
  if (!whole || !sync_books_are_kept(client)) {
    sync_gaps_uncured(&client->gaps, cure);
    return;
  }
  client->whole_in = poll->asked_in;
  client->lacks_made_up = poll->asked_lacks;
  sync_gaps_cured(&client->gaps, cure, wall_ms(client));
  settle(client);
}

/* ---- what there is ----------------------------------------------------------------------------------------------- */

void sync_cures_restored(sync_client *client) {
  const sync_gap *gap;
  while ((gap = sync_gaps_next_change(&client->gaps, &client->gaps_told))) {
    if (gap->number > client->newest_gap) client->newest_gap = gap->number;
    if (gap->cure == SYNC_CURE_GIVEN_UP) client->lacks++;
  }
}

void sync_cures_miss_past(sync_client *client, sync_span last_event_id) {
  sync_gaps_miss_past(&client->gaps, last_event_id, wall_ms(client));
  settle(client);
}

/* Ids that do not count prove nothing by themselves: a server that kept silent about what it has lost would look the
 * same. So there must be more: a stream that went on behind an id, or a whole snapshot since it was opened. */
bool sync_cures_are_complete(const sync_client *client) {
  bool proven = sync_gaps_are_dense(&client->gaps) || client->resumed ||
                client->whole_in == client->counters.totals.total_connections;
  return client->connection.state == SYNC_CONNECTED && client->lacks == client->lacks_made_up &&
         sync_gaps_open_count(&client->gaps) == 0 && proven;
}

bool sync_client_gap(const sync_client *client, size_t index, sync_gap *gap) {
  const sync_gap *listed = sync_gaps_get(&client->gaps, index);
  if (listed) *gap = *listed;
  return listed != NULL;
}

bool sync_client_give_up_gap(sync_client *client, uint64_t number) {
  if (!sync_loop_ours(client->loop) || !sync_gaps_give_up(&client->gaps, number, wall_ms(client))) return false;
  client->lacks++;
  settle(client);
  sync_loop_settle(client->loop);
  return true;
}
