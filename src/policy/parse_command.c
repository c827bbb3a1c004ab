/* Statements about the command: as whom it runs, what it keeps, what ends with it; and `log`.
 * No system call, no privilege. */
#include "base/cleanup.h"
#include "policy/capability.h"
#include "policy/parser.h"

#include <errno.h>
#include <string.h>

/* A user or group: what /etc/passwd can hold, but nothing that reads as an option. */
static bool account_is_valid(const char *text, size_t length)
{
    if (length == 0 || length > 255 || text[0] == '-')
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c <= ' ' || c == ':' || c == '/' || c == ',' || c >= 0x7f)
            return false;
    }
    return true;
}

int parse_user(struct parser *parser, void *context)
{
    struct policy *policy = parser->policy;
    struct token word;
    const char *colon;
    size_t length;

    (void)context; /* statements have none */
    if (parser_word(parser, "a user", &word) < 0)
        return -EINVAL;
    if (policy->user)
        return parser_error_twice(parser, word.where, policy->user_where, "'user'");
    colon = memchr(word.text, ':', word.length);
    length = colon ? (size_t)(colon - word.text) : word.length;
    if (!account_is_valid(word.text, length) ||
        (colon && !account_is_valid(colon + 1, word.length - length - 1)))
        return parser_error(parser, word.where, "write NAME, or NAME:GROUP", "'%s' is not a user",
                            parser_quote(parser, word.text, word.length));
    policy->user = arena_strndup(parser->arena, word.text, length);
    if (colon)
        policy->group = arena_strndup(parser->arena, colon + 1, word.length - length - 1);
    policy->user_where = word.where;
    return 0;
}

static int one_capability(struct parser *parser, uint64_t *kept)
{
    const struct capability *capability;
    struct token word;

    if (parser_word(parser, "a capability", &word) < 0)
        return -EINVAL;
    capability = capability_find(word.text, word.length);
    if (!capability) {
        const char *best = capability_suggest(parser->arena, word.text, word.length);

        return parser_error(parser, word.where,
                            best ? arena_printf(parser->arena, "did you mean '%s'?", best)
                                 : "see capabilities(7), as in net_bind_service",
                            "unknown capability '%s'",
                            parser_quote(parser, word.text, word.length));
    }
    if (capability->refusal)
        return parser_error(parser, word.where, capability->refusal,
                            "capability '%s' cannot be kept", capability->name);
    *kept |= UINT64_C(1) << capability->number;
    return 0;
}

int parse_capabilities(struct parser *parser, void *context)
{
    struct policy *policy = parser->policy;
    int result = 0;

    (void)context; /* statements have none */
    if (!parser_accept_word(parser, "keep"))
        return parser_expected(parser, "'keep'", "capabilities keep NAME ...");
    policy->capabilities_where = parser->statement;
    do {
        if (parser->token.kind != TOKEN_WORD)
            return parser_expected(parser, "a capability", NULL);
        if (one_capability(parser, &policy->capabilities_kept) < 0)
            result = -EINVAL;
    } while (!parser_at_end(parser));
    return result;
}

int parse_families(struct parser *parser, void *context)
{
    static const struct keyword families[] = {
        {"inet", NULL, FAMILY_INET},
        {"inet6", NULL, FAMILY_INET6},
        {"netlink", NULL, FAMILY_NETLINK},
        {"unix", NULL, FAMILY_UNIX},
    };
    struct policy *policy = parser->policy;
    const struct keyword *family;
    unsigned chosen = 0;

    (void)context; /* statements have none */
    if (parser_set_flag(parser, &policy->families_given, &policy->families_where, parser->statement,
                        "'families'") < 0)
        return -EINVAL;
    do {
        struct position where = parser->token.where;

        if (parser_keyword(parser, KEYWORDS(families, "socket family"), &family) < 0)
            return -EINVAL;
        if (chosen & (unsigned)family->value)
            return parser_error(parser, where, NULL, "'%s' is given twice", family->word);
        chosen |= (unsigned)family->value;
    } while (!parser_at_end(parser));
    policy->families = chosen;
    return 0;
}

