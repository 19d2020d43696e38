/* lua_letters.c - the dead letters of a journal as Lua values, without a client. */
#include "lua_letters.h"

#include "lua_client.h"
#include "lua_journal.h"
#include "lua_table.h"

#define LETTERS_TYPE "sync.letters"

struct letters_handle {
  sync_letters *letters; /* NULL: closed */
};

static int letters_gc(lua_State *L) {
  struct letters_handle *handle = luaL_checkudata(L, 1, LETTERS_TYPE);
  sync_letters_close(handle->letters);
  handle->letters = NULL;
  return 0;
}

static sync_letters *check_letters(lua_State *L) {
  sync_letters *letters = ((struct letters_handle *)luaL_checkudata(L, 1, LETTERS_TYPE))->letters;
  if (!letters) luaL_error(L, "sync: the journal is closed");
  return letters;
}

int lua_letters_new(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  sync_failure failure = {.code = SYNC_OK};
  struct letters_handle *handle = lua_newuserdata(L, sizeof *handle);
  handle->letters = NULL;
  luaL_getmetatable(L, LETTERS_TYPE);
  lua_setmetatable(L, -2);
  if (sync_letters_open(&handle->letters, NULL, path, &failure) == SYNC_OK) return 1;
  return lua_push_failure(L, failure.code, failure.message);
}

/* letters:list(): all of them, the oldest first; each has the name of its stream, too */
static int letters_list(lua_State *L) {
  sync_letters *letters = check_letters(L);
  sync_dead_letter letter;
  sync_failure failure;
  sync_span stream;
  uint64_t next = 0;
  lua_newtable(L);
  for (int count = 1;; count++) {
    sync_code code = sync_letters_next(letters, &next, &letter, &stream, &failure);
    if (code != SYNC_OK) return lua_push_failure(L, code, failure.message);
    if (letter.number == 0) return 1;
    lua_journal_push_letter(L, &letter);
    lua_set_span(L, "stream", stream);
    lua_rawseti(L, -2, count);
  }
}

static int change(lua_State *L,
                  sync_code (*act)(sync_letters *letters, uint64_t number, uint64_t *count, sync_failure *failure)) {
  sync_letters *letters = check_letters(L);
  sync_failure failure;
  uint64_t count = 0;
  sync_code code = act(letters, compat_check_count(L, 2), &count, &failure);
  if (code != SYNC_OK) return lua_push_failure(L, code, failure.message);
  compat_push_integer(L, (int64_t)count);
  return 1;
}

/* letters:redeliver(number), letters:forget(number); 0: all. How many there were. */
static int letters_redeliver(lua_State *L) {
  return change(L, sync_letters_redeliver);
}

static int letters_forget(lua_State *L) {
  return change(L, sync_letters_forget);
}

void lua_letters_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"__gc", letters_gc},
      {"close", letters_gc},
      {"forget", letters_forget},
      {"list", letters_list},
      {"redeliver", letters_redeliver},
      {NULL, NULL},
  };
  luaL_newmetatable(L, LETTERS_TYPE);
  compat_set_functions(L, functions);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
