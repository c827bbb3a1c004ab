/* Runs a program and makes one system call of one of its processes fail, or kills that process
 * there.
 *
 *     inject list OUT CMD...                       every call: "ROLE NUMBER NAME" a line, with
 *                                                  "late" behind it once the command runs
 *     inject fail ROLE NUMBER ERRNO OUT CMD...     this call is not made and returns -ERRNO
 *     inject kill ROLE NUMBER OUT CMD...           SIGKILL to the process as it enters this call
 *     inject spoil TYPE SCRIPT OUT CMD...          runs SCRIPT by sh(1) when CMD, which has a child
 *                                                  already, is about to ask for a netlink dump of
 *                                                  TYPE (below 256: any of that netfilter
 *                                                  subsystem; else nlmsg_type and 256); $INIT is
 *                                                  that child
 *
 * A process is named by its place in the family: "0" is CMD, "0.2" the second child of "0"; NUMBER
 * counts its calls of all kinds, from 1, in "0" from the first getresuid() on, where netjail's own
 * code begins. That stays the same from run to run, which a count of one kind of call in all
 * processes would not. A process that executes something called `probe` or `sleep` is left alone
 * from then on: it is a jail's command. OUT gets, for fail and kill, the name of the call that was
 * met, or nothing. The last line of stdout is "status N", "signal N" or "hang". With CMD
 * `netjailctl create` the end of CMD is the end: what it left in the background goes on alone. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES_MAX 256
#define SECONDS       20
#define OPTIONS                                                                                    \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |      \
     PTRACE_O_TRACEEXEC)

struct process {
    pid_t pid; /* 0: a free place */
    char role[32];
    unsigned children;
    unsigned long calls;
    bool counts;  /* see above */
    bool inside;  /* of a call */
    bool faulted; /* this call is to return -errno */
    bool stopped; /* its first stop came before its parent told of it */
};

static struct process processes[PROCESSES_MAX];
static const char *mode;
static const char *wanted_role = "";
static unsigned long wanted_number;
static long wanted_errno;
static FILE *out;
static pid_t root;
static bool late;   /* the probe runs */
static bool leaves; /* CMD ends before what it started */
static const char *script;
static bool done; /* nothing more is to be met: everybody is let go */

/* Only the process that matters stops at its calls. */
static int resume_request(const struct process *process)
{
    return mode[0] == 'l' || strcmp(process->role, wanted_role) == 0 ? PTRACE_SYSCALL : PTRACE_CONT;
}

static struct process *find(pid_t pid)
{
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (processes[i].pid == pid)
            return &processes[i];
    }
    return NULL;
}

static struct process *add(pid_t pid, const char *parent, unsigned number)
{
    struct process *process = find(pid);

    if (!process)
        process = find(0);
    if (!process)
        exit(99);
    process->pid = pid;
    if (parent)
        (void)snprintf(process->role, sizeof process->role, "%.20s.%u", parent, number);
    return process;
}

static void hang(int number)
{
    (void)number;
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (processes[i].pid > 0)
            (void)kill(processes[i].pid, SIGKILL);
    }
    (void)!write(STDOUT_FILENO, "hang\n", 5);
    _exit(0);
}

static void name_print(unsigned long long number)
{
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);

    (void)fputs(name ? name : "unknown", out);
    free(name);
}

#if defined(__x86_64__)
static unsigned long long call_number(const struct user_regs_struct *regs)
{
    return regs->orig_rax;
}

static void call_skip(pid_t pid, struct user_regs_struct *regs)
{
    regs->orig_rax = (unsigned long long)-1;
    (void)ptrace(PTRACE_SETREGS, pid, NULL, regs);
}

static void call_return(pid_t pid, long value)
{
    struct user_regs_struct regs;

    if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
        return;
    regs.rax = (unsigned long long)value;
    (void)ptrace(PTRACE_SETREGS, pid, NULL, &regs);
}
#define GETRESUID 118
#define SENDTO    44

/* The header of what is sent; false when it cannot be read. */
static bool call_sends(pid_t pid, const struct user_regs_struct *regs, struct nlmsghdr *ret_header)
{
    struct iovec ours = {ret_header, sizeof *ret_header};
    struct iovec theirs = {(void *)(uintptr_t)regs->rsi, sizeof *ret_header};

    return process_vm_readv(pid, &ours, 1, &theirs, 1, 0) == (ssize_t)sizeof *ret_header;
}
#else
#error "inject knows the registers of x86-64 only"
#endif

static pid_t init_pid(void)
{
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (strcmp(processes[i].role, "0.1") == 0)
            return processes[i].pid;
    }
    return 0;
}

static void spoil(const struct process *process, const struct user_regs_struct *regs)
{
    struct nlmsghdr header;
    char pid[16];

    if (process->pid != root || init_pid() == 0 || call_number(regs) != SENDTO ||
        !call_sends(root, regs, &header) || !(header.nlmsg_flags & NLM_F_DUMP) ||
        (wanted_number < 256 ? header.nlmsg_type >> 8 : header.nlmsg_type) !=
            (wanted_number < 256 ? wanted_number : wanted_number - 256))
        return;
    (void)snprintf(pid, sizeof pid, "%d", (int)init_pid());
    (void)setenv("INIT", pid, 1);
    (void)fprintf(out, "%d\n", system(script));
    done = true;
}

