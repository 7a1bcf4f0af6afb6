/*
 * Jobs on detached threads of their own. Node's pool has four threads and joins them at exit: one call that
 * hangs in a dead file system would take a quarter of it, and keep the process from ending.
 */
#include "addon.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { STACK_BYTES = 256 * 1024 };

static void finish(napi_env env, napi_value callback, void *context, void *data) {
  struct job *job = data;
  (void)callback;
  (void)context;
  if (env != NULL) {
    napi_value value = job->result(env, job);
    if (value != NULL) {
      napi_resolve_deferred(env, job->deferred, value);
    }
  }
  job->release(env, job);
}

static void *run_thread(void *argument) {
  struct job *job = argument;
  napi_threadsafe_function done = job->done;
  job->run(job);
  if (napi_call_threadsafe_function(done, job, napi_tsfn_nonblocking) != napi_ok) {
    job->release(NULL, job);
    return NULL;
  }
  napi_release_threadsafe_function(done, napi_tsfn_release);
  return NULL;
}

/* No signal of the process is ever taken by a job's thread. */
static int start_thread(struct job *job) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t every;
  sigset_t before;
  int error = pthread_attr_init(&attributes);
  if (error != 0) {
    return error;
  }
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  error = pthread_create(&thread, &attributes, run_thread, job);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error;
}

napi_value start_job(napi_env env, struct job *job) {
  napi_value promise;
  napi_value name;
  if (napi_create_promise(env, &job->deferred, &promise) != napi_ok ||
      napi_create_string_utf8(env, "gantry job", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, NULL, finish, &job->done) !=
          napi_ok) {
    job->release(env, job);
    return fail(env, "cannot prepare a job");
  }
  if (start_thread(job) != 0) {
    napi_release_threadsafe_function(job->done, napi_tsfn_abort);
    job->release(env, job);
    return fail(env, "cannot start a thread");
  }
  return promise;
}
