/* A new network namespace, made by a thread that ends afterwards: the descriptor alone keeps it. */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

struct network {
  struct job job;
  int result;
};

static void run_network(struct job *job) {
  struct network *network = (struct network *)job;
  if (unshare(CLONE_NEWNET) != 0) {
    network->result = -errno;
    return;
  }
  int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  network->result = fd < 0 ? -errno : fd;
}

static napi_value network_result(napi_env env, struct job *job) {
  napi_value value;
  TRY(napi_create_int32(env, ((struct network *)job)->result, &value));
  return value;
}

static void release_network(napi_env env, struct job *job) {
  struct network *network = (struct network *)job;
  if (env == NULL && network->result >= 0) {
    close(network->result);
  }
  free(network);
}

napi_value call_create_network(napi_env env, napi_callback_info info) {
  (void)info;
  struct network *network = calloc(1, sizeof *network);
  if (network == NULL) {
    return fail(env, "out of memory");
  }
  network->job = (struct job){.run = run_network, .result = network_result, .release = release_network,
                              .spoils_thread = true};
  network->result = -EINVAL;
  return start_job(env, &network->job);
}