static void call_entered(struct process *process)
{
    struct user_regs_struct regs;

    if (ptrace(PTRACE_GETREGS, process->pid, NULL, &regs) < 0)
        return;
    if (script) {
        spoil(process, &regs);
        return;
    }
    process->counts = process->counts || process->pid != root || call_number(&regs) == GETRESUID;
    if (!process->counts)
        return;
    process->calls++;
    if (strcmp(mode, "list") == 0) {
        (void)fprintf(out, "%s %lu ", process->role, process->calls);
        name_print(call_number(&regs));
        (void)fputs(late ? " late\n" : "\n", out);
        return;
    }
    if (process->calls != wanted_number || strcmp(process->role, wanted_role) != 0)
        return;
    name_print(call_number(&regs));
    (void)fflush(out);
    if (strcmp(mode, "kill") == 0) {
        (void)kill(process->pid, SIGKILL);
        done = true;
    } else {
        process->faulted = true;
        call_skip(process->pid, &regs);
    }
}

static void call_left(struct process *process)
{
    if (!process->faulted)
        return;
    call_return(process->pid, -wanted_errno);
    done = true;
}

/* Does it execute a program of this name? */
static bool is_program(pid_t pid, const char *name)
{
    char path[64], target[PATH_MAX];
    const char *base;
    ssize_t length;

    (void)snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    length = readlink(path, target, sizeof target - 1);
    if (length < 0)
        return false;
    target[length] = '\0';
    base = strrchr(target, '/');
    return base && strcmp(base + 1, name) == 0;
}

static void forked(struct process *parent)
{
    unsigned long child = 0;

    if (ptrace(PTRACE_GETEVENTMSG, parent->pid, NULL, &child) < 0)
        return;
    struct process *process = add((pid_t)child, parent->role, ++parent->children);

    if (process->stopped)
        (void)ptrace(resume_request(process), process->pid, NULL, 0);
    process->stopped = false;
}

/* Handles one stop; returns the signal to deliver, or -1 when the process is not to be resumed. */
static int stop_handle(struct process *process, int status)
{
    int signal = WSTOPSIG(status);
    int event = status >> 16;

    if (signal == (SIGTRAP | 0x80)) {
        process->inside = !process->inside;
        if (process->inside)
            call_entered(process);
        else
            call_left(process);
        return 0;
    }
    if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
        forked(process);
        return 0;
    }
    if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
        (void)ptrace(PTRACE_LISTEN, process->pid, NULL, 0); /* it was stopped, and stays so */
        return -1;
    }
    if (event == PTRACE_EVENT_EXEC) {
        if (is_program(process->pid, "probe"))
            late = true;
        else if (!is_program(process->pid, "sleep"))
            return 0;
        (void)ptrace(PTRACE_DETACH, process->pid, NULL, 0);
        *process = (struct process){0};
        return -1;
    }
    return event != 0 ? 0 : signal;
}

static void loop(void)
{
    int status, last = 0;
    pid_t pid;

    while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        struct process *process = find(pid);
        int signal;

        if (pid <= 0)
            continue;
        if (!WIFSTOPPED(status)) {
            if (pid == root)
                last = status;
            if (process)
                *process = (struct process){0};
            if (pid == root && leaves)
                break; /* our end lets the others go */
            continue;
        }
        if (!process) { /* a new one, of which its parent has not told yet */
            process = add(pid, NULL, 0);
            process->stopped = true;
            continue;
        }
        signal = stop_handle(process, status);
        if (signal >= 0)
            (void)ptrace(done ? PTRACE_DETACH : resume_request(process), pid, NULL, signal);
    }
    if (WIFEXITED(last))
        (void)printf("status %d\n", WEXITSTATUS(last));
    else
        (void)printf("signal %d\n", WTERMSIG(last));
}

/* Starts the program, which waits until it is traced. PTRACE_SEIZE, since with PTRACE_TRACEME a
 * child begins with a SIGSTOP, in which it would stay when we have ended. */
static bool start(char **command)
{
    int go[2];
    char byte;

    if (pipe2(go, O_CLOEXEC) < 0)
        return false;
    root = fork();
    if (root == 0) {
        (void)fclose(out);
        (void)close(go[1]);
        if (read(go[0], &byte, 1) == 1)
            (void)execv(command[0], command);
        _exit(98);
    }
    (void)strcpy(add(root, NULL, 0)->role, "0");
    if (ptrace(PTRACE_SEIZE, root, NULL, OPTIONS) < 0 ||
        ptrace(PTRACE_INTERRUPT, root, NULL, 0) < 0 || write(go[1], "x", 1) != 1)
        return false;
    (void)close(go[0]);
    (void)close(go[1]);
    return true;
}

int main(int argc, char **argv)
{
    char **command = NULL;

    mode = argc > 3 ? argv[1] : "";
    if (strcmp(mode, "list") == 0) {
        out = fopen(argv[2], "w");
        command = argv + 3;
    } else if (strcmp(mode, "fail") == 0 && argc > 6) {
        wanted_errno = strtol(argv[4], NULL, 10);
        out = fopen(argv[5], "w");
        command = argv + 6;
    } else if (strcmp(mode, "spoil") == 0 && argc > 5) {
        wanted_number = strtoul(argv[2], NULL, 10);
        script = argv[3];
        out = fopen(argv[4], "w");
        command = argv + 5;
    } else if (strcmp(mode, "kill") == 0 && argc > 5) {
        out = fopen(argv[4], "w");
        command = argv + 5;
    }
    if (!command || !out)
        return 99;
    if (script) {
        wanted_role = "0";
    } else if (mode[0] != 'l') {
        wanted_role = argv[2];
        wanted_number = strtoul(argv[3], NULL, 10);
    }
    leaves = command[1] && strcmp(command[1], "create") == 0;
    if (!start(command))
        return 99;
    (void)signal(SIGALRM, hang);
    (void)alarm(SECONDS);
    loop();
    (void)fclose(out);
    return 0;
}
