/* The command line of netjail as data.
 *
 * Most options are policy statements in another spelling. They are translated here into the text of
 * that statement and nothing more; the policy parser judges them, so that an option and a line of a
 * file fail in the same words. */
#include "options.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char options_help[] =
    "usage: netjail [options] [--] COMMAND [ARG...]\n"
    "\n"
    "Runs COMMAND with exactly the network that its policy says, and leaves nothing behind.\n"
    "Without a policy: no network, only its own loopback.\n"
    "\n"
    "  -p, --policy FILE|NAME    the policy, see netjail.conf(5)\n"
    "  -D NAME=VALUE             give a `param`, or replace a `define`, of the policy\n"
    "  -e, --statement STMT      one more statement of the policy language\n"
    "      --allow RULE          = -e 'allow RULE', as in --allow 'out tcp to 10.0.0.5 port 5432'\n"
    "      --deny RULE           = -e 'deny RULE'\n"
    "      --net none|relay|NETWORK  no link, `link relay`, or one to this network or bridge\n"
    "  -P, --publish [ADDR:]HOSTPORT[:JAILPORT][/udp]\n"
    "                            let the host's port lead to the jail's; default on loopback only\n"
    "      --dns ADDR            = -e 'dns { upstream ADDR }'\n"
    "      --name NAME           the jail's name, unique among running jails\n"
    "      --user NAME[:GROUP]   run COMMAND as this user\n"
    "      --log stderr|journal|FILE  report what was denied\n"
    "      --keep-fd N           let COMMAND inherit descriptor N, whatever it is\n"
    "  -n, --dry-run             show what would be done, as ip and nft commands\n"
    "      --wait-clean          return only when all clean-up is done\n"
    "      --json                messages as lines of JSON\n"
    "  -q, --quiet               no warnings\n"
    "  -v, --verbose             say what is done\n"
    "      --version, --help\n"
    "\n"
    "Exit status: the command's own; 125 netjail failed; 126 cannot execute; 127 not found.\n"
    "See netjail(1), netjail.conf(5), netjailctl(1).\n";

enum {
    OPTION_ALLOW = 256,
    OPTION_DENY,
    OPTION_NET,
    OPTION_DNS,
    OPTION_NAME,
    OPTION_USER,
    OPTION_LOG,
    OPTION_KEEP_FD,
    OPTION_WAIT_CLEAN,
    OPTION_VERSION,
    OPTION_JSON,
    OPTION_LEARN,
    OPTION_TRACE,
};

