/* netjailctl: management of jails. A table of commands; each is a file of its own. */
#include "base/cleanup.h"
#include "jail/jail.h"
#include "wrapper/ctl.h"
#include "wrapper/options.h"
#include "wrapper/report.h"
#include "wrapper/stack.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    int (*run)(const struct ctl_options *options); /* NULL: not available yet */
    const char *options; /* the short options it takes; j: --json, F: --foreground */
    int arguments_min;
    int arguments_max; /* -1: any number */
    const char *usage;
};

static const struct command commands[] = {
    {"check", ctl_check, "jD", 1, -1, "check FILE...             parse and check policies"},
    {"plan", ctl_plan, "jD", 1, 1,
     "plan FILE                 what would be done, as ip and nft commands"},
    {"why", ctl_why, "jD", 2, 2, "why FILE 'out tcp pypi.org 443'   which line decides"},
    {"diff", ctl_diff, "jD", 2, 2,
     "diff FILE FILE            what one admits that the other does not"},
    {"list", ctl_list, "j", 0, 0, "list                      the running jails"},
    {"status", ctl_status, "j", 1, 1,
     "status JAIL               one jail, with the counters of its rules"},
    {"top", ctl_top, "j", 0, 0,
     "top                       all jails, what they send, receive and are denied"},
    {"log", ctl_log, "f", 1, 1, "log JAIL [-f]             what was denied"},
    {"exec", ctl_exec, "E", 1, -1, "exec JAIL [--] CMD...     run a program in a running jail"},
    {"shell", ctl_shell, "E", 1, 1, "shell JAIL                a shell in a running jail"},
    {"capture", ctl_capture, "wi", 1, 1, "capture JAIL [-w FILE] [-i IF]   its packets as pcap"},
    {"create", ctl_create, "jDpF", 1, 1,
     "create NAME [-p POLICY]   a named jail in /run/netns that lasts"},
    {"delete", ctl_delete, "j", 1, 1, "delete NAME               its end"},
    {"doctor", ctl_doctor, "j", 0, 0, "doctor                    can this machine do it"},
    {"gc", ctl_gc, "j", 0, 0, "gc                        remove what dead jails left"},
};

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
    const char *names[ARRAY_LENGTH(commands) + 1] = {NULL};

    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        names[i] = commands[i].name;
    const char *near = suggest_word(name, strlen(name), names);

    if (near)
        report_note(CTL_PROGRAM, "unknown command '%s'; did you mean '%s'?", name, near);
    else
        report_note(CTL_PROGRAM, "unknown command '%s'; see netjailctl --help", name);
    return CTL_USAGE;
}

static const struct option long_options[] = {
    {"json", no_argument, NULL, 'j'},        {"define", required_argument, NULL, 'D'},
    {"env", required_argument, NULL, 'E'},   {"policy", required_argument, NULL, 'p'},
    {"write", required_argument, NULL, 'w'}, {"interface", required_argument, NULL, 'i'},
    {"follow", no_argument, NULL, 'f'},      {"foreground", no_argument, NULL, 'F'},
    {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
};

static int wrong_option(const struct command *command, int option, char **argv)
{
    char letter[3];
    const char *word = option == '?' ? options_unknown_word(argv, letter) : argv[optind - 1];

    report_note(CTL_PROGRAM, "%s: %s '%s'", command->name,
                option == ':' ? "a value is missing behind" : "unknown option", word);
    return CTL_USAGE;
}

static int take_variable(struct ctl_options *options, const char *text)
{
    if (!strchr(text, '=') || text[0] == '=') {
        report_note(CTL_PROGRAM, "-E '%s': not NAME=VALUE", text);
        return CTL_USAGE;
    }
    options->variables[options->variables_count++] = text;
    return 0;
}

/* -1: help was asked for and given. */
static int take_option(const struct command *command, int option, struct ctl_options *options,
                       char **argv)
{
    if (option == 'h') {
        usage(stdout);
        return -1;
    }
    if (option == ':' || option == '?' || !strchr(command->options, option))
        return wrong_option(command, option, argv);
    switch (option) {
    case 'j':
        options->json = true;
        report_use_json();
        return 0;
    case 'D':
        options->values[options->values_count++] = optarg;
        return 0;
    case 'E':
        return take_variable(options, optarg);
    case 'p':
        options->policy = optarg;
        return 0;
    case 'w':
        options->file = optarg;
        return 0;
    case 'i':
        options->interface = optarg;
        return 0;
    case 'f':
        options->follow = true;
        return 0;
    default:
        options->foreground = true;
        return 0;
    }
}

static int parse_arguments(const struct command *command, int argc, char **argv,
                           struct ctl_options *options)
{
    /* A program's own options are not ours: those end at the jail's name. */
    bool ends_early = strchr(command->options, 'E') != NULL;
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ends_early ? "+:E:h" : ":D:E:p:w:i:fh", long_options,
                                 NULL)) != -1) {
        int status = take_option(command, option, options, argv);

        if (status != 0)
            return status;
    }
    options->arguments = argv + optind;
    options->arguments_count = argc - optind;
    return 0;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    cleanup_free const char **values = calloc((size_t)argc + 1, sizeof *values);
    cleanup_free const char **variables = calloc((size_t)argc + 1, sizeof *variables);
    cleanup_free bool *used = calloc((size_t)argc + 1, sizeof *used);
    struct ctl_options options = {.values = values, .variables = variables};

    if (!values || !variables || !used) {
        report_note(CTL_PROGRAM, "out of memory");
        return CTL_SYSTEM;
    }
    if (!command->run) {
        report_note(CTL_PROGRAM, "'%s' is not available yet", command->name);
        return CTL_SYSTEM;
    }
    int status = parse_arguments(command, argc, argv, &options);
    if (status != 0)
        return status < 0 ? ctl_finish_output(CTL_OK) : status;
    if (options.arguments_count < command->arguments_min ||
        (command->arguments_max >= 0 && options.arguments_count > command->arguments_max)) {
        report_note(CTL_PROGRAM, "usage: netjailctl %s", command->usage);
        return CTL_USAGE;
    }
    if (options.arguments_count > 1 && (command->run == ctl_check || command->run == ctl_diff))
        options.values_used = used;
    return ctl_finish_output(command->run(&options));
}

/* Not in main()'s frame: see stack_suffices(). */
__attribute__((noinline)) static int start(int argc, char **argv)
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
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
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

int main(int argc, char **argv)
{
    return stack_suffices() ? start(argc, argv) : CTL_SYSTEM;
}
