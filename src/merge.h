/*
 * merge.h - one JSON object made of two, member by member (shallow), on texts: no tree is built, and a member that is
 * taken over is taken over as it was written.
 *
 * Members stay in their place, new ones go to the end: an order keeps its shape through a thousand changes, and which
 * members something is known about can be kept in the bits of a word.
 */
#ifndef SYNC_MERGE_H
#define SYNC_MERGE_H

#include "object.h"

/* The bit of the `index`-th member. The last bit stands for all from the 64th on: what is said of one of them is said
 * of each. Orders have a dozen. */
uint64_t sync_member_bit(size_t index);

struct sync_merge {
  bool whole;     /* in: patch is all there is; members of base that it has not go, unless they are kept */
  uint64_t keep;  /* in: members of base that stay as they are; with all bits, patch only adds what base has not */
  uint64_t kept;  /* out: members of the result that were kept so */
  uint64_t taken; /* out: members of the result that are patch's */
  bool differs;   /* out: the result is another value than base */
  bool disputed;  /* out: patch has another value for a member that was kept */
  bool revealed;  /* out: values that base had as SYNC_REDACTED are known now */
};

/* What base has as SYNC_REDACTED (redact.h), deep inside a member too, was something else before it was on disk, and
 * nobody knows what: patch's value is not another one.
 *
 * Appends to `out` the object `base` with the members of `patch` in place of its own, and behind them; null is a value
 * like any other, unlike in RFC 7396. Says of each member of both where its value stands in what was appended (`at`,
 * counted from there), and of those that make the result differ from base that they do. false: no memory, and `out` is
 * as it was. */
bool sync_merge_objects(struct sync_buffer *out, struct sync_object *base, struct sync_object *patch,
                        struct sync_merge *merge);

#endif
