/*
 * Starting a program: clone3 with CLONE_VM | CLONE_VFORK, so that the cost does not grow with our memory, and
 * with CLONE_INTO_CGROUP, so that nobody waits for the cgroup lock. The child runs on a stack of its own,
 * makes system calls only, and reports its error through the memory it shares with the waiting thread.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum { FDS = 64, CHILD_STACK_BYTES = 64 * 1024, SIGNALS = 64 };
enum step { STEP_CLONE, STEP_CGROUP, STEP_SESSION, STEP_DESCRIPTORS, STEP_DIRECTORY, STEP_EXEC };

struct spawn {
  struct job job;
  char *path;
  char **argv;
  char **env;
  char *directory;    /* or NULL */
  char **tasks_files; /* v1: the child writes itself into each */
  int cgroup;         /* v2: a descriptor of the directory, or -1 */
  size_t fd_count;
  int child_fds[FDS];
  int parent_fds[FDS];
  volatile int error;
  volatile int step;
  pid_t pid;
};

static void give_up(struct spawn *spawn, enum step step) {
  spawn->error = errno;
  spawn->step = step;
  syscall(SYS_exit, 127);
  __builtin_unreachable();
}

/* The process itself writes "0" to `tasks`: only then does the kernel not wait for an RCU grace period. */
static void join_cgroups(struct spawn *spawn) {
  for (char **file = spawn->tasks_files; *file != NULL; file++) {
    long fd = syscall(SYS_openat, AT_FDCWD, *file, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0 || syscall(SYS_write, fd, "0", 1) != 1) {
      give_up(spawn, STEP_CGROUP);
    }
    syscall(SYS_close, fd);
  }
}

/* All sources go above the highest target first, since a target may be the number of another's source. */
static void arrange_descriptors(struct spawn *spawn) {
  int top = 2;
  bool named[3] = {false, false, false};
  int moved[FDS];
  for (size_t i = 0; i < spawn->fd_count; i++) {
    top = spawn->child_fds[i] > top ? spawn->child_fds[i] : top;
    if (spawn->child_fds[i] <= 2) {
      named[spawn->child_fds[i]] = true;
    }
  }
  for (size_t i = 0; i < spawn->fd_count; i++) {
    long fd = syscall(SYS_fcntl, spawn->parent_fds[i], F_DUPFD_CLOEXEC, top + 1);
    if (fd < 0) {
      give_up(spawn, STEP_DESCRIPTORS);
    }
    moved[i] = (int)fd;
  }
  long null = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
  null = null < 0 ? null : syscall(SYS_fcntl, null, F_DUPFD_CLOEXEC, top + 1);
  if (null < 0 || syscall(SYS_close_range, 0, top, 0) != 0) {
    give_up(spawn, STEP_DESCRIPTORS);
  }
  for (int fd = 0; fd <= 2; fd++) {
    if (!named[fd] && syscall(SYS_dup3, null, fd, 0) < 0) {
      give_up(spawn, STEP_DESCRIPTORS);
    }
  }
  for (size_t i = 0; i < spawn->fd_count; i++) {
    if (syscall(SYS_dup3, moved[i], spawn->child_fds[i], 0) < 0) {
      give_up(spawn, STEP_DESCRIPTORS);
    }
  }
  if (syscall(SYS_close_range, top + 1, ~0U, 0) != 0) {
    give_up(spawn, STEP_DESCRIPTORS);
  }
}

/* Ignored signals stay ignored across execve, and node ignores SIGPIPE. */
static void reset_signals(void) {
  unsigned long nothing[8] = {0};
  for (int number = 1; number <= SIGNALS; number++) {
    syscall(SYS_rt_sigaction, number, nothing, NULL, 8);
  }
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, nothing, NULL, 8);
}

__attribute__((noreturn, used)) static void child_main(void *argument) {
  struct spawn *spawn = argument;
  join_cgroups(spawn);
  if (syscall(SYS_setsid) < 0) {
    give_up(spawn, STEP_SESSION);
  }
  if (spawn->directory != NULL && syscall(SYS_chdir, spawn->directory) != 0) {
    give_up(spawn, STEP_DIRECTORY);
  }
  arrange_descriptors(spawn);
  reset_signals();
  syscall(SYS_execve, spawn->path, spawn->argv, spawn->env);
  give_up(spawn, STEP_EXEC);
  __builtin_unreachable();
}

/*
 * clone3 gives the child another stack, so it cannot return from a C function: it goes straight to
 * child_main.
 */