/* One word out of a table; `given` is where it was given before, source 0: not yet. */
static int one_choice(struct parser *parser, struct keywords keywords, struct position *given,
                      const char *statement, int *ret_value)
{
    const struct keyword *keyword;

    if (given->source)
        return parser_error_twice(parser, parser->statement, *given, statement);
    if (parser_keyword(parser, keywords, &keyword) < 0)
        return -EINVAL;
    *given = parser->statement;
    *ret_value = keyword->value;
    return 0;
}

int parse_unix_sockets(struct parser *parser, void *context)
{
    static const struct keyword choices[] = {
        {"host", NULL, UNIX_SOCKETS_HOST},
        {"masked", NULL, UNIX_SOCKETS_MASKED},
        {"none", NULL, UNIX_SOCKETS_NONE},
    };
    struct policy *policy = parser->policy;
    int value = 0;

    (void)context; /* statements have none */
    if (one_choice(parser, KEYWORDS(choices, "choice for 'unix-sockets'"),
                   &policy->unix_sockets_where, "'unix-sockets'", &value) < 0)
        return -EINVAL;
    policy->unix_sockets = (enum unix_sockets)value;
    policy->unix_sockets_given = true;
    return 0;
}

int parse_namespaces(struct parser *parser, void *context)
{
    static const struct keyword choices[] = {{"allow", NULL, 1}, {"deny", NULL, 0}};
    int value = 0;

    (void)context; /* statements have none */
    if (one_choice(parser, KEYWORDS(choices, "choice for 'namespaces'"),
                   &parser->policy->namespaces_where, "'namespaces'", &value) < 0)
        return -EINVAL;
    parser->policy->namespaces_allow = value != 0;
    return 0;
}

int parse_processes(struct parser *parser, void *context)
{
    static const struct keyword choices[] = {{"private", NULL, 0}, {"shared", NULL, 1}};
    int value = 0;

    (void)context; /* statements have none */
    if (one_choice(parser, KEYWORDS(choices, "choice for 'processes'"),
                   &parser->policy->processes_where, "'processes'", &value) < 0)
        return -EINVAL;
    parser->policy->processes_shared = value != 0;
    return 0;
}

int parse_on_exit(struct parser *parser, void *context)
{
    static const struct keyword choices[] = {{"kill", NULL, 0}, {"wait", NULL, 1}};
    int value = 0;

    (void)context; /* statements have none */
    if (one_choice(parser, KEYWORDS(choices, "choice for 'on-exit'"),
                   &parser->policy->on_exit_where, "'on-exit'", &value) < 0)
        return -EINVAL;
    parser->policy->on_exit_wait = value != 0;
    return 0;
}

static int log_target(struct parser *parser, struct policy *policy)
{
    static const struct keyword targets[] = {
        {"file", NULL, LOG_FILE},
        {"journal", NULL, LOG_JOURNAL},
        {"stderr", NULL, LOG_STDERR},
    };
    const struct keyword *target;

    if (parser_keyword(parser, KEYWORDS(targets, "place for the log"), &target) < 0)
        return -EINVAL;
    policy->log_target = (enum log_target)target->value;
    if (policy->log_target == LOG_FILE)
        return parser_string(parser, "the file of the log", &policy->log_path);
    return 0;
}

/* The command line says where the log goes this time, whatever a file says. */
static void log_replace(const struct parser *parser, struct policy *policy)
{
    const struct source *sources = policy->sources.list;

    if (!policy->log_denied || !sources[parser->statement.source - 1].is_option ||
        sources[policy->log_where.source - 1].is_option)
        return;
    policy->log_denied = false;
    policy->log_target = LOG_STDERR;
}

/* log denied [to stderr|journal|file PATH] [json] */
int parse_log(struct parser *parser, void *context)
{
    struct policy *policy = parser->policy;

    (void)context; /* statements have none */
    if (!parser_accept_word(parser, "denied"))
        return parser_expected(parser, "'denied'",
                               "log denied [to stderr|journal|file PATH] [json]");
    log_replace(parser, policy);
    if (parser_set_flag(parser, &policy->log_denied, &policy->log_where, parser->statement,
                        "'log denied'") < 0)
        return -EINVAL;
    if (parser_accept_word(parser, "to") && log_target(parser, policy) < 0)
        return -EINVAL;
    policy->log_json = parser_accept_word(parser, "json");
    return 0;
}
