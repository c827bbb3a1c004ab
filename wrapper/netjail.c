/* netjail: the program. Options, policy, run. */
#include "base/cleanup.h"
#include "jail/jail.h"
#include "jail/prefault.h"
#include "wrapper/assemble.h"
#include "wrapper/options.h"
#include "wrapper/report.h"
#include "wrapper/run.h"
#include "wrapper/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define POLICY_HEAP ((size_t)96 * 1024) /* reading a policy takes, mostly its buffer */

/* A closed stdin, stdout or stderr would let the next opened file take its number, and messages
 * would go into it. The command gets them closed again: they are opened close-on-exec. */
static int reserve_standard_descriptors(struct error *error)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        if (open("/dev/null", O_RDWR | O_CLOEXEC) != fd) /* the lowest number that is free */
            return error_errno(error, -errno, "cannot put /dev/null in the place of descriptor %d",
                               fd);
    }
    return 0;
}

static int run(const struct options *options)
{
    struct assembled assembled = {0};
    struct error error = {0};
    int status = EXIT_NETJAIL_FAILED;
    if (options->policy || options->statements_count > 0)
        heap_prefault(POLICY_HEAP);
    int result = assemble_policy(options, &assembled, &error);

    if (assembled.diags->list_count > 0)
        report_diags(assembled.diags, options->quiet);
    if (result < 0 && error.text[0])
        report_error("netjail", &assembled.policy->sources, &error);
    if (result == 0) {
        assembled.diags->list_count = 0;
        status = run_jail(options, assembled.policy, assembled.diags, &assembled.texts);
    }
    assembled_free(&assembled);
    return status;
}

/* Not in main()'s frame: see stack_suffices(). */
__attribute__((noinline)) static int start(int argc, char **argv)
{
    struct options options;
    struct error error = {0};
    enum options_action action = OPTIONS_RUN;
    int status = EXIT_NETJAIL_FAILED;

    /* First of all: a set-user-ID copy must not even quote a policy that its caller may not read.
     */
    if (privs_refuse_setuid(&error) < 0 || reserve_standard_descriptors(&error) < 0) {
        report_error("netjail", NULL, &error); /* stderr is the caller's, or closed */
        return EXIT_NETJAIL_FAILED;
    }
    int parsed = options_parse(argc, argv, &options, &action, &error);
    if (options.json)
        report_use_json(); /* also for what is wrong with the options behind it */
    if (parsed < 0) {
        report_error("netjail", NULL, &error);
    } else if (action == OPTIONS_RUN) {
        status = run(&options);
    } else {
        status = fputs(action == OPTIONS_HELP ? options_help : "netjail " NETJAIL_VERSION "\n",
                       stdout) < 0 ||
                         fflush(stdout) != 0
                     ? EXIT_NETJAIL_FAILED
                     : 0;
    }
    options_free(&options);
    return status;
}

int main(int argc, char **argv)
{
    return stack_suffices() ? start(argc, argv) : EXIT_NETJAIL_FAILED;
}
