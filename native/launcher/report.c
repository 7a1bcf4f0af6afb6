/* Job: tell the caller about the pid, the terminal, the failure; messages with what goes along with them. */
#include "kernel.h"

#include <sys/socket.h>

#include "report.h"

/* Room for a descriptor and for credentials, each alone. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(struct ucred))];
};

int send_with_descriptor(int socket, const void *bytes, size_t length, int fd) {
	union control control = {.header.cmsg_len = 0};
	struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	if (fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int report_short(int socket, enum report_kind kind, int32_t pid, int master) {
	struct launch_report report = {.kind = kind, .pid = pid};
	return send_with_descriptor(socket, &report, offsetof(struct launch_report, failure), master);
}

int report_failed(int socket, const struct launch_failure *failure) {
	struct launch_report report = {.kind = REPORT_FAILED, .failure = *failure};
	return send_with_descriptor(socket, &report, sizeof(report), -1);
}

int receive_with_company(int socket, void *bytes, size_t length, int flags, struct company *company) {
	union control control;
	struct iovec vector = {.iov_base = bytes, .iov_len = length};
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got;
	*company = (struct company){.fd = -1};
	memset(bytes, 0, length);
	do /* the other side may have gone without reading everything: what it said comes after the reset */
		got = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
	while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	if (got <= 0)
		return (int)got;
	struct cmsghdr *first = CMSG_FIRSTHDR(&message);
	if (!first || first->cmsg_level != SOL_SOCKET)
		return 1;
	if (first->cmsg_type == SCM_RIGHTS && first->cmsg_len >= CMSG_LEN(sizeof(int)))
		memcpy(&company->fd, CMSG_DATA(first), sizeof(int));
	struct ucred credentials;
	if (first->cmsg_type == SCM_CREDENTIALS) {
		memcpy(&credentials, CMSG_DATA(first), sizeof(credentials));
		company->sender = credentials.pid;
	}
	return 1;
}

int report_read(int socket, struct launch_report *report, int *fd) {
	struct company company;
	int got = receive_with_company(socket, report, sizeof(*report), 0, &company);
	*fd = company.fd;
	report->failure.step[REPORT_STEP_BYTES - 1] = 0;
	report->failure.object[REPORT_OBJECT_BYTES - 1] = 0;
	return got;
}
