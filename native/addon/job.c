/*
 * Jobs on threads of our own. Node's pool has four threads and joins them at exit: one call that hangs in a
 * dead file system would take a quarter of it, and keep the process from ending. A few threads stay for the
 * next job, since making one costs as much as most jobs; no job ever waits for a thread.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STACK_BYTES = 256 * 1024, RESTING_THREADS = 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/*
 * One for each job in the queue. A condition would not do: who signals it may wait, for milliseconds, for a
 * thread that was woken before and has had no turn since.
 */
static sem_t handed;
static struct job *queue; /* never longer than the threads that rest */
static size_t resting;

__attribute__((constructor)) static void prepare(void) {
  sem_init(&handed, 0, 0);
}

static void perform(struct job *job) {
  job->run(job);
  answer(job);
}

/*
 * A thread is born with the nice value of the one that starts it: a worker that gives way. The next job may
 * be the main thread's, and so may the programs that it starts; that one's number is the process's. To take
 * turns back needs CAP_SYS_NICE; without it the thread goes on as it is.
 */
static void be_as_nice_as_main(void) {
  errno = 0;
  int nice = getpriority(PRIO_PROCESS, (id_t)getpid());
  if (errno == 0 && getpriority(PRIO_PROCESS, 0) != nice) {
    (void)setpriority(PRIO_PROCESS, 0, nice);
  }
}

static void *run_thread(void *argument) {
  struct job *job = argument;
  bool stays = !job->spoils_thread;
  be_as_nice_as_main();
  perform(job);
  while (stays) {
    pthread_mutex_lock(&lock);
    stays = resting < RESTING_THREADS;
    if (!stays) {
      pthread_mutex_unlock(&lock);
      break;
    }
    resting++;
    pthread_mutex_unlock(&lock);
    while (sem_wait(&handed) != 0) {
    }
    pthread_mutex_lock(&lock);
    job = queue;
    queue = job->next;
    pthread_mutex_unlock(&lock);
    perform(job);
  }
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

/* A thread that rests takes it, if there is one: it is counted away here, so that each gets one job. */
static bool hand_over(struct job *job) {
  if (job->spoils_thread) {
    return false;
  }
  pthread_mutex_lock(&lock);
  bool taken = resting > 0;
  if (taken) {
    struct job **end = &queue;
    while (*end != NULL) {
      end = &(*end)->next;
    }
    *end = job;
    resting--;
  }
  pthread_mutex_unlock(&lock);
  if (taken) {
    sem_post(&handed);
  }
  return taken;
}

napi_value start_job(napi_env env, struct job *job) {
  napi_value promise;
  struct answers *answers = answers_of(env);
  if (answers == NULL || napi_create_promise(env, &job->deferred, &promise) != napi_ok) {
    job->release(env, job);
    return fail(env, "cannot prepare a job");
  }
  job->next = NULL;
  expect_answer(answers, job);
  if (!hand_over(job) && start_thread(job) != 0) {
    expect_no_answer(job);
    job->release(env, job);
    return fail(env, "cannot start a thread");
  }
  return promise;
}
