/*
 * The way back from jobs to the environment that started them. Node's own thread-safe functions wake it with
 * a lock in their hand, which it then wants: a main thread that goes before all others takes the processor
 * from the very thread that holds it, and waits for as long as others keep that one from going on. Here
 * nothing is held: what is done lies on a stack that is taken as a whole.
 *
 * Of libuv only functions are used, no structure: node promises both within a major version.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct uv_async_s;
struct uv_handle_s;
enum { UV_ASYNC = 1 };
size_t uv_handle_size(int type);
int uv_async_init(struct uv_loop_s *loop, struct uv_async_s *async,
                  void (*woken)(struct uv_async_s *async));
int uv_async_send(struct uv_async_s *async);
void *uv_handle_get_data(const struct uv_handle_s *handle);
void uv_handle_set_data(struct uv_handle_s *handle, void *data);
void uv_ref(struct uv_handle_s *handle);
void uv_unref(struct uv_handle_s *handle);
void uv_close(struct uv_handle_s *handle, void (*closed)(struct uv_handle_s *handle));

struct answers {
  napi_env env;
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  struct uv_async_s *async;
  /* Those that JavaScript waits for: they keep its event loop alive. Its thread's alone. */
  size_t pending;
  /* Newest first. */
  _Atomic(struct job *) done;
  /* The environment, and each job until its thread has let go. */
  atomic_size_t holders;
  /* Written to by the environment's end alone: no thread ever waits for another one here. */
  pthread_rwlock_t ending;
  bool ended;
  /* The memory that its jobs were given is gone. */
  atomic_bool spoilt;
};

static struct uv_handle_s *handle_of(struct answers *answers) {
  return (struct uv_handle_s *)answers->async;
}

static void let_go(struct answers *answers) {
  if (atomic_fetch_sub(&answers->holders, 1) == 1) {
    pthread_rwlock_destroy(&answers->ending);
    free(answers);
  }
}

