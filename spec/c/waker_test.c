/* waker_test.c - the thread that waits in a host's place: the bytes it sends, its rings, its end. */
#include "sync.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spans.h"

/* A host, connected to a waker that watches `watched`. */
struct scene {
  int watched;
  int host;
  sync_waker *waker;
};

static int connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int host = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(host >= 0);
  assert_true(strlen(path) < sizeof address.sun_path);
  memcpy(address.sun_path, path, strlen(path));
  assert_int_equal(connect(host, (struct sockaddr *)&address, sizeof address), 0);
  return host;
}

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  assert_non_null(scene);
  scene->watched = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  scene->waker = sync_waker_new(scene->watched);
  assert_non_null(scene->waker);
  scene->host = connect_to(sync_waker_path(scene->waker));
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  sync_waker_free(scene->waker);
  close(scene->host);
  close(scene->watched);
  free(scene);
  return 0;
}

static void make_readable(const struct scene *scene) {
  const uint64_t one = 1;
  assert_int_equal(write(scene->watched, &one, sizeof one), sizeof one);
}

static void make_silent(const struct scene *scene) {
  uint64_t count;
  assert_int_equal(read(scene->watched, &count, sizeof count), sizeof count);
}

/* Waits for the next byte: 1, or 0 for the end. */
static ssize_t await_byte(const struct scene *scene) {
  char byte;
  return recv(scene->host, &byte, 1, 0);
}

static void arm(const struct scene *scene, int timeout_ms) {
  assert_int_equal(sync_waker_arm(scene->waker, timeout_ms), SYNC_OK);
}

/* Ends the waker; how many bytes were still on their way. */
static size_t end(struct scene *scene) {
  size_t bytes = 0;
  sync_waker_free(scene->waker);
  scene->waker = NULL;
  while (await_byte(scene) == 1) bytes++;
  return bytes;
}

/* ---- the socket -------------------------------------------------------------------------------------------------- */

static void the_socket_is_in_a_directory_of_its_own_until_it_is_armed(void **state) {
  struct scene *scene = *state;
  struct stat about;
  char directory[128];
  snprintf(directory, sizeof directory, "%s", sync_waker_path(scene->waker));
  *strrchr(directory, '/') = '\0';
  assert_int_equal(stat(directory, &about), 0);
  assert_int_equal(about.st_mode & 0777, 0700);
  arm(scene, -1);
  assert_int_equal(stat(directory, &about), -1);
  assert_int_equal(errno, ENOENT);
}

static void it_is_gone_when_nobody_has_come(void **state) {
  (void)state;
  char path[128];
  struct stat about;
  sync_waker *waker = sync_waker_new(0);
  snprintf(path, sizeof path, "%s", sync_waker_path(waker));
  assert_int_equal(sync_waker_arm(waker, 0), SYNC_CLOSED);
  assert_int_equal(stat(path, &about), 0);
  sync_waker_free(waker);
  assert_int_equal(stat(path, &about), -1);
}

static void there_is_none_where_no_socket_can_be_made(void **state) {
  (void)state;
  assert_int_equal(setenv("TMPDIR", "/nowhere", 1), 0);
  assert_null(sync_waker_new(0));
  assert_int_equal(unsetenv("TMPDIR"), 0);
  sync_waker_free(NULL);
}

/* ---- what it tells ----------------------------------------------------------------------------------------------- */

static void a_readable_descriptor_is_told_once_for_each_time_it_is_armed(void **state) {
  struct scene *scene = *state;
  make_readable(scene);
  for (int i = 0; i < 1000; i++) {
    arm(scene, -1);
    assert_int_equal(await_byte(scene), 1);
  }
  make_silent(scene);
  arm(scene, -1);
  assert_int_equal(end(scene), 0);
}

static void what_happens_later_is_told_then(void **state) {
  struct scene *scene = *state;
  arm(scene, -1);
  make_readable(scene);
  assert_int_equal(await_byte(scene), 1);
}

