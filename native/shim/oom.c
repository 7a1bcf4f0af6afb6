/* Job: count OOM kills of the container's cgroup, v1 by eventfd, v2 by inotify. */
#define _GNU_SOURCE
#include "oom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "clock.h"
#include "limits.h"
#include "loop.h"
#include "scratch.h"

#define RECHECK_FIRST_NS 5000000ull
#define RECHECK_LAST_NS 1000000000ull

static struct source notice = {.fd = -1};
static const char *v1_path = "", *v2_path = "";
static int counter_fd = -1;
static void (*tell_count)(uint64_t count);
static uint64_t counted;
/* v1 tells before it kills: the counter is read again, at growing distances. */
static uint64_t recheck_at_ns, recheck_distance_ns;

void oom_listen(void (*tell)(uint64_t count)) {
	tell_count = tell;
}

static uint64_t read_counter(void) {
	char text[1024];
	ssize_t got = counter_fd < 0 ? -1 : pread(counter_fd, text, sizeof(text) - 1, 0);
	if (got <= 0)
		return counted;
	text[got] = 0;
	char *at = strstr(text, "oom_kill ");
	return at ? strtoull(at + 9, NULL, 10) : counted;
}

uint64_t oom_check(void) {
	uint64_t count = read_counter();
	if (count > counted) {
		counted = count;
		recheck_at_ns = 0;
		tell_count(count);
	}
	return counted;
}

static void notice_ready(struct source *source, uint32_t events) {
	char buffer[4096];
	(void)events;
	if (read(source->fd, buffer, sizeof(buffer)) <= 0)
		return;
	uint64_t before = counted;
	if (oom_check() == before) {
		recheck_distance_ns = RECHECK_FIRST_NS;
		recheck_at_ns = steady_clock_ns() + recheck_distance_ns;
	}
}

uint64_t oom_deadline(uint64_t now_ns) {
	if (recheck_at_ns == 0 || recheck_at_ns > now_ns)
		return recheck_at_ns;
	uint64_t before = counted;
	if (oom_check() != before)
		return 0;
	recheck_distance_ns *= 4;
	recheck_at_ns = recheck_distance_ns > RECHECK_LAST_NS ? 0 : now_ns + recheck_distance_ns;
	return recheck_at_ns;
}

static bool watch_v1(const char *directory) {
	char path[MAX_PATH_BYTES + 64], text[64];
	snprintf(path, sizeof(path), "%s/memory.oom_control", directory);
	counter_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (counter_fd < 0)
		return false;
	notice.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	snprintf(path, sizeof(path), "%s/cgroup.event_control", directory);
	int control = open(path, O_WRONLY | O_CLOEXEC);
	int length = snprintf(text, sizeof(text), "%d %d", notice.fd, counter_fd);
	if (control >= 0 && write(control, text, (size_t)length) < 0)
		recheck_at_ns = 0;
	if (control >= 0)
		close(control);
	return true;
}

static bool watch_v2(const char *directory) {
	char path[MAX_PATH_BYTES + 64];
	snprintf(path, sizeof(path), "%s/memory.events", directory);
	counter_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (counter_fd < 0)
		return false;
	notice.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (notice.fd >= 0)
		inotify_add_watch(notice.fd, path, IN_MODIFY);
	return true;
}

void oom_remember(const char *v1_directory, const char *v2_directory) {
	v1_path = keep_text(v1_directory);
	v2_path = keep_text(v2_directory);
}

void oom_watch(void) {
	bool watching = v1_path[0] && watch_v1(v1_path);
	if (!watching && v2_path[0])
		watching = watch_v2(v2_path);
	if (!watching)
		return;
	notice.ready = notice_ready;
	if (notice.fd >= 0)
		loop_want(&notice, EPOLLIN);
	oom_check();
}