/* Oldest first. */
static struct job *take_done(struct answers *answers) {
  struct job *newest = atomic_exchange(&answers->done, NULL);
  struct job *oldest = NULL;
  while (newest != NULL) {
    struct job *next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  return oldest;
}

/* Nobody waits for them any more. */
static void abandon(struct answers *answers) {
  for (struct job *job = take_done(answers); job != NULL;) {
    struct job *next = job->next;
    job->release(NULL, job);
    job = next;
  }
}

static void no_longer_pending(struct answers *answers) {
  answers->pending--;
  if (answers->pending == 0) {
    uv_unref(handle_of(answers));
  }
}

/* A result that cannot be told must not keep the next ones from being told. */
static void settle(napi_env env, struct job *job) {
  napi_value value = job->result(env, job);
  if (value != NULL) {
    napi_resolve_deferred(env, job->deferred, value);
  } else if (napi_get_and_clear_last_exception(env, &value) == napi_ok) {
    napi_reject_deferred(env, job->deferred, value);
  }
}

static void give_all(struct answers *answers) {
  napi_env env = answers->env;
  for (struct job *job = take_done(answers); job != NULL;) {
    struct job *next = job->next;
    settle(env, job);
    job->release(env, job);
    no_longer_pending(answers);
    job = next;
  }
}

/* What waits for the promises runs when the callback scope ends. */
static void on_woken(struct uv_async_s *async) {
  struct answers *answers = uv_handle_get_data((struct uv_handle_s *)async);
  napi_env env = answers->env;
  napi_handle_scope handles;
  napi_callback_scope callback;
  if (napi_open_handle_scope(env, &handles) != napi_ok) {
    return;
  }
  if (napi_open_callback_scope(env, NULL, answers->context, &callback) == napi_ok) {
    give_all(answers);
    napi_close_callback_scope(env, callback);
  }
  napi_close_handle_scope(env, handles);
}

static void on_closed(struct uv_handle_s *handle) {
  struct answers *answers = uv_handle_get_data(handle);
  free(answers->async);
  napi_remove_async_cleanup_hook(answers->cleanup);
  let_go(answers);
}

/*
 * Calls of a worker that ends still read and write its buffers, whose memory goes with it. One that hangs in
 * a dead file system is not waited for to the end: the process must be able to end, and with many workers in
 * a row. What that call does to memory cannot be helped then; the rest of its job is not done. The process's
 * own thread waits for none: nothing is left that could be spoiled.
 */
enum { LAST_CALLS_MS = 5000, NEXT_LAST_CALLS_MS = 100 };
static atomic_bool waited_in_vain;

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void await_calls(struct answers *answers) {
  if (syscall(SYS_gettid) == getpid()) {
    return;
  }
  int64_t until = now_ms() + (atomic_load(&waited_in_vain) ? NEXT_LAST_CALLS_MS : LAST_CALLS_MS);
  while (atomic_load(&answers->holders) > 1) {
    if (now_ms() >= until) {
      atomic_store(&waited_in_vain, true);
      atomic_store(&answers->spoilt, true);
      return;
    }
    usleep(1000);
  }
}

bool is_spoilt(const struct job *job) {
  return atomic_load(&job->answers->spoilt);
}

static void on_environment_end(napi_async_cleanup_hook_handle cleanup, void *data) {
  (void)cleanup;
  struct answers *answers = data;
  pthread_rwlock_wrlock(&answers->ending);
  answers->ended = true;
  pthread_rwlock_unlock(&answers->ending);
  await_calls(answers);
  abandon(answers);
  napi_async_destroy(answers->env, answers->context);
  uv_close(handle_of(answers), on_closed);
}

static bool open_answers(napi_env env, struct answers *answers) {
  struct uv_loop_s *loop;
  napi_value name;
  answers->env = env;
  answers->holders = 1;
  pthread_rwlock_init(&answers->ending, NULL);
  answers->async = calloc(1, uv_handle_size(UV_ASYNC));
  if (answers->async == NULL || napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_create_string_utf8(env, "gantry jobs", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, NULL, name, &answers->context) != napi_ok ||
      uv_async_init(loop, answers->async, on_woken) != 0) {
    if (answers->context != NULL) {
      napi_async_destroy(env, answers->context);
    }
    pthread_rwlock_destroy(&answers->ending);
    free(answers->async);
    return false;
  }
  uv_handle_set_data(handle_of(answers), answers);
  uv_unref(handle_of(answers));
  napi_add_async_cleanup_hook(env, on_environment_end, answers, &answers->cleanup);
  return true;
}

struct answers *answers_of(napi_env env) {
  struct answers *answers = NULL;
  if (napi_get_instance_data(env, (void **)&answers) == napi_ok && answers != NULL) {
    return answers;
  }
  answers = calloc(1, sizeof *answers);
  if (answers == NULL || !open_answers(env, answers)) {
    free(answers);
    return NULL;
  }
  napi_set_instance_data(env, answers, NULL, NULL);
  return answers;
}

void expect_answer(struct answers *answers, struct job *job) {
  job->answers = answers;
  atomic_fetch_add(&answers->holders, 1);
  if (answers->pending == 0) {
    uv_ref(handle_of(answers));
  }
  answers->pending++;
}

void expect_no_answer(struct job *job) {
  struct answers *answers = job->answers;
  no_longer_pending(answers);
  let_go(answers);
}

void answer(struct job *job) {
  struct answers *answers = job->answers;
  job->next = atomic_load(&answers->done);
  while (!atomic_compare_exchange_weak(&answers->done, &job->next, job)) {
  }
  /* libuv looks whether it is woken already without any order: the job must be seen before that. */
  atomic_thread_fence(memory_order_seq_cst);
  pthread_rwlock_rdlock(&answers->ending);
  bool ended = answers->ended;
  if (!ended) {
    uv_async_send(answers->async);
  }
  pthread_rwlock_unlock(&answers->ending);
  if (ended) {
    abandon(answers);
  }
  let_go(answers);
}
