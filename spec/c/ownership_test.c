/* ownership_test.c - one owner for one file: within this process, between processes, and when they die. */
#include "ownership.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <pthread.h>

#include "counting_alloc.h"
#include "folder.h"
#include "spans.h"

static struct counting_alloc memory;
static sync_failure failure;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  folder_make();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  counting_alloc_check(&memory);
  folder_remove();
  return 0;
}

static struct sync_ownership *take(const char *path) {
  struct sync_ownership *taken;
  if (sync_ownership_take(&taken, &memory.allocator, path, &failure) != SYNC_OK) fail_msg("%s", failure.message);
  return taken;
}

static void check_refused(const char *path, sync_code code, const char *words) {
  struct sync_ownership *taken;
  assert_int_equal(sync_ownership_take(&taken, &memory.allocator, path, &failure), code);
  assert_null(taken);
  assert_int_equal(failure.code, code);
  if (!strstr(failure.message, words)) fail_msg("%s", failure.message);
  assert_int_equal(sync_ownership_take(&taken, &memory.allocator, path, NULL), code);
}

/* "process 123 has" */
static const char *owner(pid_t pid) {
  static char text[64];
  (void)snprintf(text, sizeof text, "process %ld has ", (long)pid);
  return text;
}

static void check_pid(const char *expected) {
  char text[64] = "";
  FILE *file = fopen(folder_path("orders.db-lock"), "rb");
  assert_non_null(file);
  size_t length = fread(text, 1, sizeof text - 1, file);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(length, strlen(expected));
  assert_string_equal(text, expected);
}

/* ---- processes --------------------------------------------------------------------------------------------------- */

/* Another process: it does what it is asked to, then says a letter, and waits to be told to go on. */
struct process {
  pid_t pid;
  int said[2], told[2];
};

static void say(struct process *process, char letter) {
  if (write(process->said[1], &letter, 1) != 1) _exit(1);
}

static void listen_to(struct process *process) {
  char letter;
  if (read(process->told[0], &letter, 1) != 1) _exit(1);
}

static void check_says(struct process *process, char expected) {
  char letter = '?';
  assert_int_equal(read(process->said[0], &letter, 1), 1);
  assert_int_equal(letter, expected);
}

static void tell(struct process *process) {
  assert_int_equal(write(process->told[1], "!", 1), 1);
}

static void begin(struct process *process, void (*body)(struct process *)) {
  assert_int_equal(pipe(process->said), 0);
  assert_int_equal(pipe(process->told), 0);
  process->pid = fork();
  assert_true(process->pid >= 0);
  if (process->pid != 0) return;
  body(process);
  _exit(0);
}

static void end(struct process *process) {
  int status;
  assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(close(process->said[i]), 0);
    assert_int_equal(close(process->told[i]), 0);
  }
}

static struct sync_ownership *inherited;

/* Says 't' if it can take the file, which it gives back when it ends, or 'r'; 'p' if it is told that its parent has it.
 */
static void try_to_take(struct process *process) {
  struct sync_ownership *taken;
  sync_code code = sync_ownership_take(&taken, &sync_alloc_standard, folder_path("orders.db"), &failure);
  bool by_parent = code == SYNC_JOURNAL_LOCKED && strstr(failure.message, owner(getppid()));
  say(process, code == SYNC_OK ? 't' : by_parent ? 'p' : 'r');
}

static void take_and_wait(struct process *process) {
  try_to_take(process);
  listen_to(process);
}

static void wait_and_take(struct process *process) {
  listen_to(process);
  try_to_take(process);
}

static void free_and_try(struct process *process) {
  sync_ownership_free(inherited);
  try_to_take(process);
}

static void check_another_process(char expected) {
  struct process other;
  begin(&other, try_to_take);
  check_says(&other, expected);
  end(&other);
}

/* ---- this process ------------------------------------------------------------------------------------------------ */

static void it_is_owned_until_it_is_given_back(void **state) {
  (void)state;
  char pid[32];
  (void)snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
  for (int round = 0; round < 3; round++) {
    struct sync_ownership *taken = take(folder_path("orders.db"));
    check_refused(folder_path("orders.db"), SYNC_JOURNAL_LOCKED, "this process (");
    sync_ownership_free(taken);
    check_pid("");
  }
  struct sync_ownership *taken = take(folder_path("orders.db"));
  sync_ownership_free(take(folder_path("another.db")));
  check_refused(folder_path("orders.db"), SYNC_JOURNAL_LOCKED, "this process (");
  sync_ownership_free(taken);
  taken = take(folder_path("orders.db"));
  check_pid(pid); /* last: closing the file here gives the lock up */
  sync_ownership_free(taken);
  sync_ownership_free(NULL);
}

static void a_file_is_the_same_by_any_name(void **state) {
  (void)state;
  folder_write("orders.db", "");
  assert_int_equal(symlink("orders.db", folder_path("link.db")), 0);
  struct sync_ownership *taken = take(folder_path("orders.db"));
  check_refused(folder_path("./orders.db"), SYNC_JOURNAL_LOCKED, "this process (");
  check_refused(folder_path("link.db"), SYNC_JOURNAL_LOCKED, "link.db");
  assert_false(folder_has("link.db-lock"));
  sync_ownership_free(taken);
}

