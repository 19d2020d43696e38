/* merge.c - one JSON object made of two. */
#include "merge.h"

#include <string.h>

#include "fingerprint.h"

#define BITS 64u

/* The text under construction. There is room for all of it: each member of either object is written once at most. */
struct writer {
  char *start;
  char *next;
  size_t count;
};

uint64_t sync_member_bit(size_t index) {
  return UINT64_C(1) << (index < BITS ? index : BITS - 1);
}

static void write_member(struct writer *writer, struct sync_member *member) {
  size_t key = (size_t)(member->text.bytes - member->begin), length = key + member->text.length;
  if (writer->count++ > 0) *writer->next++ = ',';
  memcpy(writer->next, member->begin, length);
  member->at = (size_t)(writer->next - writer->start) + key;
  writer->next += length;
}

/* What was said by an earlier merge goes. */
static void forget_outcome(struct sync_object *object) {
  for (size_t i = 0; i < object->count; i++) {
    object->list[i].at = SYNC_MEMBER_NOWHERE;
    object->list[i].differs = false;
  }
}

/* Writes patch's member where base had its own, which may be none. */
static void take(struct sync_merge *merge, struct writer *writer, const struct sync_member *own,
                 struct sync_member *other) {
  bool same = own && sync_json_same(own->text, other->text);
  bool revealed = own && !same && sync_json_same_redacted(own->text, other->text);
  other->differs = !same && !revealed;
  merge->differs |= other->differs;
  merge->revealed |= revealed;
  merge->taken |= sync_member_bit(writer->count);
  write_member(writer, other);
}

/* A member of base is kept, replaced by patch's, dropped, or left as it is. */
static void merge_member(struct sync_merge *merge, struct writer *writer, struct sync_member *own, bool keep,
                         struct sync_member *other) {
  if (keep) {
    merge->kept |= sync_member_bit(writer->count);
    merge->disputed |= other && !sync_json_same_redacted(own->text, other->text);
    write_member(writer, own);
  } else if (other) {
    take(merge, writer, own, other);
  } else if (merge->whole) {
    own->differs = merge->differs = true;
  } else {
    write_member(writer, own);
  }
}

bool sync_merge_objects(struct sync_buffer *out, struct sync_object *base, struct sync_object *patch,
                        struct sync_merge *merge) {
  if (!sync_buffer_reserve(out, base->text.length + patch->text.length + sizeof "{,}")) return false;
  char *start = out->bytes + out->length;
  struct writer writer = {start, start, 0};
  merge->kept = merge->taken = 0;
  merge->differs = merge->disputed = merge->revealed = false;
  forget_outcome(base);
  forget_outcome(patch);
  *writer.next++ = '{';
  for (size_t i = 0; i < base->count; i++) {
    struct sync_member *own = &base->list[i];
    struct sync_member *other = sync_object_find_hashed(patch, own->name, own->hash);
    merge_member(merge, &writer, own, (merge->keep & sync_member_bit(i)) != 0, other);
  }
  for (size_t i = 0; i < patch->count; i++) {
    const struct sync_member *other = &patch->list[i];
    if (!sync_object_find_hashed(base, other->name, other->hash)) take(merge, &writer, NULL, &patch->list[i]);
  }
  *writer.next++ = '}';
  out->length += (size_t)(writer.next - start);
  return true;
}
