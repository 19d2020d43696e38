/*
 * fingerprint.h - a JSON value as a number that does not depend on how the value is written: white space, the order of
 * an object's members, the spelling of numbers (1, 1.0, 10e-1; to the last digit, whatever a double would keep) and
 * escapes in strings make no difference.
 *
 * One pass, no memory, and the time grows with the text alone, whereas looking each member of one object up in another
 * takes the square of that when a server shuffles them. The price is that of recent.h: two different values are taken
 * for one another once in 10^19 pairs.
 */
#ifndef SYNC_FINGERPRINT_H
#define SYNC_FINGERPRINT_H

#include "sync.h"

/* The fingerprint of `text`, never 0; 0: it is not JSON. An object with two members of one name differs from one that
 * has only the latter. */
uint64_t sync_json_fingerprint(sync_span text);

/* Whether both are the same JSON value. What is not JSON is the same as its own bytes only. */
bool sync_json_same(sync_span a, sync_span b);

/* Whether `whole` is the value that `redacted` was made of, as far as that can be told: where this has SYNC_REDACTED
 * (redact.h) for a member, members of that name may have any value. Of more than SYNC_REDACTED_NAMES_MAX such names the
 * others count. */
#define SYNC_REDACTED_NAMES_MAX 32
bool sync_json_same_redacted(sync_span redacted, sync_span whole);

#endif
