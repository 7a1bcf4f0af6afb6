/* The native addon of the host room: system calls, and the few things that JavaScript cannot do with them. */
#ifndef GANTRY_ADDON_H
#define GANTRY_ADDON_H

#define NAPI_VERSION 8
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Gives up the calling function when N-API refuses; the pending exception, if any, reaches JavaScript. */
#define TRY(call)                \
  do {                           \
    if ((call) != napi_ok) {     \
      return fail(env, #call);   \
    }                            \
  } while (0)

/* Throws unless something is pending already; always NULL. */
napi_value fail(napi_env env, const char *what);

/*
 * Work for another thread. `run` must not touch N-API; `result` is called on the JavaScript thread and
 * gives the promise's value; `release` frees the job (env is NULL when the environment is being torn down).
 */
struct job {
  void (*run)(struct job *job);
  napi_value (*result)(napi_env env, struct job *job);
  void (*release)(napi_env env, struct job *job);
  /* The thread is of no use to others afterwards: it gets one of its own, which ends with it. */
  bool spoils_thread;
  napi_deferred deferred;
  struct answers *answers;
  struct job *next;
};

/*
 * The way back of an environment's jobs: made with the first one, NULL when that fails. A job is expected
 * before its thread gets it, and is answered by that thread, which must not touch it any more.
 */
struct answers *answers_of(napi_env env);
void expect_answer(struct answers *answers, struct job *job);
/* On the environment's own thread: no thread was found for the job. */
void expect_no_answer(struct job *job);
void answer(struct job *job);
/* While it runs: nobody waits for it, and the buffers that it was given are gone. */
bool is_spoilt(const struct job *job);

/*
 * Hands the job to a thread; takes the job in every case. Returns the promise, or NULL with an exception
 * pending.
 */
napi_value start_job(napi_env env, struct job *job);

/* One file per job; each returns the JavaScript function of its name. */
napi_value call_syscall(napi_env env, napi_callback_info info);
napi_value call_syscalls_async(napi_env env, napi_callback_info info);
napi_value call_spawn(napi_env env, napi_callback_info info);
napi_value call_create_network(napi_env env, napi_callback_info info);
napi_value call_create_user(napi_env env, napi_callback_info info);
napi_value call_create_network_in(napi_env env, napi_callback_info info);
napi_value call_send_fds(napi_env env, napi_callback_info info);
napi_value call_receive_fds(napi_env env, napi_callback_info info);
napi_value call_make_entries(napi_env env, napi_callback_info info);
napi_value call_release_memory(napi_env env, napi_callback_info info);

/* A copy of a JavaScript string, to be freed; NULL when it is no string, or has a NUL inside. */
char *copy_string(napi_env env, napi_value value);

/* A NULL-terminated array of copies, one allocation per string; NULL on failure. */
char **copy_strings(napi_env env, napi_value array);
void free_strings(char **strings);

#endif
