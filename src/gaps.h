/*
 * gaps.h - the ledger of gaps of one client: what is known to be missing in its stream, why, and what has closed it.
 * No socket, no clock, no SQLite: like connection.h, it is told what happened and when, and says what to do.
 *
 * A gap is opened when the server says that it cannot replay, when it cannot be asked to, or when its ids step. To the
 * standard (WHATWG HTML, server-sent events) an id is opaque, so a step means something only where the server is known
 * to count: because the user says so, or because it was seen to, long enough. A false alarm is worse than a late one.
 *
 * Ids count in their last run of digits; what stands before it is their prefix. A prefix is an epoch, and another one
 * means that the server has lost its history, unless it may be a clock (nchan's ids are `<seconds>:<n>`).
 *
 * What the ledger cannot know: that a server skips events without a word, and its ids do not count.
 */
#ifndef SYNC_GAPS_H
#define SYNC_GAPS_H

#include "buffer.h"
#include "gap_list.h"

/* AUTO: after so many steps of one without another, a server counts. An earlier one that is not, and it never does. */
#define SYNC_GAPS_DENSE_FROM 32u

/* AUTO: a prefix that grows is a clock's unless it stood still for so long while events came. One of hours
 * or days is taken for an epoch after that: whoever has such ids says OPAQUE. */
#define SYNC_GAPS_STEADY_MS 120000

/* After so many replays in a row that had nothing to put into the hole no more are asked for; AUTO: and the server has
 * said often enough that nothing was there. It does not send us all that it counts. */
#define SYNC_GAPS_VAIN_MAX 3u

/* What comes so soon after a stream has opened was waiting for it: so the server replays. An event is refused of such a
 * server only, for of any other it would be lost. */
#define SYNC_GAPS_PROMPT_MS 1000

struct sync_gaps_config {
  enum sync_gap_ids ids;
  bool filtered;        /* the server is asked for some events only: AUTO then learns nothing, for it may count all */
  const char *order_id; /* of this order only; NULL: of all. It must outlive the ledger, or the next configure */
  bool can_fetch_order; /* the one above */
  bool can_fetch_snapshot; /* a whole one: what it lacks is not there */
};

/* Fields are private. */
struct sync_gaps {
  struct sync_gaps_config config;
  struct sync_gap_list list;
  uint64_t unlisted_covered; /* of those that are not listed: a snapshot under way closes them */
  /* what is known of ids */
  enum sync_gap_ids ids; /* AUTO: not known yet */
  unsigned run;          /* steps of one in a row */
  unsigned vain;         /* replays in a row that had nothing */
  bool replays;          /* the server has been seen to send again what came behind an id */
  bool may_replay;       /* the event under way may be refused */
  bool replaying;        /* an event was refused, and has not come again yet */
  bool has_position;
  struct sync_buffer prefix;
  uint64_t top; /* the highest number that has come or is in the ledger */
  uint64_t era; /* of this prefix and count: holes of another one cannot be filled */
  int64_t prefix_from_ms;
  int64_t prefix_until_ms;
  struct sync_buffer last_id; /* of the last event that counts */
  /* what is known of the stream */
  bool has_past;  /* events have come before, on this stream or on an earlier one */
  bool fresh;     /* no event of this stream has gone on where the last one was */
  bool accounted; /* the break before this stream's first event is in the ledger */
  int64_t stream_opened_at_ms;
};

/* Empty. Takes no memory. */
void sync_gaps_init(struct sync_gaps *gaps, const sync_allocator *alloc, const struct sync_gaps_config *config);
void sync_gaps_fini(struct sync_gaps *gaps);

/* Other options: the ledger stays. `other_stream`: the url or the filter is another one, so its ids are learned anew.
 */
void sync_gaps_configure(struct sync_gaps *gaps, const struct sync_gaps_config *config, bool other_stream);

/* ---- from disk, before the first stream is opened ------------------------------------------------------------------
 */

