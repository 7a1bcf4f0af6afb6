/* What the caller of the launcher is told: one SOCK_SEQPACKET message each. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum report_kind { REPORT_PID = 1, REPORT_TERMINAL = 2, REPORT_FAILED = 3 };

#define REPORT_STEP_BYTES 32
#define REPORT_OBJECT_BYTES 1024

struct launch_failure {
	uint32_t list; /* enum plan_list */
	uint32_t index; /* of the operation in its list */
	uint32_t code;
	int32_t error; /* errno */
	int32_t status; /* of a hook that ended with one, as waitpid gives it */
	char step[REPORT_STEP_BYTES]; /* the call that failed: "openat2"; always ends with NUL */
	char object[REPORT_OBJECT_BYTES]; /* a path, a name; cut when too long */
};

/* REPORT_TERMINAL carries the master by SCM_RIGHTS; only `kind` is meant then. */
struct launch_report {
	uint32_t kind;
	int32_t pid;
	struct launch_failure failure;
};

/* 0, or -1 with errno. `fd` -1: none goes along. */
int send_with_descriptor(int socket, const void *bytes, size_t length, int fd);
/* REPORT_PID with the pid, REPORT_TERMINAL with the master. */
int report_short(int socket, enum report_kind kind, int32_t pid, int master);
int report_failed(int socket, const struct launch_failure *failure);

/* A descriptor that came along, else -1; the sender's pid where the socket asks for it, else 0. */
struct company {
	int fd;
	pid_t sender;
};

/* The next message, zeros behind it. 1: one read; 0: end of file; -1: errno. */
int receive_with_company(int socket, void *bytes, size_t length, int flags, struct company *company);

/* The next report; `*fd` gets a descriptor that came along, else -1. As above. */
int report_read(int socket, struct launch_report *report, int *fd);
