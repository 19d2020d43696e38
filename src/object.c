/* object.c - the members of one JSON object: a list in the order of the text, and a hash table with linear probing. */
#include "object.h"

#include <string.h>

#include "json.h"
#include "map.h"
#include "span.h"

#define OBJECT_FIRST_MEMBERS 16u

/* Room for more members than this is given back before the next object: its table would have to be wiped each time. */
#define OBJECT_KEPT_MEMBERS 256u

void sync_object_init(struct sync_object *object, const sync_allocator *alloc) {
  *object = (struct sync_object){.alloc = alloc};
  sync_buffer_init(&object->names, alloc);
}

void sync_object_fini(struct sync_object *object) {
  sync_alloc_free(object->alloc, object->list);
  sync_alloc_free(object->alloc, object->table);
  sync_buffer_fini(&object->names);
  sync_object_init(object, object->alloc);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static bool is_called(const struct sync_member *member, sync_span name, uint64_t hash) {
  return member->hash == hash && sync_span_same(member->name, name);
}

/* The place of `name` in the table, or the free one where it would go. Half of the table is always free. */
static uint32_t *locate(const struct sync_object *object, sync_span name, uint64_t hash) {
  size_t mask = object->capacity * 2 - 1, index = hash & mask;
  while (object->table[index] && !is_called(&object->list[object->table[index] - 1], name, hash))
    index = (index + 1) & mask;
  return &object->table[index];
}

/* Twice the room; false: no memory, and nothing has changed but the list's room. */
static bool grow(struct sync_object *object) {
  size_t capacity = object->capacity ? object->capacity * 2 : OBJECT_FIRST_MEMBERS;
  if (capacity > UINT32_MAX / 2) return false;
  struct sync_member *list = sync_alloc_resize(object->alloc, object->list, capacity * sizeof *list);
  if (!list) return false;
  object->list = list;
  uint32_t *table = sync_alloc_zeroed(object->alloc, capacity * 2 * sizeof *table);
  if (!table) return false;
  sync_alloc_free(object->alloc, object->table);
  object->table = table;
  object->capacity = capacity;
  for (size_t i = 0; i < object->count; i++) *locate(object, list[i].name, list[i].hash) = (uint32_t)i + 1;
  return true;
}

static void forget(struct sync_object *object) {
  if (object->capacity > OBJECT_KEPT_MEMBERS) sync_object_fini(object);
  if (object->table) memset(object->table, 0, object->capacity * 2 * sizeof *object->table);
  object->count = 0;
  object->text = (sync_span){NULL, 0};
  sync_buffer_clear(&object->names);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

bool sync_json_plain(sync_span value, struct sync_buffer *room, sync_span *plain) {
  *plain = (sync_span){NULL, 0};
  if (value.length == 0) return true;
  if (value.bytes[0] != '"') {
    if (value.bytes[0] == '-' || (value.bytes[0] >= '0' && value.bytes[0] <= '9')) *plain = value;
    return true;
  }
  sync_span inside = {value.bytes + 1, value.length - 2};
  if (!memchr(inside.bytes, '\\', inside.length)) {
    *plain = inside;
    return true;
  }
  if (!sync_buffer_reserve(room, inside.length)) return false;
  plain->bytes = room->bytes + room->length;
  plain->length = sync_json_unescape(inside, room->bytes + room->length);
  room->length += plain->length;
  return true;
}

/* The first name with escapes makes room for all there can be: names must not move. */
static bool read_name(struct sync_object *object, const sync_json_token *key, sync_span *name) {
  *name = key->text;
  if (!key->escaped) return true;
  if (!sync_buffer_reserve(&object->names, object->text.length - object->names.length)) return false;
  name->bytes = object->names.bytes + object->names.length;
  name->length = sync_json_unescape(key->text, object->names.bytes + object->names.length);
  object->names.length += name->length;
  return true;
}

/* Where the member of this name is or goes; NULL: no memory. */
static struct sync_member *place_of(struct sync_object *object, sync_span name) {
  uint64_t hash = sync_map_hash(name);
  if (object->count == object->capacity && !grow(object)) return NULL;
  uint32_t *place = locate(object, name, hash);
  if (!*place) *place = (uint32_t)++object->count;
  struct sync_member *member = &object->list[*place - 1];
  member->hash = hash;
  return member;
}

/* Takes a member in whose key has been read. Field by field: a whole struct would be copied in wider pieces than it was
 * written in, and the processor waits for that longer than for all else here. */
static sync_code read_member(struct sync_object *object, sync_json *json, const sync_json_token *key) {
  sync_json_token value;
  sync_span name, text;
  sync_json_next(json, &value);
  if (!sync_json_value(json, &value, &text)) return SYNC_EVENT_JSON;
  struct sync_member *member = read_name(object, key, &name) ? place_of(object, name) : NULL;
  if (!member) return SYNC_NO_MEMORY;
  member->begin = key->text.bytes - 1;
  member->name = name;
  member->text = text;
  member->at = SYNC_MEMBER_NOWHERE;
  member->differs = false;
  return SYNC_OK;
}

static sync_code read_members(struct sync_object *object) {
  sync_json json;
  sync_json_token token;
  sync_json_init(&json, object->text);
  if (sync_json_next(&json, &token) != SYNC_JSON_OBJECT) return SYNC_EVENT_JSON;
  while (sync_json_next(&json, &token) == SYNC_JSON_KEY) {
    sync_code code = read_member(object, &json, &token);
    if (code != SYNC_OK) return code;
  }
  bool whole = token.kind == SYNC_JSON_OBJECT_END && sync_json_next(&json, &token) == SYNC_JSON_END;
  return whole ? SYNC_OK : SYNC_EVENT_JSON;
}

sync_code sync_object_read(struct sync_object *object, sync_span text) {
  forget(object);
  object->text = text;
  sync_code code = read_members(object);
  if (code != SYNC_OK) forget(object);
  return code;
}

struct sync_member *sync_object_find_hashed(const struct sync_object *object, sync_span name, uint64_t hash) {
  if (object->count == 0) return NULL;
  uint32_t place = *locate(object, name, hash);
  return place ? &object->list[place - 1] : NULL;
}

struct sync_member *sync_object_find(const struct sync_object *object, sync_span name) {
  return object->count == 0 ? NULL : sync_object_find_hashed(object, name, sync_map_hash(name));
}