static void a_time_that_is_over_is_told(void **state) {
  struct scene *scene = *state;
  for (int timeout_ms = 0; timeout_ms < 3; timeout_ms++) {
    arm(scene, timeout_ms);
    assert_int_equal(await_byte(scene), 1);
  }
}

static void the_last_time_counts(void **state) {
  struct scene *scene = *state;
  arm(scene, -1);
  arm(scene, 0);
  assert_int_equal(await_byte(scene), 1);
}

/* ---- rings ------------------------------------------------------------------------------------------------------- */

static void a_ring_is_told_whenever_it_came(void **state) {
  struct scene *scene = *state;
  sync_waker *other = sync_waker_new(scene->watched);
  assert_string_not_equal(sync_waker_name(other), sync_waker_name(scene->waker));
  assert_int_equal(sync_waker_ring(other, sync_waker_name(scene->waker)), SYNC_OK); /* before it listens */
  arm(scene, -1);
  assert_int_equal(await_byte(scene), 1);
  arm(scene, -1);
  assert_int_equal(sync_waker_ring(other, sync_waker_name(scene->waker)), SYNC_OK);
  assert_int_equal(await_byte(scene), 1);
  assert_int_equal(sync_waker_ring(scene->waker, sync_waker_name(scene->waker)), SYNC_OK); /* its own */
  arm(scene, -1);
  assert_int_equal(await_byte(scene), 1);
  sync_waker_free(other);
}

static void many_rings_are_one_and_never_wait(void **state) {
  struct scene *scene = *state;
  for (int i = 0; i < 10000; i++)
    assert_int_equal(sync_waker_ring(scene->waker, sync_waker_name(scene->waker)), SYNC_OK);
  arm(scene, -1);
  assert_int_equal(await_byte(scene), 1);
}

static void nobody_hears_a_ring_for_one_that_is_gone(void **state) {
  struct scene *scene = *state;
  char name[128], longest[512];
  sync_waker *other = sync_waker_new(scene->watched);
  snprintf(name, sizeof name, "%s", sync_waker_name(other));
  sync_waker_free(other);
  assert_int_equal(sync_waker_ring(scene->waker, name), SYNC_REFUSED);
  memset(longest, 'x', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  assert_int_equal(sync_waker_ring(scene->waker, longest), SYNC_REFUSED);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void its_end_is_the_end_of_what_the_host_reads(void **state) {
  struct scene *scene = *state;
  arm(scene, -1);
  assert_int_equal(end(scene), 0);
}

static void a_host_that_leaves_is_no_matter(void **state) {
  struct scene *scene = *state;
  arm(scene, -1);
  assert_int_equal(shutdown(scene->host, SHUT_RDWR), 0);
  make_readable(scene);
  arm(scene, 0);
}

/* The child has the memory, and not the thread: it must neither wait for it nor end it. */
static void a_child_leaves_it_alone(void **state) {
  struct scene *scene = *state;
  int status;
  arm(scene, -1);
  pid_t child = fork();
  if (child == 0) {
    bool refused = sync_waker_arm(scene->waker, 0) == SYNC_FORKED;
    sync_waker_free(scene->waker);
    _exit(refused ? 0 : 1);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  make_readable(scene);
  assert_int_equal(await_byte(scene), 1);
}

int main(void) {
#define SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      SCENE(the_socket_is_in_a_directory_of_its_own_until_it_is_armed),
      cmocka_unit_test(it_is_gone_when_nobody_has_come),
      cmocka_unit_test(there_is_none_where_no_socket_can_be_made),
      SCENE(a_readable_descriptor_is_told_once_for_each_time_it_is_armed),
      SCENE(what_happens_later_is_told_then),
      SCENE(a_time_that_is_over_is_told),
      SCENE(the_last_time_counts),
      SCENE(a_ring_is_told_whenever_it_came),
      SCENE(many_rings_are_one_and_never_wait),
      SCENE(nobody_hears_a_ring_for_one_that_is_gone),
      SCENE(its_end_is_the_end_of_what_the_host_reads),
      SCENE(a_host_that_leaves_is_no_matter),
      SCENE(a_child_leaves_it_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
