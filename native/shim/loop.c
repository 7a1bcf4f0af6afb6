/* Job: epoll. Sources live in fixed tables, so that a pointer out of an old batch is never dangling. */
#include "loop.h"

#include <errno.h>
#include <sys/epoll.h>

#include "error.h"

static int epoll_fd = -1;

void loop_open(void) {
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		die("epoll_create", errno);
}

void loop_want(struct source *source, uint32_t events) {
	if (source->events == events)
		return;
	struct epoll_event event = {.events = events, .data.ptr = source};
	int operation = events == 0 ? EPOLL_CTL_DEL : source->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	source->events = events;
	if (epoll_ctl(epoll_fd, operation, source->fd, &event) < 0) {
		source->events = 0;
		if (operation != EPOLL_CTL_DEL)
			complain("epoll_ctl", errno);
	}
}

void loop_once(int timeout_ms) {
	struct epoll_event events[32];
	int count = epoll_wait(epoll_fd, events, 32, timeout_ms);
	for (int i = 0; i < count; i++) {
		struct source *source = events[i].data.ptr;
		if (source->events != 0)
			source->ready(source, events[i].events);
	}
}