static long clone_child(struct clone_args *args, struct spawn *spawn) {
#if defined(__x86_64__)
  long result;
  register void (*entry)(void *) __asm__("r8") = child_main;
  register void *argument __asm__("r9") = spawn;
  __asm__ volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r9, %%rdi\n\t"
      "call *%%r8\n\t"
      "hlt\n"
      "1:"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(args), "S"(sizeof *args), "r"(entry), "r"(argument)
      : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long number __asm__("x8") = SYS_clone3;
  register long result __asm__("x0") = (long)args;
  register long size __asm__("x1") = sizeof *args;
  register void (*entry)(void *) __asm__("x9") = child_main;
  register void *argument __asm__("x10") = spawn;
  __asm__ volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x0, x10\n\t"
      "blr x9\n\t"
      "brk #1\n"
      "1:"
      : "+r"(result)
      : "r"(number), "r"(size), "r"(entry), "r"(argument)
      : "memory");
  return result;
#else
#error "this architecture has no clone3 entry yet"
#endif
}

static void run_spawn(struct job *job) {
  struct spawn *spawn = (struct spawn *)job;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
  void *stack = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (stack == MAP_FAILED) {
    spawn->error = errno;
    return;
  }
  struct clone_args args = {
      .flags = CLONE_VM | CLONE_VFORK,
      .exit_signal = SIGCHLD,
      .stack = (uint64_t)(uintptr_t)stack,
      .stack_size = CHILD_STACK_BYTES,
  };
  if (spawn->cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = (uint64_t)spawn->cgroup;
  }
  long pid = clone_child(&args, spawn);
  munmap(stack, CHILD_STACK_BYTES);
  if (pid < 0) {
    spawn->error = (int)-pid;
    return;
  }
  spawn->pid = (pid_t)pid;
  if (spawn->error != 0) {
    siginfo_t status;
    while (waitid(P_PID, (id_t)pid, &status, WEXITED) != 0 && errno == EINTR) {
    }
  }
}

/* The pid, or [errno, step]. */
static napi_value spawn_result(napi_env env, struct job *job) {
  struct spawn *spawn = (struct spawn *)job;
  napi_value result;
  napi_value part;
  if (spawn->error == 0) {
    TRY(napi_create_int32(env, spawn->pid, &result));
    return result;
  }
  TRY(napi_create_array_with_length(env, 2, &result));
  TRY(napi_create_int32(env, spawn->error, &part));
  TRY(napi_set_element(env, result, 0, part));
  TRY(napi_create_int32(env, spawn->step, &part));
  TRY(napi_set_element(env, result, 1, part));
  return result;
}

static void release_spawn(napi_env env, struct job *job) {
  struct spawn *spawn = (struct spawn *)job;
  (void)env;
  free(spawn->path);
  free(spawn->directory);
  free_strings(spawn->argv);
  free_strings(spawn->env);
  free_strings(spawn->tasks_files);
  free(spawn);
}

static bool read_descriptors(napi_env env, napi_value value, struct spawn *spawn) {
  size_t length = 0;
  void *data = NULL;
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, NULL, NULL) != napi_ok ||
      type != napi_int32_array || length % 2 != 0 || length / 2 > FDS) {
    return false;
  }
  const int32_t *pairs = data;
  spawn->fd_count = length / 2;
  for (size_t i = 0; i < spawn->fd_count; i++) {
    spawn->child_fds[i] = pairs[2 * i];
    spawn->parent_fds[i] = pairs[2 * i + 1];
  }
  return true;
}

/*
 * spawn(path, argv, env, directory | null, Int32Array of child and parent numbers in turn, cgroup, tasks
 * files)
 */
napi_value call_spawn(napi_env env, napi_callback_info info) {
  size_t count = 7;
  napi_value values[7];
  TRY(napi_get_cb_info(env, info, &count, values, NULL, NULL));
  if (count != 7) {
    return fail(env, "spawn: seven arguments");
  }
  struct spawn *spawn = calloc(1, sizeof *spawn);
  if (spawn == NULL) {
    return fail(env, "out of memory");
  }
  spawn->job = (struct job){.run = run_spawn, .result = spawn_result, .release = release_spawn};
  spawn->path = copy_string(env, values[0]);
  spawn->argv = copy_strings(env, values[1]);
  spawn->env = copy_strings(env, values[2]);
  spawn->tasks_files = copy_strings(env, values[6]);
  napi_valuetype type = napi_undefined;
  bool good = spawn->path != NULL && spawn->argv != NULL && spawn->env != NULL &&
              spawn->tasks_files != NULL && read_descriptors(env, values[4], spawn) &&
              napi_get_value_int32(env, values[5], &spawn->cgroup) == napi_ok &&
              napi_typeof(env, values[3], &type) == napi_ok;
  if (good && type == napi_string) {
    spawn->directory = copy_string(env, values[3]);
    good = spawn->directory != NULL;
  }
  if (!good) {
    release_spawn(env, &spawn->job);
    return fail(env, "spawn: bad arguments (a string with a NUL inside, or too many descriptors)");
  }
  return start_job(env, &spawn->job);
}