/* A refusal must not open the lock file, for closing it would give the lock up. */
static void asking_in_vain_does_not_lose_the_lock(void **state) {
  (void)state;
  struct sync_ownership *taken = take(folder_path("orders.db"));
  check_another_process('p');
  check_refused(folder_path("orders.db"), SYNC_JOURNAL_LOCKED, "this process (");
  check_another_process('p');
  sync_ownership_free(taken);
  check_another_process('t');
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static atomic_int owners, most, takes;

static void *take_often(void *path) {
  for (int i = 0; i < 500; i++) {
    struct sync_ownership *taken;
    if (sync_ownership_take(&taken, &sync_alloc_standard, path, NULL) != SYNC_OK) continue;
    int now = atomic_fetch_add(&owners, 1) + 1;
    if (now > atomic_load(&most)) atomic_store(&most, now);
    atomic_fetch_add(&takes, 1);
    atomic_fetch_sub(&owners, 1);
    sync_ownership_free(taken);
  }
  return NULL;
}

static void threads_do_not_share_it(void **state) {
  (void)state;
  pthread_t threads[4];
  char path[1024];
  (void)snprintf(path, sizeof path, "%s", folder_path("orders.db"));
  for (size_t i = 0; i < COUNT_OF(threads); i++)
    assert_int_equal(pthread_create(&threads[i], NULL, take_often, path), 0);
  for (size_t i = 0; i < COUNT_OF(threads); i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_int_equal(atomic_load(&most), 1);
  assert_true(atomic_load(&takes) > 0);
}

/* ---- other processes --------------------------------------------------------------------------------------------- */

static void the_owner_is_named_and_its_death_frees(void **state) {
  (void)state;
  struct process other;
  begin(&other, take_and_wait);
  check_says(&other, 't');
  check_refused(folder_path("orders.db"), SYNC_JOURNAL_LOCKED, owner(other.pid));
  assert_int_equal(kill(other.pid, SIGKILL), 0);
  end(&other);
  assert_true(folder_has("orders.db-lock"));
  sync_ownership_free(take(folder_path("orders.db")));
}

static void a_childs_end_leaves_the_lock_with_its_parent(void **state) {
  (void)state;
  struct process child;
  char pid[32];
  inherited = take(folder_path("orders.db"));
  (void)snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
  begin(&child, free_and_try);
  check_says(&child, 'p');
  end(&child);
  check_another_process('p');
  check_refused(folder_path("orders.db"), SYNC_JOURNAL_LOCKED, "this process (");
  check_pid(pid); /* last, as above */
  sync_ownership_free(inherited);
}

/* The child has a copy of the list, in which the file is its parent's. */
static void a_child_can_take_what_its_parent_gave_back(void **state) {
  (void)state;
  struct process child;
  struct sync_ownership *taken = take(folder_path("orders.db"));
  begin(&child, wait_and_take);
  sync_ownership_free(taken);
  tell(&child);
  check_says(&child, 't');
  end(&child);
}

/* ---- bad disks --------------------------------------------------------------------------------------------------- */

#define NOBODY 65534u

static void a_folder_that_may_not_be_written_is_told(void **state) {
  (void)state;
  bool root = geteuid() == 0; /* to whom nothing is forbidden */
  struct sync_ownership *taken;
  assert_int_equal(chmod(folder_name, 0555), 0);
  if (root) assert_int_equal(seteuid(NOBODY), 0);
  sync_code code = sync_ownership_take(&taken, &memory.allocator, folder_path("orders.db"), &failure);
  if (root) assert_int_equal(seteuid(0), 0);
  assert_int_equal(chmod(folder_name, 0700), 0);
  assert_int_equal(code, SYNC_JOURNAL_READ_ONLY);
  assert_non_null(strstr(failure.message, "Permission denied"));
  assert_non_null(strstr(failure.message, folder_path("orders.db-lock")));
}

static void no_folder_and_a_lock_that_leads_elsewhere_are_told(void **state) {
  (void)state;
  check_refused(folder_path("no-such-folder/orders.db"), SYNC_JOURNAL_IO, "No such file or directory");
  folder_write("letter", "to somebody");
  assert_int_equal(symlink("letter", folder_path("orders.db-lock")), 0);
  check_refused(folder_path("orders.db"), SYNC_JOURNAL_IO, folder_path("orders.db-lock"));
}

/* No file may have a byte: the disk is full. */
static void a_full_disk_is_told(void **state) {
  (void)state;
  struct rlimit before;
  struct sync_ownership *taken;
  void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max}), 0);
  sync_code code = sync_ownership_take(&taken, &memory.allocator, folder_path("orders.db"), &failure);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  (void)signal(SIGXFSZ, handler);
  assert_int_equal(code, SYNC_JOURNAL_FULL);
  sync_ownership_free(take(folder_path("orders.db")));
}

static void without_memory_nothing_is_taken(void **state) {
  (void)state;
  struct sync_ownership *taken = NULL;
  size_t nth = 1;
  for (;; nth++) {
    counting_alloc_refuse(&memory, nth, 1);
    memory.refused = 0;
    sync_code code = sync_ownership_take(&taken, &memory.allocator, folder_path("orders.db"), &failure);
    counting_alloc_allow(&memory);
    if (memory.refused == 0) break;
    assert_int_equal(code, SYNC_NO_MEMORY);
    assert_int_equal(failure.code, SYNC_NO_MEMORY);
    counting_alloc_check(&memory);
  }
  assert_true(nth > 1);
  sync_ownership_free(taken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(it_is_owned_until_it_is_given_back),
      TEST(a_file_is_the_same_by_any_name),
      TEST(asking_in_vain_does_not_lose_the_lock),
      TEST(threads_do_not_share_it),
      TEST(the_owner_is_named_and_its_death_frees),
      TEST(a_childs_end_leaves_the_lock_with_its_parent),
      TEST(a_child_can_take_what_its_parent_gave_back),
      TEST(a_folder_that_may_not_be_written_is_told),
      TEST(no_folder_and_a_lock_that_leads_elsewhere_are_told),
      TEST(a_full_disk_is_told),
      TEST(without_memory_nothing_is_taken),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