static const struct option long_options[] = {
    {"policy", required_argument, NULL, 'p'},
    {"define", required_argument, NULL, 'D'},
    {"statement", required_argument, NULL, 'e'},
    {"allow", required_argument, NULL, OPTION_ALLOW},
    {"deny", required_argument, NULL, OPTION_DENY},
    {"net", required_argument, NULL, OPTION_NET},
    {"publish", required_argument, NULL, 'P'},
    {"dns", required_argument, NULL, OPTION_DNS},
    {"name", required_argument, NULL, OPTION_NAME},
    {"user", required_argument, NULL, OPTION_USER},
    {"log", required_argument, NULL, OPTION_LOG},
    {"keep-fd", required_argument, NULL, OPTION_KEEP_FD},
    {"dry-run", no_argument, NULL, 'n'},
    {"wait-clean", no_argument, NULL, OPTION_WAIT_CLEAN},
    {"json", no_argument, NULL, OPTION_JSON},
    {"learn", required_argument, NULL, OPTION_LEARN},
    {"trace", optional_argument, NULL, OPTION_TRACE},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static int no_memory(struct error *error)
{
    return error_errno(error, -ENOMEM, "cannot read the command line");
}

/* A statement in the making, out of words of ours and pieces of the option's argument. */
struct draft {
    struct option_statement statement;
    struct buf text;
};

static void put_words(struct draft *draft, const char *words)
{
    buf_puts(&draft->text, words);
}

/* A piece that stands at byte `at` of the argument. */
static void put_piece(struct draft *draft, const char *piece, size_t at)
{
    if (draft->statement.spans_count < SOURCE_SPANS_MAX)
        draft->statement.spans[draft->statement.spans_count++] =
            (struct source_span){.from = (uint32_t)draft->text.length,
                                 .length = (uint32_t)strlen(piece),
                                 .to = (uint32_t)at};
    buf_puts(&draft->text, piece);
}

/* A piece as a quoted text, so that it stays one word whatever is in it. */
static void put_quoted(struct draft *draft, const char *argument)
{
    put_words(draft, "\"");
    if (!strpbrk(argument, "\"\\"))
        put_piece(draft, argument, 0);
    for (const char *c = argument; *c && draft->statement.spans_count == 0; c++)
        buf_printf(&draft->text, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
    put_words(draft, "\"");
}

/* Appends the finished statement. */
static int push_draft(struct options *options, const char *option, const char *argument,
                      struct draft *draft, struct error *error)
{
    struct option_statement *list =
        reallocarray(options->statements, options->statements_count + 1, sizeof *list);

    if (!list) {
        buf_free(&draft->text);
        return no_memory(error);
    }
    options->statements = list;
    draft->statement.option = option;
    draft->statement.typed = argument;
    buf_puts(&draft->text, ""); /* so that there is a text at all */
    draft->statement.text = draft->text.data;
    list[options->statements_count++] = draft->statement;
    return 0;
}

static int push_words(struct options *options, const char *option, const char *before,
                      const char *argument, const char *after, struct error *error)
{
    struct draft draft = {0};

    put_words(&draft, before);
    put_piece(&draft, argument, 0);
    put_words(&draft, after);
    return push_draft(options, option, argument, &draft, error);
}

static int push_quoted(struct options *options, const char *option, const char *before,
                       const char *argument, struct error *error)
{
    struct draft draft = {0};

    put_words(&draft, before);
    put_quoted(&draft, argument);
    return push_draft(options, option, argument, &draft, error);
}

/* Splits `text` at colons outside of brackets into at most four parts. */
static size_t split_publish(char *text, char *parts[4])
{
    size_t count = 1;
    int depth = 0;

    parts[0] = text;
    for (char *c = text; *c; c++) {
        depth += (*c == '[') - (*c == ']');
        if (*c == ':' && depth == 0 && count < 4) {
            *c = '\0';
            parts[count++] = c + 1;
        }
    }
    return count;
}

/* Digits, and perhaps a dash and digits. */
static bool is_port_text(const char *text)
{
    static const char digits[] = "0123456789";
    size_t first = strspn(text, digits);

    if (first == 0 || text[first] != '-')
        return first > 0 && text[first] == '\0';
    text += first + 1;
    return *text && text[strspn(text, digits)] == '\0';
}

/* How many ports "8000-8010" has behind its first; 0 for a single port. */
static long range_length(const char *range)
{
    char *end = NULL;
    long first = strtol(range, &end, 10);

    return *end == '-' ? strtol(end + 1, NULL, 10) - first : 0;
}

/* `publish` has no port range on the jail's side: it follows from its first port. */
static int check_jail_range(const char *host, char *jail, const char *argument, struct error *error)
{
    char *jail_dash = strchr(jail, '-');

    if (!jail_dash)
        return 0;
    if (range_length(jail) != range_length(host)) {
        error_set(error, -EINVAL, "--publish '%s': the two port ranges differ in length", argument);
        return -EINVAL;
    }
    *jail_dash = '\0';
    return 0;
}

/* -P [ADDR:]HOSTPORT[:JAILPORT][/udp], as podman's, becomes `publish [ADDR:]PORT to PORT udp`. */
static int push_publish(struct options *options, const char *argument, struct error *error)
{
    cleanup_free char *copy = strdup(argument);
    char *parts[4] = {NULL};
    struct draft draft = {0};

    if (!copy)
        return no_memory(error);
    char *protocol = strchr(copy, '/');
    if (protocol)
        *protocol++ = '\0';
    size_t count = split_publish(copy, parts);
    bool has_address = count == 3 || (count == 2 && !is_port_text(parts[0]));
    const char *address = has_address ? parts[0] : "";
    char *host = parts[has_address ? 1 : 0];
    char *jail = count > (has_address ? 2u : 1u) ? parts[count - 1] : host;
    if (count > 3 || (has_address && (!address[0] || is_port_text(address))) ||
        !is_port_text(host) || !is_port_text(jail)) {
        error_set(error, -EINVAL, "--publish '%s': not [ADDR:]HOSTPORT[:JAILPORT][/udp]", argument);
        error_hint(error, "an IPv6 address stands in brackets: [::1]:8080:80");
        return -EINVAL;
    }
    if (strcmp(address, "0.0.0.0") == 0 || strcmp(address, "[::]") == 0)
        address = "any";
    int result = jail == host ? 0 : check_jail_range(host, jail, argument, error);
    if (result < 0)
        return result;
    put_words(&draft, "publish ");
    if (address[0]) {
        put_piece(&draft, address, 0);
        put_words(&draft, ":");
    }
    put_piece(&draft, host, (size_t)(host - copy));
    if (jail != host) {
        put_words(&draft, " to ");
        put_piece(&draft, jail, (size_t)(jail - copy));
    }
    put_words(&draft, " ");
    if (protocol)
        put_piece(&draft, protocol, (size_t)(protocol - copy));
    else
        put_words(&draft, "tcp");
    return push_draft(options, "--publish", argument, &draft, error);
}

static int push_log(struct options *options, const char *argument, struct error *error)
{
    if (strcmp(argument, "stderr") == 0 || strcmp(argument, "journal") == 0)
        return push_words(options, "--log", "log denied to ", argument, "", error);
    return push_quoted(options, "--log", "log denied to file ", argument, error);
}

static int push_value(struct options *options, const char *argument, struct error *error)
{
    const char **values = reallocarray(options->values, options->values_count + 1, sizeof *values);

    if (!values)
        return no_memory(error);
    options->values = values;
    values[options->values_count++] = argument;
    return 0;
}

static int push_keep_fd(struct options *options, const char *argument, struct error *error)
{
    const char *problem = NULL;
    long long fd = strtonum(argument, 3, INT_MAX, &problem);
    int *fds = reallocarray(options->keep_fds, options->keep_fds_count + 1, sizeof *fds);

    if (!fds)
        return no_memory(error);
    options->keep_fds = fds;
    if (problem)
        return error_set(error, -EINVAL, "--keep-fd '%s': the number is %s (3 or more)", argument,
                         problem);
    fds[options->keep_fds_count++] = (int)fd;
    return 0;
}

/* The options that are statements. */
static int take_statement(int option, struct options *options, struct error *error)
{
    switch (option) {
    case 'e':
        return push_words(options, "--statement", "", optarg, "", error);
    case 'P':
        return push_publish(options, optarg, error);
    case OPTION_ALLOW:
        return push_words(options, "--allow", "allow ", optarg, "", error);
    case OPTION_DENY:
        return push_words(options, "--deny", "deny ", optarg, "", error);
    case OPTION_DNS:
        return push_words(options, "--dns", "dns { upstream ", optarg, " }", error);
    case OPTION_NAME:
        return push_quoted(options, "--name", "name ", optarg, error);
    case OPTION_USER:
        return push_quoted(options, "--user", "user ", optarg, error);
    case OPTION_LOG:
        return push_log(options, optarg, error);
    default:
        return error_set(error, -EINVAL, "internal: option %d", option);
    }
}

static int take_switch(int option, struct options *options, struct error *error)
{
    switch (option) {
    case 'n':
        options->dry_run = true;
        return 0;
    case 'q':
        options->quiet = true;
        return 0;
    case 'v':
        options->verbose++;
        return 0;
    case OPTION_WAIT_CLEAN:
        options->wait_clean = true;
        return 0;
    case OPTION_JSON:
        options->json = true;
        return 0;
    case OPTION_LEARN:
        return error_set(error, -EOPNOTSUPP, "--learn is not available yet");
    case OPTION_TRACE:
        return error_set(error, -EOPNOTSUPP, "--trace is not available yet");
    default:
        return take_statement(option, options, error);
    }
}

static int take_once(const char **slot, const char *option, struct error *error)
{
    if (*slot)
        return error_set(error, -EINVAL, "%s is given twice", option);
    *slot = optarg;
    return 0;
}

static bool has_letters(const char *word)
{
    return word && word[0] == '-' && word[1] != '-' && word[1] != '\0';
}

const char *options_unknown_word(char **argv, char ret_letter[3])
{
    const char *next = argv[optind]; /* getopt(3) stays at it until its last letter */

    if (optopt <= ' ' || optopt > '~' ||
        (!has_letters(argv[optind - 1]) && (!has_letters(next) || !strchr(next, optopt))))
        return argv[optind - 1];
    ret_letter[0] = '-';
    ret_letter[1] = (char)optopt;
    ret_letter[2] = '\0';
    return ret_letter;
}

static const char *near_option(const char *word)
{
    const char *names[ARRAY_LENGTH(long_options)] = {NULL};

    if (strncmp(word, "--", 2) != 0)
        return NULL;
    for (size_t i = 0; long_options[i].name; i++)
        names[i] = long_options[i].name;
    return suggest_word(word + 2, strcspn(word + 2, "="), names);
}

static int unknown_option(char **argv, struct error *error)
{
    char letter[3];
    const char *word = options_unknown_word(argv, letter);
    const char *near = near_option(word);

    error_set(error, -EINVAL, "unknown option '%s'", word);
    if (near)
        error_hint(error, "did you mean '--%s'?", near);
    else
        error_hint(error, "netjail --help lists the options; a command that begins with '-' "
                          "stands behind '--'");
    return -EINVAL;
}

/* "--allow out tcp to HOST" without quotes would admit everything and run a command "tcp". */
static int check_quoted(char **argv, struct error *error)
{
    static const char *const words[] = {"from", "icmp",    "icmpv6", "port",
                                        "tcp",  "tcp,udp", "to",     "udp"};
    const char *next = argv[optind];

    for (size_t i = 0; next && !strpbrk(optarg, " \t") && i < ARRAY_LENGTH(words); i++) {
        if (strcmp(next, words[i]) != 0)
            continue;
        error_set(error, -EINVAL, "'%s %s ...': a rule is one argument", optarg, next);
        error_hint(error, "it stands in quotes: --allow 'out tcp to HOST port 443'");
        return -EINVAL;
    }
    return 0;
}

static int take_option(int option, struct options *options, enum options_action *ret_action,
                       char **argv, struct error *error)
{
    if ((option == OPTION_ALLOW || option == OPTION_DENY) && check_quoted(argv, error) < 0)
        return -EINVAL;
    switch (option) {
    case 'p':
        return take_once(&options->policy, "--policy", error);
    case 'D':
        return push_value(options, optarg, error);
    case OPTION_NET:
        return take_once(&options->net, "--net", error);
    case OPTION_KEEP_FD:
        return push_keep_fd(options, optarg, error);
    case 'h':
        *ret_action = OPTIONS_HELP;
        return 0;
    case OPTION_VERSION:
        *ret_action = OPTIONS_VERSION;
        return 0;
    case ':':
        return error_set(error, -EINVAL, "option '%s' needs a value", argv[optind - 1]);
    case '?':
        return unknown_option(argv, error);
    default:
        return take_switch(option, options, error);
    }
}

int options_parse(int argc, char **argv, struct options *ret_options,
                  enum options_action *ret_action, struct error *error)
{
    enum options_action action = OPTIONS_RUN;
    struct options *options = ret_options;
    int option;

    *options = (struct options){0};
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:p:D:e:P:nqvh", long_options, NULL)) != -1) {
        int result = take_option(option, options, &action, argv, error);
        if (result < 0)
            return result;
    }
    *ret_action = action;
    if (optind < argc)
        options->command = argv + optind;
    if (action == OPTIONS_RUN && !options->command && !options->dry_run) {
        error_set(error, -EINVAL, "no command was given");
        error_hint(error, "netjail [options] [--] COMMAND [ARG...]; see netjail --help");
        return -EINVAL;
    }
    return 0;
}

void options_free(struct options *options)
{
    for (size_t i = 0; i < options->statements_count; i++)
        free(options->statements[i].text);
    free(options->statements);
    free(options->values);
    free(options->keep_fds);
    *options = (struct options){0};
}
