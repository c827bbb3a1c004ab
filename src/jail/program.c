/* Runs one program for netjailctl, in a child of init.
 *
 * The child has all that init has: the jail's namespaces, mounts and limits, its identity, empty
 * capability sets, no_new_privs, the Landlock domain; it is not dumpable. It makes a session of its
 * own (with the terminal, if there is one), forks the program and watches it, as a shell does: the
 * program is a process group of its own, so that it can be stopped and continued. The program gets
 * the seccomp filters and the jail's environment, not the client's: a secret of root's shell is
 * nothing for the jail.
 *
 * What comes from the client is parsed here, without privilege, and never in init. Descendants
 * become our children (subreaper), so that nothing outlives a client that is gone. What must not
 * happen: init's channels still open in here, or a program without its filters. */
#include "jail/program.h"

#include "base/cleanup.h"
#include "jail/offspring.h"
#include "jail/packet.h"
#include "jail/privs.h"
#include "jail/request.h"
#include "jail/seccomp.h"
#include "jail/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct program {
    const struct jail_setup *setup;
    int client_fd;
    int terminal_fd; /* -1: none */
    int standard_fds[3];
    struct program_header header;
    char **argv;
    char **envp;
    pid_t pid;
};

/* What the child says over a pipe that exec() closes. */
struct last_words {
    int32_t code;
    bool by_exec;
};

static void tell(const struct program *program, enum request_event_kind kind, int value)
{
    struct request_event event = {.kind = kind, .value = value};

    /* A client that is gone is noticed by the end of the connection. */
    (void)packet_send(program->client_fd, &event, sizeof event, NULL, 0, false);
}

_Noreturn static void fail(const struct program *program, int code)
{
    tell(program, EVENT_FAILED, code);
    _exit(0);
}

/* Our descriptors as 3..7, and no other: init's channels must end when init does. */
static int descriptors_take(struct program *program, const struct program_args *args,
                            int *ret_description)
{
    int keep[5] = {args->client_fd, args->description_fd, args->standard_fds[0],
                   args->standard_fds[1], args->standard_fds[2]};
    int first;

    for (size_t i = 0; i < ARRAY_LENGTH(keep); i++) {
        keep[i] = fcntl(keep[i], F_DUPFD_CLOEXEC, 16); /* above all of init's */
        if (keep[i] < 0)
            return -errno;
    }
    first = keep[0];
    if (close_range(0, (unsigned)first - 1, 0) < 0)
        return -errno;
    for (size_t i = 0; i < ARRAY_LENGTH(keep); i++) {
        if (dup3(keep[i], 3 + (int)i, O_CLOEXEC) < 0)
            return -errno;
    }
    if (close_range(3 + ARRAY_LENGTH(keep), ~0u, 0) < 0)
        return -errno;
    program->client_fd = 3;
    *ret_description = 4;
    for (int i = 0; i < 3; i++)
        program->standard_fds[i] = 5 + i;
    return 0;
}

/* Reads it once, into memory of our own: nobody can change it behind our back. */
static int description_read(struct program *program, int fd)
{
    struct stat state;
    char *text;
    size_t length;

    if (fstat(fd, &state) < 0)
        return -errno;
    if (!S_ISREG(state.st_mode) || state.st_size < (off_t)sizeof program->header ||
        state.st_size > (off_t)PROGRAM_SIZE_MAX)
        return -EPROTO;
    length = (size_t)state.st_size - sizeof program->header;
    text = malloc(length + 1);
    if (!text)
        return -ENOMEM;
    if (pread(fd, &program->header, sizeof program->header, 0) != (ssize_t)sizeof program->header ||
        pread(fd, text, length, sizeof program->header) != (ssize_t)length ||
        !program_header_is_valid(&program->header))
        return -EPROTO;
    program->argv = reallocarray(NULL, (size_t)program->header.argc + 1, sizeof(char *));
    program->envp = reallocarray(NULL, (size_t)program->header.envc + 1, sizeof(char *));
    if (!program->argv || !program->envp)
        return -ENOMEM;
    return program_split(&program->header, text, length, program->argv, program->envp) ? 0
                                                                                       : -EPROTO;
}

