/* Job: tell the caller about the pid, the terminal, the failure. */
#define _GNU_SOURCE
#include "report.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

union descriptor_control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int send_with_descriptor(int socket, const void *bytes, size_t length, int fd) {
	union descriptor_control control;
	struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	memset(&control, 0, sizeof(control));
	if (fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int report_pid(int socket, int32_t pid) {
	struct launch_report report = {.kind = REPORT_PID, .pid = pid};
	return send_with_descriptor(socket, &report, offsetof(struct launch_report, failure), -1);
}

int report_terminal(int socket, int master) {
	struct launch_report report = {.kind = REPORT_TERMINAL};
	return send_with_descriptor(socket, &report, offsetof(struct launch_report, failure), master);
}

int report_failed(int socket, const struct launch_failure *failure) {
	struct launch_report report = {.kind = REPORT_FAILED, .failure = *failure};
	return send_with_descriptor(socket, &report, sizeof(report), -1);
}

int report_read(int socket, struct launch_report *report, int *fd) {
	union descriptor_control control;
	struct iovec vector = {.iov_base = report, .iov_len = sizeof(*report)};
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got;
	*fd = -1;
	memset(report, 0, sizeof(*report));
	do
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return (int)got;
	struct cmsghdr *first = CMSG_FIRSTHDR(&message);
	if (first && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(first), sizeof(*fd));
	report->failure.step[REPORT_STEP_BYTES - 1] = 0;
	report->failure.object[REPORT_OBJECT_BYTES - 1] = 0;
	return 1;
}
