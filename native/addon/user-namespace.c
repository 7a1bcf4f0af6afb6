/*
 * User namespaces, and network namespaces that belong to one. A thread of a process with others can neither
 * make nor join a user namespace, so a child does: it shares our memory and our descriptors, makes system
 * calls only, and lives for as long as its maker needs it.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_STACK_BYTES = 64 * 1024, PATH_BYTES = 64 };

struct user_namespace {
  struct job job;
  char *uid_map;
  char *gid_map;
  int owner; /* of the network namespace that is to be made: a user namespace */
  volatile int result;
};

/* Until it is killed. Only what survives the death of our thread could outlive it, and nothing does. */
__attribute__((noreturn)) static int wait_for_kill(void *argument) {
  (void)argument;
  syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  for (;;) {
    syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
  }
}

static int make_network(void *argument) {
  struct user_namespace *request = argument;
  long result = syscall(SYS_setns, request->owner, CLONE_NEWUSER);
  if (result == 0) {
    result = syscall(SYS_unshare, CLONE_NEWNET);
  }
  if (result == 0) {
    result = syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC, 0);
  }
  request->result = result < 0 ? -errno : (int)result;
  syscall(SYS_exit, 0);
  return 0;
}

/* Without an exit signal: nobody but us is to hear of this child. */
static pid_t start_child(int (*run)(void *), int flags, void *argument, void **stack) {
  const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
  *stack = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE, kind, -1, 0);
  if (*stack == MAP_FAILED) {
    return -1;
  }
  pid_t pid = clone(run, (char *)*stack + CHILD_STACK_BYTES, CLONE_VM | CLONE_FILES | flags, argument);
  if (pid < 0) {
    int error = errno;
    munmap(*stack, CHILD_STACK_BYTES);
    errno = error;
  }
  return pid;
}

static void reap(pid_t pid, void *stack) {
  siginfo_t status;
  while (waitid(P_PID, (id_t)pid, &status, WEXITED | __WALL) != 0 && errno == EINTR) {
  }
  munmap(stack, CHILD_STACK_BYTES);
}

static int open_of(pid_t pid, const char *name, int flags) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
  int fd = open(path, flags | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

/* One write for the whole map, as the kernel wants it. */
static int write_map(pid_t pid, const char *name, const char *map) {
  int fd = open_of(pid, name, O_WRONLY);
  if (fd < 0) {
    return fd;
  }
  ssize_t length = (ssize_t)strlen(map);
  int result = write(fd, map, (size_t)length) == length ? 0 : -errno;
  close(fd);
  return result;
}

static void run_user(struct job *job) {
  struct user_namespace *request = (struct user_namespace *)job;
  void *stack;
  pid_t pid = start_child(wait_for_kill, CLONE_NEWUSER, NULL, &stack);
  if (pid < 0) {
    request->result = -errno;
    return;
  }
  int result = write_map(pid, "uid_map", request->uid_map);
  if (result == 0) {
    result = write_map(pid, "gid_map", request->gid_map);
  }
  if (result == 0) {
    result = open_of(pid, "ns/user", O_RDONLY);
  }
  kill(pid, SIGKILL);
  reap(pid, stack);
  request->result = result;
}

static void run_network(struct job *job) {
  struct user_namespace *request = (struct user_namespace *)job;
  void *stack;
  pid_t pid = start_child(make_network, CLONE_VFORK, request, &stack);
  if (pid < 0) {
    request->result = -errno;
    return;
  }
  reap(pid, stack);
}

static napi_value descriptor(napi_env env, struct job *job) {
  napi_value value;
  TRY(napi_create_int32(env, ((struct user_namespace *)job)->result, &value));
  return value;
}

static void release(napi_env env, struct job *job) {
  struct user_namespace *request = (struct user_namespace *)job;
  if (env == NULL && request->result >= 0) {
    close(request->result);
  }
  free(request->uid_map);
  free(request->gid_map);
  free(request);
}

static struct user_namespace *new_request(void (*run)(struct job *job)) {
  struct user_namespace *request = calloc(1, sizeof *request);
  if (request != NULL) {
    request->job = (struct job){.run = run, .result = descriptor, .release = release};
    request->result = -EINVAL;
  }
  return request;
}

/* createUser(uid map, gid map): the maps as /proc/PID/uid_map takes them */
napi_value call_create_user(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value values[2];
  TRY(napi_get_cb_info(env, info, &count, values, NULL, NULL));
  struct user_namespace *request = new_request(run_user);
  if (request == NULL) {
    return fail(env, "out of memory");
  }
  request->uid_map = count == 2 ? copy_string(env, values[0]) : NULL;
  request->gid_map = count == 2 ? copy_string(env, values[1]) : NULL;
  if (request->uid_map == NULL || request->gid_map == NULL) {
    release(env, &request->job);
    return fail(env, "createUser: two strings");
  }
  return start_job(env, &request->job);
}

/* createNetworkIn(user namespace) */
napi_value call_create_network_in(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value;
  TRY(napi_get_cb_info(env, info, &count, &value, NULL, NULL));
  struct user_namespace *request = new_request(run_network);
  if (request == NULL) {
    return fail(env, "out of memory");
  }
  if (count != 1 || napi_get_value_int32(env, value, &request->owner) != napi_ok) {
    release(env, &request->job);
    return fail(env, "createNetworkIn: a descriptor");
  }
  return start_job(env, &request->job);
}
