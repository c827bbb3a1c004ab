/* netjailctl exec and shell: a program in a running jail.
 *
 * Order: find the jail, describe the program (a memfd), make the terminal, ask. Then we are for our
 * caller what the program would be: its output, its stops, its signals, its end. What the program
 * gets of ours is what it needs and no more: 0, 1 and 2 (a terminal of ours never, see
 * ctl_terminal.c), directory, umask, ignored and blocked signals, a few variables about language
 * and terminal. Everything else is the jail's. When we die the connection ends, and with it the
 * program. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "jail/jail.h"
#include "jail/packet.h"
#include "jail/request.h"
#include "wrapper/ctl.h"
#include "wrapper/ctl_client.h"
#include "wrapper/ctl_terminal.h"
#include "wrapper/report.h"
#include "wrapper/run.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BACKGROUND_POLL_MS 1000 /* when we may not read, because we are in the background */
#define START_TIMEOUT_MS   5000
#define LAST_OUTPUT_MS     200

struct exec {
    const struct ctl_options *options;
    const char *jail_name;
    char **argv;
    const char *const *variables; /* NAME=VALUE of ours; NULL-terminated */
    int connection_fd;
    int signal_fd;
    struct terminal terminal;
    struct program_header header;
    bool started;
    bool ended;
    int status; /* of the program, once it has ended */
    int exit_status;
};

/* ---- what the program gets ---- */

static bool is_passed(const char *variable)
{
    static const char *const passed[] = {
        "TERM=", "COLORTERM=", "NO_COLOR=", "LANG=", "LANGUAGE=", "LC_"};

    for (size_t i = 0; i < ARRAY_LENGTH(passed); i++) {
        if (strncmp(variable, passed[i], strlen(passed[i])) == 0)
            return true;
    }
    return false;
}

static void put_variable(struct exec *exec, struct buf *text, const char *variable)
{
    buf_append(text, variable, strlen(variable) + 1);
    exec->header.envc++;
}

static void put_strings(struct exec *exec, struct buf *text)
{
    for (char **argument = exec->argv; *argument; argument++) {
        buf_append(text, *argument, strlen(*argument) + 1);
        exec->header.argc++;
    }
    for (char **variable = environ; *variable; variable++) {
        if (is_passed(*variable))
            put_variable(exec, text, *variable);
    }
    for (size_t i = 0; exec->variables && exec->variables[i]; i++)
        put_variable(exec, text, exec->variables[i]);
    for (int i = 0; i < exec->options->variables_count; i++)
        put_variable(exec, text, exec->options->variables[i]);
}

/* As they were before we blocked them all. */
static void describe_signals(struct program_header *header, const sigset_t *mask)
{
    for (int number = 1; number <= 64; number++) {
        struct sigaction action;

        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            header->ignored |= (uint64_t)1 << (number - 1);
        if (sigismember(mask, number) == 1)
            header->blocked |= (uint64_t)1 << (number - 1);
    }
}

static int describe(struct exec *exec, unsigned terminal_fds, const sigset_t *mask, int *ret_fd,
                    struct error *error)
{
    cleanup_buf struct buf text = {0};
    struct program_header *header = &exec->header;
    cleanup_fd int fd = memfd_create("netjail-program", MFD_CLOEXEC);

    header->magic = PROGRAM_MAGIC;
    header->terminal_fds = terminal_fds;
    header->umask = (uint32_t)umask(0);
    (void)umask((mode_t)header->umask);
    if (getcwd(header->cwd, sizeof header->cwd))
        header->cwd_length = (uint32_t)strlen(header->cwd);
    describe_signals(header, mask);
    put_strings(exec, &text);
    if (text.length > PROGRAM_SIZE_MAX - sizeof *header || header->argc > PROGRAM_ARGS_MAX)
        return error_errno(error, -E2BIG, "cannot hand the program over");
    if (fd < 0 || write(fd, header, sizeof *header) != (ssize_t)sizeof *header ||
        write(fd, text.data, text.length) != (ssize_t)text.length)
        return error_errno(error, -errno, "cannot hand the program over");
    *ret_fd = take_fd(&fd);
    return 0;
}

