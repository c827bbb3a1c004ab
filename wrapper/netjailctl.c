/* netjailctl: management of jails. A table of commands; each is a file of its own. */
#include "base/cleanup.h"
#include "jail/jail.h"
#include "wrapper/ctl.h"
#include "wrapper/report.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    int (*run)(const struct ctl_options *options); /* NULL: not available yet */
    int arguments_min;
    int arguments_max; /* -1: any number */
    const char *usage;
};

static const struct command commands[] = {
    {"check", ctl_check, 1, -1, "check FILE...          parse and check policies"},
    {"plan", ctl_plan, 1, 1, "plan FILE              what would be done, as ip and nft commands"},
    {"list", ctl_list, 0, 0, "list                   the running jails"},
    {"doctor", ctl_doctor, 0, 0, "doctor                 can this machine do it"},
    {"gc", ctl_gc, 0, 0, "gc                     remove what dead jails left"},
    {"status", NULL, 0, -1, NULL},
    {"top", NULL, 0, -1, NULL},
    {"exec", NULL, 0, -1, NULL},
    {"shell", NULL, 0, -1, NULL},
    {"log", NULL, 0, -1, NULL},
    {"capture", NULL, 0, -1, NULL},
    {"why", NULL, 0, -1, NULL},
    {"diff", NULL, 0, -1, NULL},
    {"create", NULL, 0, -1, NULL},
    {"delete", NULL, 0, -1, NULL},
};

static const char *const command_names[] = {
    "check", "plan", "list",    "doctor", "gc",   "status", "top",    "exec",
    "shell", "log",  "capture", "why",    "diff", "create", "delete", NULL,
};
static_assert(ARRAY_LENGTH(command_names) == ARRAY_LENGTH(commands) + 1,
              "every command can be suggested");

static void usage(FILE *out)
{
    (void)fputs("usage: netjailctl COMMAND [--json] [-D NAME=VALUE] [ARG...]\n\n", out);
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        if (commands[i].usage)
            (void)fprintf(out, "  %s\n", commands[i].usage);
    (void)fputs("\nExit status: 0; 1 negative answer; 2 usage; 3 policy errors; 4 system errors.\n"
                "See netjailctl(1).\n",
                out); /* results are looked at once, by ctl_finish_output() */
}

int ctl_finish_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    report_note(CTL_PROGRAM, "cannot write the output: %s", strerror(errno));
    return CTL_SYSTEM;
}

static int unknown_command(const char *name)
{
    const char *near = suggest_word(name, strlen(name), command_names);

    if (near)
        report_note(CTL_PROGRAM, "unknown command '%s'; did you mean '%s'?", name, near);
    else
        report_note(CTL_PROGRAM, "unknown command '%s'; see netjailctl --help", name);
    return CTL_USAGE;
}

static int parse_arguments(int argc, char **argv, struct ctl_options *options)
{
    static const struct option long_options[] = {
        {"json", no_argument, NULL, 'j'},
        {"define", required_argument, NULL, 'D'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":D:h", long_options, NULL)) != -1) {
        if (option == 'j') {
            options->json = true;
        } else if (option == 'D') {
            options->values[options->values_count++] = optarg;
        } else if (option == 'h') {
            usage(stdout);
            return -1;
        } else {
            report_note(CTL_PROGRAM, "%s: %s '%s'", argv[0],
                        option == ':' ? "a value is missing behind" : "unknown option",
                        argv[optind - 1]);
            return CTL_USAGE;
        }
    }
    options->arguments = argv + optind;
    options->arguments_count = argc - optind;
    return 0;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    cleanup_free const char **values = calloc((size_t)argc + 1, sizeof *values);
    struct ctl_options options = {.values = values};

    if (!values) {
        report_note(CTL_PROGRAM, "out of memory");
        return CTL_SYSTEM;
    }
    if (!command->run) {
        report_note(CTL_PROGRAM, "'%s' is not available yet", command->name);
        return CTL_SYSTEM;
    }
    int status = parse_arguments(argc, argv, &options);
    if (status != 0)
        return status < 0 ? ctl_finish_output(CTL_OK) : status;
    if (options.arguments_count < command->arguments_min ||
        (command->arguments_max >= 0 && options.arguments_count > command->arguments_max)) {
        report_note(CTL_PROGRAM, "usage: netjailctl %s", command->usage);
        return CTL_USAGE;
    }
    return ctl_finish_output(command->run(&options));
}

int main(int argc, char **argv)
{
    struct error error = {0};

    if (privs_refuse_setuid(&error) < 0) {
        report_error("netjailctl", NULL, &error);
        return CTL_SYSTEM;
    }
    if (argc < 2) {
        usage(stderr);
        return CTL_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        usage(stdout);
        return ctl_finish_output(CTL_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)puts("netjailctl " NETJAIL_VERSION); /* looked at by ctl_finish_output() */
        return ctl_finish_output(CTL_OK);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return run_command(&commands[i], argc - 1, argv + 1);
    return unknown_command(argv[1]);
}