/* A session of our own, with the client's pseudo-terminal if it brought one. */
static int session_make(struct program *program)
{
    program->terminal_fd = -1;
    if (setsid() < 0)
        return -errno;
    for (int i = 0; i < 3; i++) {
        if (program->header.terminal_fds >> i & 1)
            program->terminal_fd = program->standard_fds[i];
    }
    if (program->terminal_fd >= 0 && ioctl(program->terminal_fd, TIOCSCTTY, 0) < 0)
        return -errno;
    return 0;
}

static void terminal_to_program(const struct program *program)
{
    if (program->terminal_fd >= 0)
        (void)tcsetpgrp(program->terminal_fd, program->pid); /* it may have ended already */
}

/* ---- the program's side ---- */

static int variables_set(const struct program *program, struct error *error)
{
    static const char *const stale[] = {"LISTEN_PID",     "LISTEN_FDS",    "LISTEN_FDNAMES",
                                        "LISTEN_PIDFDID", "NOTIFY_SOCKET", "WATCHDOG_PID",
                                        "WATCHDOG_USEC"};

    for (size_t i = 0; i < ARRAY_LENGTH(stale); i++)
        (void)unsetenv(stale[i]); /* these are the command's; a valid name */
    for (size_t i = 0; program->envp[i]; i++) {
        char *equals = strchr(program->envp[i], '=');

        *equals = '\0';
        if (setenv(program->envp[i], equals + 1, 1) < 0)
            return -errno;
    }
    return environment_name(program->setup, error);
}

static int standard_set(const struct program *program)
{
    for (int i = 0; i < 3; i++) {
        if (dup2(program->standard_fds[i], i) < 0)
            return -errno;
    }
    return 0;
}

static void signals_set(const struct program_header *header)
{
    sigset_t mask;

    (void)sigemptyset(&mask); /* these cannot fail with valid arguments; SIGKILL stays as it is */
    for (int number = 1; number <= 64; number++) {
        struct sigaction action = {.sa_handler =
                                       header->ignored >> (number - 1) & 1 ? SIG_IGN : SIG_DFL};

        (void)sigaction(number, &action, NULL);
        if (header->blocked >> (number - 1) & 1)
            (void)sigaddset(&mask, number);
    }
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
}

_Noreturn static void child_run(struct program *program, int words_fd)
{
    struct last_words words = {0};
    struct error error = {0};

    program->pid = getpid();
    if (setpgid(0, 0) < 0)
        words.code = -errno;
    terminal_to_program(program);
    if (words.code == 0 && program->setup->policy->processes_shared)
        words.code = privs_follow_parent(SIGKILL, &error);
    if (words.code == 0)
        words.code = variables_set(program, &error);
    if (words.code == 0)
        words.code = standard_set(program);
    if (words.code == 0)
        words.code = standard_close(&error);
    (void)umask((mode_t)program->header.umask);
    /* The caller's directory where the jail's user may enter it, else that of the jail. */
    if (program->header.cwd_length > 0)
        (void)!chdir(program->header.cwd);
    signals_set(&program->header);
    if (words.code == 0)
        words.code = seccomp_load(program->setup->policy, &error);
    if (words.code == 0) {
        words = (struct last_words){.code = command_execute(program->argv), .by_exec = true};
    }
    (void)!write(words_fd, &words, sizeof words); /* a pipe with room; and nobody else to tell */
    _exit(127);
}

