/* The parser of the policy language: statements, includes, and the life of a policy.
 *
 * Statements are parsed one after the other straight into struct policy; one that fails is given up
 * at its end, so that one run reports every error. Whether statements agree with each other is the
 * business of check*.c. No system call, no privilege: files come through struct policy_reader.
 * What must not happen: a statement that is half taken and silently half forgotten. A text with an
 * error makes the whole policy unusable (policy_check() fails as long as there is one). */
#include "policy/parser.h"

#include <errno.h>
#include <string.h>

#define INCLUDE_DEPTH_MAX 16
#define INCLUDES_MAX      1000

static int parse_text(struct parser *parser, const char *name, const char *text, size_t length);

struct policy *policy_new(void)
{
    struct arena *arena = arena_new();
    struct policy *policy;

    while (!arena) /* callers rely on a policy; the arena's own allocations end the process too */
        arena = arena_new();
    policy = arena_alloc(arena, sizeof *policy);
    policy->arena = arena;
    policy->sources.arena = arena;
    policy->names = arena_alloc(arena, sizeof *policy->names);
    policy->names->defines_by_name.arena = arena;
    for (size_t i = 0; i < DIRECTION_COUNT; i++)
        policy->defaults[i] = VERDICT_DENY;
    policy->connection_limit = 10000;
    policy->families = FAMILY_ALL;
    return policy;
}

void policy_free(struct policy *policy)
{
    if (policy)
        arena_free(policy->arena);
}

struct diags *policy_diags(struct policy *policy)
{
    struct diags *diags = arena_alloc(policy->arena, sizeof *diags);

    diags->arena = policy->arena;
    diags->sources = &policy->sources;
    return diags;
}

static int parse_name(struct parser *parser, void *context)
{
    struct policy *policy = parser->policy;
    struct position where = parser->token.where;
    const char *name;

    (void)context; /* statements have none */
    if (parser_jail_name(parser, &name) < 0)
        return -EINVAL;
    if (policy->name)
        return parser_error_twice(parser, where, policy->name_where, "'name'");
    policy->name = name;
    policy->name_where = where;
    return 0;
}

/* Is a file of this path being parsed, here or further out? */
static const struct parser *includer_of(const struct parser *parser, const char *path)
{
    for (; parser; parser = parser->includer) {
        if (parser->path && strcmp(parser->path, path) == 0)
            return parser;
    }
    return NULL;
}

static int include_text(struct parser *parser, const char *path, struct position where,
                        const char *text, size_t length)
{
    struct parser inner = {
        .policy = parser->policy,
        .diags = parser->diags,
        .arena = parser->arena,
        .reader = parser->reader,
        .path = arena_strndup(parser->arena, path, strlen(path)),
        .includer = parser,
        .include_where = where,
        .depth = parser->depth + 1,
    };

    if (includer_of(parser, path))
        return parser_error(parser, where, "a file cannot include itself, directly or by another",
                            "'%s' is being included already", path);
    if (inner.depth > INCLUDE_DEPTH_MAX)
        return parser_error(parser, where, NULL, "files are included more than %d deep",
                            INCLUDE_DEPTH_MAX);
    parser->policy->names->includes_length += length;
    return parse_text(&inner, path, text, length);
}

/* Before anything is read: a file may cost little and be included without end. Said once. */
static int includes_check(struct parser *parser, struct position where)
{
    struct policy_names *names = parser->policy->names;

    if (names->includes_refused)
        return -EINVAL;
    names->includes_refused =
        ++names->includes_count > INCLUDES_MAX || names->includes_length > TEXT_MAX;
    if (names->includes_count > INCLUDES_MAX)
        return parser_error(parser, where, NULL, "more than %d files are included", INCLUDES_MAX);
    if (names->includes_refused)
        return parser_error(parser, where, NULL, "more than 16 MiB are included");
    return 0;
}

static int parse_include(struct parser *parser, void *context)
{
    struct position where = parser->token.where;
    const char *name, *path, *text;
    struct error error = {0};
    size_t length;

    (void)context; /* statements have none */
    if (parser_string(parser, "the file to include", &name) < 0)
        return -EINVAL;
    if (!parser->reader || !parser->reader->read)
        return parser_error(parser, where, NULL, "'include' is not possible here");
    if (includes_check(parser, where) < 0)
        return -EINVAL;
    if (parser->reader->read(parser->reader->context, parser->path, name, &path, &text, &length,
                             &error) < 0)
        return parser_error(parser, where, error.hint[0] ? error.hint : NULL, "%s", error.text);
    return include_text(parser, path, where, text, length);
}