static int ask(struct exec *exec, const sigset_t *mask, struct error *error)
{
    struct found_jail found = {0};
    cleanup_fd int description = -1;
    unsigned terminal_fds;
    int result = jail_find(exec->jail_name, &found, error);

    if (result == 0)
        result = jail_connect(&found, &exec->connection_fd, error);
    if (result == 0)
        result = terminal_open(&exec->terminal, &terminal_fds, error);
    if (result == 0)
        result = describe(exec, terminal_fds, mask, &description, error);
    if (result == 0) {
        int fds[REQUEST_PROGRAM_FDS] = {description};

        for (int fd = 0; fd < 3; fd++)
            fds[fd + 1] = terminal_fds >> fd & 1 ? exec->terminal.slave_fd : fd;
        result = jail_request(exec->connection_fd, REQUEST_PROGRAM, fds, ARRAY_LENGTH(fds), error);
    }
    jails_free(&found.jails);
    cleanup_close_fd(&exec->terminal.slave_fd);
    exec->terminal.slave_fd = -1;
    return result;
}

/* ---- what happens with it ---- */

static void tell(const struct exec *exec, enum request_event_kind kind, int value)
{
    struct request_event event = {.kind = kind, .value = value};

    /* When the other side is gone, the end of the connection says so. */
    (void)packet_send(exec->connection_fd, &event, sizeof event, NULL, 0, false);
}

/* Stops this process as the program was stopped; returns when it is continued. */
static void stop_like(struct exec *exec, int signal)
{
    sigset_t set;

    terminal_leave(&exec->terminal);
    (void)sigemptyset(&set); /* these cannot fail with valid arguments */
    (void)sigaddset(&set, signal);
    (void)raise(signal);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL); /* here we stop */
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    terminal_enter(&exec->terminal);
    terminal_resize(&exec->terminal);
    tell(exec, EVENT_CONTINUE, 0);
}

static void fail(struct exec *exec, int exit_status)
{
    exec->ended = true;
    exec->exit_status = exit_status;
}

static void refused(struct exec *exec, int code)
{
    const char *name = exec->argv[0];

    terminal_leave(&exec->terminal);
    if (code == -ENOENT && !strchr(name, '/'))
        report_note(CTL_PROGRAM, "command '%s' not found", name);
    else
        report_note(CTL_PROGRAM, "cannot run '%s': %s", name, strerror(-code));
    fail(exec, code == -ENOENT ? EXIT_COMMAND_NOT_FOUND : EXIT_CANNOT_EXECUTE);
}

static void could_not(struct exec *exec, const char *why)
{
    terminal_leave(&exec->terminal);
    report_note(CTL_PROGRAM, "cannot start '%s' in jail '%s': %s", exec->argv[0], exec->jail_name,
                why);
    fail(exec, EXIT_NETJAIL_FAILED);
}

/* The connection ended without the program's status: everything in the jail was killed. */
static void jail_ended(struct exec *exec)
{
    if (!exec->started) {
        could_not(exec, "the jail has ended");
        return;
    }
    terminal_leave(&exec->terminal);
    report_note(CTL_PROGRAM, "jail '%s' has ended", exec->jail_name);
    exec->ended = true;
    exec->status = SIGKILL;
}

static void take_event(struct exec *exec, const struct request_event *event)
{
    switch (event->kind) {
    case EVENT_STARTED:
        exec->started = true;
        return;
    case EVENT_REFUSED:
        refused(exec, event->value);
        return;
    case EVENT_STATUS:
        if (WIFSTOPPED(event->value)) {
            stop_like(exec, WSTOPSIG(event->value));
            return;
        }
        exec->ended = true;
        exec->status = event->value;
        return;
    case EVENT_ANSWER:
        could_not(exec, event->value == -EPERM ? "not permitted: only root and the jail's own "
                                                 "user may, from the same network namespace"
                        : event->value == -ESHUTDOWN ? "the jail is ending"
                                                     : strerror(-event->value));
        return;
    default:
        could_not(exec, strerror(event->value < 0 ? -event->value : EPROTO));
    }
}