static void program_start(struct program *program)
{
    struct last_words words;
    int pipe_fds[2];
    int low_fd;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        fail(program, -errno);
    low_fd = pipe_fds[1]; /* 0, 1 and 2 are free in here, and the program's in the child */
    pipe_fds[1] = fcntl(low_fd, F_DUPFD_CLOEXEC, 3);
    if (pipe_fds[1] < 0)
        fail(program, -errno);
    (void)close(low_fd); /* the copy stays */
    program->pid = fork();
    if (program->pid == 0)
        child_run(program, pipe_fds[1]);
    if (program->pid < 0)
        fail(program, -errno);
    (void)setpgid(program->pid, program->pid); /* whoever is first; too late when it runs already */
    terminal_to_program(program);
    (void)close(pipe_fds[1]);
    if (read(pipe_fds[0], &words, sizeof words) == (ssize_t)sizeof words) {
        tell(program, words.by_exec ? EVENT_REFUSED : EVENT_FAILED, words.code);
        _exit(0);
    }
    (void)close(pipe_fds[0]);
    for (int i = 0; i < 3; i++) { /* a pipe must end when the program closes it */
        if (program->standard_fds[i] != program->terminal_fd)
            (void)close(program->standard_fds[i]);
    }
    tell(program, EVENT_STARTED, (int)geteuid());
}

/* ---- the watcher's side ---- */

/* The client is gone, or speaks nonsense: so ends all that it started. */
_Noreturn static void abandon(void)
{
    offspring_kill();
    _exit(0);
}

static void obey(const struct program *program)
{
    struct request_event event;
    int fds[PACKET_FDS_MAX];
    size_t count;
    int length = packet_receive(program->client_fd, &event, sizeof event, false, fds, &count);

    if (length == -EAGAIN)
        return;
    if (length != (int)sizeof event || count > 0)
        abandon();
    if (event.kind == EVENT_CONTINUE) {
        terminal_to_program(program);
        (void)kill(-program->pid, SIGCONT); /* it may be ending */
    } else if (event.value <= 0 || event.value >= NSIG) {
        abandon();
    } else if (event.kind == EVENT_SIGNAL) {
        (void)kill(program->pid, event.value); /* it may be ending; we have not reaped it */
    } else if (event.kind == EVENT_SIGNAL_ALL) {
        (void)kill(-program->pid, event.value);
    } else {
        abandon();
    }
}

/* The signal has been read: an end that is missed now is never met again. */
static void reap(const struct program *program)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0 ||
           (pid < 0 && errno == EINTR)) {
        if (pid != program->pid)
            continue;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            tell(program, EVENT_STATUS, status);
            _exit(0); /* what it left in the background goes on as part of the jail */
        }
        if (WIFSTOPPED(status))
            tell(program, EVENT_STATUS, status);
    }
}

_Noreturn static void watch(const struct program *program, int signal_fd)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = program->client_fd, .events = POLLIN},
                               {.fd = signal_fd, .events = POLLIN}};
        struct signalfd_siginfo info;

        if (poll(fds, ARRAY_LENGTH(fds), -1) < 0)
            continue; /* only EINTR: all signals are blocked */
        if (fds[1].revents) {
            (void)!read(signal_fd, &info, sizeof info); /* reap() looks for itself */
            reap(program);
        }
        if (fds[0].revents)
            obey(program);
    }
}

_Noreturn void program_run(const struct program_args *args)
{
    struct program program = {.setup = args->setup, .client_fd = args->client_fd};
    struct error error = {0};
    sigset_t child;
    int description, signal_fd;
    int code = descriptors_take(&program, args, &description);

    if (code == 0)
        code = privs_adopt_orphans(&error);
    if (code == 0 && args->setup->policy->processes_shared)
        code = privs_follow_parent(SIGKILL, &error);
    if (code == 0)
        code = description_read(&program, description);
    if (code == 0)
        code = session_make(&program);
    if (code < 0)
        fail(&program, code);
    (void)close(description);
    (void)sigemptyset(&child); /* these cannot fail with valid arguments */
    (void)sigaddset(&child, SIGCHLD);
    signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0)
        fail(&program, -errno);
    program_start(&program);
    watch(&program, signal_fd);
}
