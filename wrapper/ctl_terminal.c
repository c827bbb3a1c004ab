/* The caller's terminal never goes into a jail: a program that holds it reads what is typed there
 * later, changes its settings, and hands it on to others in the jail. So whatever of 0, 1 and 2 is
 * a terminal becomes a pseudo-terminal of which we hold the master; it also gives the program a
 * controlling terminal in its own session, hence job control. Pipes and files are handed over as
 * they are.
 *
 * With stdin and stdout on a terminal that is raw meanwhile, and the inner one does all the
 * editing, echo and signals. Otherwise (`exec J cat | less`) the outer one stays as it is and the
 * inner has no echo. What must not happen: a terminal that stays raw after us. */
#include "wrapper/ctl_terminal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

/* The inner terminal begins with the settings of the outer one. */
static int slave_prepare(struct terminal *terminal, int outer)
{
    struct termios settings;

    if (tcgetattr(outer, &settings) < 0)
        return -errno;
    terminal->saved = settings;
    if (!terminal->is_interactive) {
        settings.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL | ISIG);
        settings.c_oflag &= ~(tcflag_t)OPOST;
    }
    return tcsetattr(terminal->slave_fd, TCSANOW, &settings) < 0 ? -errno : 0;
}

static int pair_open(struct terminal *terminal)
{
    terminal->master_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (terminal->master_fd < 0 || grantpt(terminal->master_fd) < 0 ||
        unlockpt(terminal->master_fd) < 0)
        return -errno;
    /* Not by its name, which may be another's in this mount namespace (ioctl_tty(2)). */
    terminal->slave_fd = ioctl(terminal->master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return terminal->slave_fd < 0 ? -errno : 0;
}

int terminal_open(struct terminal *terminal, unsigned *ret_fds, struct error *error)
{
    int outer = -1;
    int result;

    *terminal = (struct terminal){.master_fd = -1, .slave_fd = -1};
    *ret_fds = 0;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (isatty(fd) != 1)
            continue;
        *ret_fds |= 1u << fd;
        outer = outer < 0 ? fd : outer;
    }
    if (outer < 0)
        return 0;
    terminal->takes_input = *ret_fds & 1;
    terminal->is_interactive = (*ret_fds & 3) == 3;
    result = pair_open(terminal);
    if (result == 0)
        result = slave_prepare(terminal, outer);
    if (result < 0)
        return error_errno(error, result, "cannot make a terminal for the program");
    terminal_resize(terminal);
    return 0;
}

bool terminal_has_foreground(const struct terminal *terminal)
{
    return terminal->takes_input && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

void terminal_enter(struct terminal *terminal)
{
    struct termios raw = terminal->saved;

    if (!terminal->is_interactive || terminal->is_raw || !terminal_has_foreground(terminal))
        return;
    cfmakeraw(&raw);
    terminal->is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

void terminal_leave(struct terminal *terminal)
{
    if (terminal->is_raw)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->saved); /* else it has hung up */
    terminal->is_raw = false;
}

void terminal_resize(const struct terminal *terminal)
{
    struct winsize size;

    for (int fd = STDIN_FILENO; terminal->master_fd >= 0 && fd <= STDERR_FILENO; fd++) {
        if (ioctl(fd, TIOCGWINSZ, &size) < 0)
            continue;
        (void)ioctl(terminal->master_fd, TIOCSWINSZ, &size); /* cannot fail on a master */
        return;
    }
}

/* The inner terminal has its end of file, too: its EOF character. */
static void input_end(struct terminal *terminal)
{
    struct termios settings;

    terminal->input_ended = true;
    if (terminal->is_raw || tcgetattr(terminal->master_fd, &settings) < 0)
        return;
    terminal->input[0] = (char)settings.c_cc[VEOF];
    terminal->input_length = 1;
}

void terminal_carry_input(struct terminal *terminal)
{
    if (terminal->input_length == 0 && !terminal->input_ended) {
        ssize_t length = read(STDIN_FILENO, terminal->input, sizeof terminal->input);

        if (length > 0)
            terminal->input_length = (size_t)length;
        else if (length == 0 || (errno != EAGAIN && errno != EINTR))
            input_end(terminal);
    }
    if (terminal->input_length > 0) {
        ssize_t written = write(terminal->master_fd, terminal->input, terminal->input_length);

        if (written <= 0)
            return; /* the program does not read: later */
        terminal->input_length -= (size_t)written;
        memmove(terminal->input, terminal->input + written, terminal->input_length);
    }
}

bool terminal_carry_output(struct terminal *terminal)
{
    char bytes[8192];
    ssize_t length = read(terminal->master_fd, bytes, sizeof bytes);
    /* What the program wrote to its terminal is shown on ours, whichever of 1 and 2 that is. */
    int out = isatty(STDOUT_FILENO) == 1 ? STDOUT_FILENO : STDERR_FILENO;
    const char *at = bytes;

    if (length < 0)
        return errno == EAGAIN || errno == EINTR;
    while (length > 0) {
        ssize_t written = write(out, at, (size_t)length);

        if (written < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (written > 0) {
            at += written;
            length -= written;
        }
    }
    return at != bytes;
}

void terminal_close(struct terminal *terminal)
{
    terminal_leave(terminal);
    cleanup_close_fd(&terminal->slave_fd);
    cleanup_close_fd(&terminal->master_fd);
    terminal->slave_fd = terminal->master_fd = -1;
}
