/*
 * object.h - the members of one JSON object, to be found by name. Spans into the text: nothing is decoded but names.
 *
 * Made to be read into again and again, so that a steady stream of objects takes no memory. Looking a name up costs the
 * same in an object of ten members as in one of a hundred thousand, which a broken server may send.
 */
#ifndef SYNC_OBJECT_H
#define SYNC_OBJECT_H

#include "buffer.h"

/* `at` of a member that merge.h has left out. */
#define SYNC_MEMBER_NOWHERE SIZE_MAX

struct sync_member {
  const char *begin; /* its key's quote; from here to the end of `text` is the member as it is written */
  sync_span name;    /* without escapes */
  sync_span text;    /* the value as it is written */
  uint64_t hash;     /* of the name */
  size_t at;         /* merge.h: where the value stands in the merged text */
  bool differs;      /* merge.h: the merged object has another value than the first object had, or lacks it */
};

/* An object. The members are in the order of the text; of several with one name the last one's value counts, in the
 * first one's place. */
struct sync_object {
  const sync_allocator *alloc;
  sync_span text; /* all of it; the owner's */
  struct sync_member *list;
  size_t count;
  size_t capacity;
  uint32_t *table;          /* a hash table of places in `list` plus one, twice as many as the list has; 0: free */
  struct sync_buffer names; /* those that had escapes, without */
};

/* An empty one; it takes no memory. */
void sync_object_init(struct sync_object *object, const sync_allocator *alloc);
void sync_object_fini(struct sync_object *object);

/* Reads `text`, which must outlive what is read, in place of what was read before. SYNC_EVENT_JSON: it is not one JSON
 * object; SYNC_NO_MEMORY; then the object is empty. */
sync_code sync_object_read(struct sync_object *object, sync_span text);

/* The member of this name, or NULL. Valid until the next read. `hash` is sync_map_hash() of the name. */
struct sync_member *sync_object_find(const struct sync_object *object, sync_span name);
struct sync_member *sync_object_find_hashed(const struct sync_object *object, sync_span name, uint64_t hash);

/* What a value says in plain text: of a string what it stands for, of a number its digits; of anything else, and
 * without memory, nothing. A string with escapes is written to the end of `room`, which then must not grow as long as
 * `*plain` is in use. false: no memory. */
bool sync_json_plain(sync_span value, struct sync_buffer *room, sync_span *plain);

#endif
