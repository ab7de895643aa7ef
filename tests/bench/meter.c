/* meter: what the benchmarks measure that no wall clock shows. Static and small, so that it adds nothing of its own.
 *
 *   meter peak FILE PROGRAM [ARG ...]            runs PROGRAM; FILE: KiB of its largest process (of those waited for)
 *   meter steps FILE UID GID PROGRAM [ARG ...]   as root: runs PROGRAM as UID; FILE: instructions in user space of all
 *                                                processes that it starts, and how many these are
 *   meter loop COUNT [FILTER]                    nanoseconds of one getppid(), behind the seccomp filter in FILTER
 *   meter filter PID FILE                        as root: the first seccomp filter of PID, as struct sock_filter[]
 *
 * steps is for machines whose processor counters are out of reach (perf stat says <not supported> in most virtual
 * machines): it single-steps, so it is exact, and some hundred times slower.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif
#define MAX_PIDS (1 << 22)

static void die(const char *what) { fprintf(stderr, "meter: %s: %s\n", what, strerror(errno)); _exit(125); }

static void put(const char *file, const char *format, unsigned long long a, unsigned long long b)
{
	FILE *out = fopen(file, "w");
	if (!out) die(file);
	fprintf(out, format, a, b);
	if (fclose(out)) die(file);
}

static int code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

static int peak(const char *file, char **argv)
{
	int status;
	struct rusage usage;
	pid_t pid = vfork();
	if (pid < 0) die("vfork");
	if (pid == 0) { execv(argv[0], argv); _exit(127); }
	if (wait4(pid, &status, 0, &usage) < 0) die("wait4");
	put(file, "%llu\n", usage.ru_maxrss, 0);
	return code_of(status);
}

/* Lets a process go on alone: only one that is stopped can be let go, or its next instruction would end it. */
static void let_go(pid_t pid)
{
	int status;
	if (kill(pid, SIGSTOP)) return;
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		if (WSTOPSIG(status) == SIGSTOP) {
			ptrace(PTRACE_DETACH, pid, 0, 0);
			return;
		}
		ptrace(PTRACE_CONT, pid, 0, 0);
	}
}

static int steps(const char *file, uid_t uid, gid_t gid, char **argv)
{
	static unsigned char known[MAX_PIDS];
	const long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	unsigned long long count = 0, processes = 0;
	int status, code = 0, over = 0, idle = 0;
	pid_t pid, first = fork();
	if (first < 0) die("fork");
	if (first == 0) {
		if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)) die("setresuid");
		prctl(PR_SET_DUMPABLE, 1);
		if (ptrace(PTRACE_TRACEME, 0, 0, 0)) die("ptrace(TRACEME)");
		execv(argv[0], argv);
		die(argv[0]);
	}
	while ((pid = waitpid(-1, &status, __WALL | (over ? WNOHANG : 0))) >= 0 || errno == EINTR) {
		int deliver = 0, stop;
		if (pid < 0) continue;
		if (pid == 0) {
			/* What is left when PROGRAM has ended, and waits for something: a container's first process. */
			if (idle++ == 200) break;
			usleep(1000);
			continue;
		}
		idle = 0;
		if (!WIFSTOPPED(status)) {
			if (pid == first) code = code_of(status), over = 1;
			known[pid] = 0;
			continue;
		}
		stop = WSTOPSIG(status);
		if (!known[pid]) {
			known[pid] = 1;
			processes++;
			ptrace(PTRACE_SETOPTIONS, pid, 0, options);
		} else if (stop == SIGTRAP) {
			count += status >> 16 == 0;
		} else {
			deliver = stop;
		}
		ptrace(PTRACE_SINGLESTEP, pid, 0, deliver);
	}
	for (pid = 1; pid < MAX_PIDS; pid++)
		if (known[pid]) let_go(pid);
	put(file, "%llu %llu\n", count, processes);
	return code;
}

static int loop(long count, const char *file)
{
	struct timespec begin, end;
	if (file) {
		static struct sock_filter code[4096];
		int fd = open(file, O_RDONLY | O_CLOEXEC);
		ssize_t size = fd < 0 ? -1 : read(fd, code, sizeof code);
		struct sock_fprog program = { .len = size / sizeof *code, .filter = code };
		if (size <= 0) die(file);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) die("seccomp");
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (long i = 0; i < count; i++) syscall(SYS_getppid);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.2f\n", ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / count);
	return 0;
}

static int filter(pid_t pid, const char *file)
{
	static struct sock_filter code[4096];
	int status;
	long length;
	FILE *out = fopen(file, "w");
	if (!out) die(file);
	if (ptrace(PTRACE_ATTACH, pid, 0, 0) || waitpid(pid, &status, __WALL) < 0) die("ptrace(ATTACH)");
	length = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, code);
	ptrace(PTRACE_DETACH, pid, 0, 0);
	if (length < 0) die("ptrace(SECCOMP_GET_FILTER)");
	fwrite(code, sizeof *code, length, out);
	return fclose(out) ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "peak")) return peak(argv[2], argv + 3);
	if (argc >= 6 && !strcmp(argv[1], "steps")) return steps(argv[2], atoi(argv[3]), atoi(argv[4]), argv + 5);
	if (argc >= 3 && !strcmp(argv[1], "loop")) return loop(atol(argv[2]), argv[3]);
	if (argc == 4 && !strcmp(argv[1], "filter")) return filter(atoi(argv[2]), argv[3]);
	fprintf(stderr, "usage: see the head of meter.c\n");
	return 2;
}