static const struct keyword statements[] = {
    {"allow", parse_allow, 0},
    {"capabilities", parse_capabilities, 0},
    {"default", parse_default, 0},
    {"define", parse_define, 0},
    {"deny", parse_deny, 0},
    {"dns", parse_dns, 0},
    {"drop", parse_drop, 0},
    {"expose", parse_expose, 0},
    {"families", parse_families, 0},
    {"forward", parse_forward, 0},
    {"include", parse_include, 0},
    {"limit", parse_limit, 0},
    {"link", parse_link, 0},
    {"lo", parse_lo, 0},
    {"log", parse_log, 0},
    {"name", parse_name, 0},
    {"namespaces", parse_namespaces, 0},
    {"network", parse_network, 0},
    {"on-exit", parse_on_exit, 0},
    {"param", parse_param, 0},
    {"processes", parse_processes, 0},
    {"publish", parse_publish, 0},
    {"unix-sockets", parse_unix_sockets, 0},
    {"user", parse_user, 0},
};

bool word_is_statement(const struct token *word)
{
    return keyword_find(KEYWORDS(statements, "statement"), word) != NULL;
}

static int parse_statement(struct parser *parser)
{
    const struct keyword *keyword;

    parser->statement = parser->token.where;
    if (parser->token.kind == TOKEN_OPEN)
        return parser_error(parser, parser->token.where, "it belongs at the end of the line before",
                            "'{' begins no statement");
    if (parser_keyword(parser, KEYWORDS(statements, "statement"), &keyword) < 0 ||
        keyword->parse(parser, NULL) < 0)
        return -EINVAL;
    return parser_expect_end(parser);
}

static void parse_statements(struct parser *parser)
{
    parser_advance(parser);
    for (;;) {
        switch (parser->token.kind) {
        case TOKEN_END:
            return;
        case TOKEN_NEWLINE:
            parser_advance(parser);
            break;
        case TOKEN_CLOSE:
            (void)parser_error(parser, parser->token.where, "no '{' is open here",
                               "unexpected '}'"); /* counted in diags */
            parser->lexer.depth = 0;
            parser_advance(parser);
            break;
        default:
            if (parse_statement(parser) == 0)
                break;
            if (parser->diags->error_count == 0) /* a rule left out in silence would be a hole */
                (void)parser_error(parser, parser->statement, NULL,
                                   "this statement has not been understood"); /* counted */
            parser_recover(parser, 0);
        }
    }
}

/* Parses a text with a prepared parser; the errors are counted in diags. */
static int parse_text(struct parser *parser, const char *name, const char *text, size_t length)
{
    struct sources *sources = &parser->policy->sources;
    struct position start = {.line = 1, .column = 1, .length = 1};

    if (length > TEXT_MAX)
        return parser_error(parser, parser->include_where, NULL,
                            "%s is larger than a policy may be (16 MiB)", name);
    start.source = sources_add(sources, name, text, length, !parser->path);
    lexer_init(&parser->lexer, parser->diags, sources->list[start.source - 1].text, length, start);
    parse_statements(parser);
    return 0;
}

/* "web" of "/etc/netjail/web.conf". */
static const char *file_base(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t length = strlen(base);

    if (length > 5 && strcmp(base + length - 5, ".conf") == 0)
        length -= 5;
    return arena_strndup(arena, base, length);
}

int policy_parse(struct policy *policy, struct diags *diags, const char *name, const char *path,
                 const char *text, size_t length, bool is_option,
                 const struct policy_reader *reader, const struct policy_value *values,
                 size_t values_count)
{
    size_t errors_before = diags->error_count;
    struct parser parser = {
        .policy = policy,
        .diags = diags,
        .arena = policy->arena,
        .reader = reader,
        .path = is_option || !path ? NULL : arena_strndup(policy->arena, path, strlen(path)),
    };

    if (parser.path && !policy->file_path) {
        policy->file_path = parser.path;
        policy->file_base = file_base(policy->arena, parser.path);
    }
    parse_values_add(policy, diags, values, values_count);
    (void)parse_text(&parser, name, text, length); /* its errors are counted in diags */
    return diags->error_count > errors_before ? -EINVAL : 0;
}