/* Gaps are numbered behind `number` from now on: those of an earlier life cannot be read yet. */
void sync_gaps_number_from(struct sync_gaps *gaps, uint64_t number);

/* A gap of an earlier life; texts are copied. Of what it knew of ids nothing is kept: an open one is for
 * fetching to close. */
void sync_gaps_restore(struct sync_gaps *gaps, const struct sync_gap *gap);

/* Events came in an earlier life: a stream that cannot resume leaves a gap to them. */
void sync_gaps_restore_past(struct sync_gaps *gaps);

/* Or it has been opened already, without a word of the last one of them, whose id was `last_id`. */
void sync_gaps_miss_past(struct sync_gaps *gaps, sync_span last_id, int64_t now_ms);

/* ---- what happens --------------------------------------------------------------------------------------------------
 */

/* A stream is open, the first or one after a break. `asked`: the Last-Event-ID that the request had, empty: none;
 * `answered`: the one of the response's header, NULL bytes: none. (One that took over from a stream still open, with
 * nothing between, is not told.)
 * Mercure, "Reconciliation": a hub answers with the id of the event before the first one it sends, or "earliest"; any
 * other than the one asked for says that events may have been lost. */
void sync_gaps_opened(struct sync_gaps *gaps, sync_span asked, sync_span answered, int64_t now_ms);

enum sync_gaps_verdict {
  SYNC_GAPS_TAKE,
  SYNC_GAPS_REFUSE, /* do not take the event: end the stream and open it from the last one that was taken */
};

/* An event of the stream has come that did not come before: its own id, empty: it has none. Whether it is sound, wanted
 * or neither does not matter. `may_replay`: the stream may be ended now, to be asked again from an id. */
enum sync_gaps_verdict sync_gaps_see(struct sync_gaps *gaps, sync_span id, bool may_replay, int64_t now_ms);

/* A `resync` event: not all that was missed will come. Its own id is where the stream goes on; `why`: its reason. */
void sync_gaps_resync(struct sync_gaps *gaps, sync_span id, sync_span why, int64_t now_ms);

/* ---- cures ---------------------------------------------------------------------------------------------------------
 */

/* What to fetch now: SYNC_CURE_ORDER, SYNC_CURE_SNAPSHOT, or SYNC_CURE_NONE: nothing would help, is needed, or is not
 * under way already. */
enum sync_gap_cure sync_gaps_next_cure(const struct sync_gaps *gaps);

/* A fetch is begun, SYNC_CURE_ORDER or SYNC_CURE_SNAPSHOT, one of each at a time, for whatever reason: it covers the
 * gaps that are open now. It has been taken in to its end, and closes them; or it has not, and they wait again. */
void sync_gaps_asked(struct sync_gaps *gaps, enum sync_gap_cure cure);
void sync_gaps_cured(struct sync_gaps *gaps, enum sync_gap_cure cure, int64_t now_ms);
void sync_gaps_uncured(struct sync_gaps *gaps, enum sync_gap_cure cure);

/* The host gives an open gap up; 0: those that are not listed. false: there is none. */
bool sync_gaps_give_up(struct sync_gaps *gaps, uint64_t number, int64_t now_ms);

/* ---- what there is -------------------------------------------------------------------------------------------------
 */

/* Whether ids are known to count: then a hole in them does not go unnoticed. */
bool sync_gaps_are_dense(const struct sync_gaps *gaps);

/* Open ones, those included that are not listed for want of memory: only 0 means that nothing is known to be missing.
 */
uint64_t sync_gaps_open_count(const struct sync_gaps *gaps);

/* The `index`-th that is listed, the oldest first; NULL: not so many. Valid until the ledger is told anything. */
const struct sync_gap *sync_gaps_get(const struct sync_gaps *gaps, size_t index);

/* The next gap that was opened, closed or changed since `*revision` (0 at first), each with its latest state only;
 * NULL: none. Moves `*revision`: whoever must try again keeps the old one. */
const struct sync_gap *sync_gaps_next_change(const struct sync_gaps *gaps, uint64_t *revision);

#endif