static void read_event(struct exec *exec)
{
    struct request_event event;
    int fds[PACKET_FDS_MAX];
    size_t count = 0;
    int length = packet_receive(exec->connection_fd, &event, sizeof event, false, fds, &count);

    for (size_t i = 0; i < count; i++)
        (void)close(fds[i]); /* not asked for */
    if (length == (int)sizeof event)
        take_event(exec, &event);
    else if (length != -EAGAIN)
        jail_ended(exec);
}

static void read_signal(struct exec *exec)
{
    struct signalfd_siginfo info;

    if (read(exec->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return; /* somebody else's wait has taken it */
    if (info.ssi_signo == SIGWINCH) {
        terminal_resize(&exec->terminal);
    } else if (info.ssi_signo == SIGCONT) {
        terminal_enter(&exec->terminal);
        terminal_resize(&exec->terminal);
    } else if (info.ssi_signo == SIGCHLD ||
               ((pid_t)info.ssi_pid == getpid() && info.ssi_code == SI_USER)) {
        return; /* a child that our caller left us; SIGPIPE of our own */
    } else {
        /* From the terminal it is for all of the foreground group. */
        tell(exec, info.ssi_code == SI_KERNEL ? EVENT_SIGNAL_ALL : EVENT_SIGNAL,
             (int)info.ssi_signo);
    }
}

enum { CONNECTION, SIGNALS, INPUT, OUTPUT, SOURCES };

static int wait_timeout(const struct exec *exec, bool is_background)
{
    if (!exec->started)
        return START_TIMEOUT_MS;
    return is_background ? BACKGROUND_POLL_MS : -1;
}

/* One round; false when nothing came in time. */
static bool serve(struct exec *exec)
{
    struct terminal *terminal = &exec->terminal;
    bool may_read = terminal_has_foreground(terminal);
    bool wants_input =
        exec->started && may_read && terminal->input_length == 0 && !terminal->input_ended;
    struct pollfd fds[SOURCES] = {
        [CONNECTION] = {.fd = exec->connection_fd, .events = POLLIN},
        [SIGNALS] = {.fd = exec->signal_fd, .events = POLLIN},
        [INPUT] = {.fd = wants_input ? STDIN_FILENO : -1, .events = POLLIN},
        [OUTPUT] = {.fd = terminal->master_fd,
                    .events = (short)(POLLIN | (terminal->input_length > 0 ? POLLOUT : 0))},
    };
    int count = poll(fds, SOURCES, wait_timeout(exec, terminal->takes_input && !may_read));

    if (count < 0)
        return errno == EINTR;
    if (count == 0 && !exec->started)
        return false;
    terminal_enter(terminal);
    if (fds[OUTPUT].revents & (POLLIN | POLLHUP | POLLERR) && !terminal_carry_output(terminal))
        terminal_close(terminal);
    if (fds[INPUT].revents || fds[OUTPUT].revents & POLLOUT)
        terminal_carry_input(terminal);
    if (fds[SIGNALS].revents)
        read_signal(exec);
    if (fds[CONNECTION].revents)
        read_event(exec);
    return true;
}

/* What the program wrote last is still on its way through the kernel. */
static void drain(struct exec *exec)
{
    struct pollfd output = {.fd = exec->terminal.master_fd, .events = POLLIN};

    while (exec->terminal.master_fd >= 0 && poll(&output, 1, LAST_OUTPUT_MS) > 0)
        if (!terminal_carry_output(&exec->terminal))
            return;
}

static int run(struct exec *exec)
{
    struct error error = {0};
    sigset_t all, mask;

    (void)sigfillset(&all); /* these cannot fail with valid arguments */
    (void)sigprocmask(SIG_SETMASK, &all, &mask);
    exec->connection_fd = -1;
    exec->terminal.master_fd = exec->terminal.slave_fd = -1;
    exec->signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    if (exec->signal_fd < 0)
        (void)error_errno(&error, -errno, "cannot wait for signals");
    else
        (void)ask(exec, &mask, &error); /* its failure is in `error` */
    if (error.code < 0) {
        terminal_close(&exec->terminal);
        report_error(CTL_PROGRAM, NULL, &error);
        return EXIT_NETJAIL_FAILED;
    }
    while (!exec->ended) {
        if (!serve(exec))
            could_not(exec, "it does not answer; is it stopped?");
    }
    drain(exec);
    terminal_close(&exec->terminal);
    if (exec->exit_status != 0)
        return exec->exit_status;
    exit_like(exec->status);
}

int ctl_exec(const struct ctl_options *options)
{
    struct exec exec = {.options = options, .jail_name = options->arguments[0]};

    exec.argv = options->arguments + 1;
    if (*exec.argv && strcmp(*exec.argv, "--") == 0)
        exec.argv++;
    if (!*exec.argv) {
        report_note(CTL_PROGRAM, "exec: no command is given; `netjailctl shell %s` starts a shell",
                    exec.jail_name);
        return CTL_USAGE;
    }
    return run(&exec);
}

/* ---- shell ---- */

static const char *shell_path(void)
{
    const char *shell = getenv("SHELL");
    const struct passwd *entry = NULL;

    if (!shell || shell[0] != '/' || access(shell, X_OK) < 0) {
        entry = getpwuid(geteuid());
        shell = entry ? entry->pw_shell : NULL;
    }
    return shell && shell[0] == '/' && access(shell, X_OK) == 0 ? shell : "/bin/sh";
}

/* The jail's name in front of the prompt, in the way of each shell: bash takes PS1 from its start
 * files, but asks PROMPT_COMMAND each time; fish calls a function; the others take PS1. Jail names
 * have no characters that a shell would expand. */
static void shell_prompt(const char *shell, const char *jail_name, struct buf variables[2],
                         struct buf *fish)
{
    const char *base = strrchr(shell, '/') + 1;

    buf_printf(&variables[0], "PS1=[%s] %s", jail_name, geteuid() == 0 ? "# " : "$ ");
    if (strcmp(base, "bash") == 0)
        buf_printf(&variables[1],
                   "PROMPT_COMMAND=case $PS1 in \"[%s] \"*) ;; *) PS1=\"[%s] $PS1\" ;; esac",
                   jail_name, jail_name);
    else
        buf_printf(&variables[1], "NETJAIL_PROMPT=[%s]", jail_name);
    if (strcmp(base, "fish") == 0)
        buf_printf(fish,
                   "functions -c fish_prompt netjail_prompt; "
                   "function fish_prompt; echo -n '[%s] '; netjail_prompt; end",
                   jail_name);
}

int ctl_shell(const struct ctl_options *options)
{
    struct exec exec = {.options = options, .jail_name = options->arguments[0]};
    cleanup_buf struct buf fish = {0};
    struct buf variables[2] = {{0}};
    const char *list[3] = {NULL};
    const char *shell = shell_path();
    char *argv[] = {(char *)(uintptr_t)shell, NULL, NULL, NULL};
    int status;

    shell_prompt(shell, exec.jail_name, variables, &fish);
    list[0] = buf_text(&variables[0]);
    list[1] = buf_text(&variables[1]);
    if (fish.length > 0) {
        argv[1] = (char[]){"-C"};
        argv[2] = fish.data;
    }
    exec.argv = argv;
    exec.variables = list;
    status = run(&exec);
    buf_free(&variables[0]);
    buf_free(&variables[1]);
    return status;
}
