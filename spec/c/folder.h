/*
 * folder.h - a folder of a test's own: made empty, gone with all that is in it.
 */
#ifndef FOLDER_H
#define FOLDER_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder_name[512];

/* The path of `name` in it, in one of a few places: valid until as many have been asked for again. */
static inline const char *folder_path(const char *name) {
  static char paths[8][1024];
  static unsigned turn;
  char *path = paths[turn++ % 8];
  assert_true((size_t)snprintf(path, sizeof paths[0], "%s/%s", folder_name, name) < sizeof paths[0]);
  return path;
}

static inline void folder_make(void) {
  const char *parent = getenv("TMPDIR");
  assert_true((size_t)snprintf(folder_name, sizeof folder_name, "%s/ordersync-XXXXXX", parent ? parent : P_tmpdir) <
              sizeof folder_name);
  assert_non_null(mkdtemp(folder_name));
}

/* Removes the files of the folder called `path`; folders are left. */
static inline void folder_empty(const char *path) {
  char file[1024];
  DIR *open = opendir(path);
  assert_non_null(open);
  for (const struct dirent *entry = readdir(open); entry; entry = readdir(open)) {
    assert_true((size_t)snprintf(file, sizeof file, "%s/%s", path, entry->d_name) < sizeof file);
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) (void)unlink(file);
  }
  assert_int_equal(closedir(open), 0);
}

/* A folder in it is to be empty and removed before. */
static inline void folder_remove(void) {
  folder_empty(folder_name);
  assert_int_equal(rmdir(folder_name), 0);
}

static inline bool folder_has(const char *name) {
  return access(folder_path(name), F_OK) == 0;
}

static inline void folder_write(const char *name, const char *text) {
  FILE *file = fopen(folder_path(name), "wb");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

#endif
