/* From file, options and values to one checked policy: the file first, then the options in their
 * order, so that a rule of the command line stands behind those of the file. */
#include "assemble.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "load.h"
#include "policy/transcript.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

void assembled_free(struct assembled *assembled)
{
    policy_free(assembled->policy);
    buf_free(&assembled->texts);
    *assembled = (struct assembled){0};
}

/* Turns the -D options into values with a position each. */
static int collect_values(const struct options *options, struct transcript *transcript,
                          struct error *error)
{
    for (size_t i = 0; i < options->values_count; i++) {
        if (transcript_value(transcript, options->values[i]) < 0)
            return error_set(error, -EINVAL, "-D '%s': not NAME=VALUE", options->values[i]);
    }
    return 0;
}

/* The base name without ".conf": the default name of the jail. */
static void note_file(struct policy *policy, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t length = strlen(base);

    if (length > 5 && strcmp(base + length - 5, ".conf") == 0)
        length -= 5;
    policy->file_base = arena_strndup(policy->arena, base, length);
    policy->file_path = arena_strndup(policy->arena, path, strlen(path));
}

static bool has_network(const struct policy *policy, const char *name)
{
    for (size_t i = 0; i < policy->networks_count; i++)
        if (strcmp(policy->networks[i].name, name) == 0)
            return true;
    return false;
}

/* Has the host an interface of this name; with `part` "/bridge": is it a bridge? */
static bool is_interface(const char *name, const char *part)
{
    char path[128];
    struct stat status;

    if (name[0] == '.' || strchr(name, '/') || strlen(name) > IFNAME_MAX)
        return false;
    (void)snprintf(path, sizeof path, "/sys/class/net/%s%s", name, part); /* fits: bounded above */
    return stat(path, &status) == 0;
}

static void no_such_network(const char *net, struct policy *policy, struct diags *diags)
{
    struct position where = {
        .source = sources_add(&policy->sources, "option --net", net, strlen(net), true),
        .line = 1,
        .column = 1,
        .length = net[0] ? (uint32_t)strlen(net) : 1};
    struct diag *diag = diag_error(diags, where, "there is no network or bridge '%s'", net);

    diag_hint(diags, diag, "none, relay, a `network` of the policy, or a bridge of the host");
}

/* `--net WORD` as statements: a network of the policy, an existing bridge, else a device. */
static void net_statement(const struct policy *policy, const char *net, struct buf *text)
{
    if (strcmp(net, "relay") == 0)
        buf_puts(text, "link relay");
    else if (has_network(policy, net))
        buf_printf(text, "link eth0 bridge \"%s\"", net);
    else if (is_interface(net, "/bridge"))
        buf_printf(text, "network \"%s\" { external }; link eth0 bridge \"%s\"", net, net);
    else
        buf_printf(text, "link \"%s\" device \"%s\"", net, net);
}

static void parse_net(const struct options *options, struct transcript *transcript)
{
    struct policy *policy = transcript->policy;
    struct diags *diags = transcript->diags;
    cleanup_buf struct buf text = {0};

    if (!options->net)
        return;
    if (strcmp(options->net, "none") == 0) {
        if (policy->links_count > 0)
            diag_error(diags, policy->links[0].where,
                       "the policy has a link, but the command line says '--net none'");
        return;
    }
    if (strcmp(options->net, "relay") != 0 && !has_network(policy, options->net) &&
        !is_interface(options->net, "")) {
        no_such_network(options->net, policy, diags);
        return;
    }
    net_statement(policy, options->net, &text);
    transcript_parse(transcript, "option --net", NULL,
                     arena_strndup(policy->arena, buf_text(&text), text.length), text.length, true);
}

/* Ends the text a statement before its own end? As the lexer sees it: not in quotes. */
static bool has_separator(const char *text)
{
    bool quoted = false;

    for (const char *c = text; *c; c++) {
        if (*c == '\n' || (*c == ';' && !quoted))
            return true;
        if (*c == '"')
            quoted = !quoted;
        else if (*c == '\\' && quoted && c[1])
            c++;
    }
    return false;
}

/* A script may have the argument from somebody who is to choose a port or a name and no more: it
 * cannot end the statement and begin another. `-e` is for whoever may say anything. */
static bool is_one_statement(const struct option_statement *statement, const char *name,
                             struct transcript *transcript)
{
    const char *typed = statement->typed;

    if (strcmp(statement->option, "--statement") == 0 || !has_separator(statement->text))
        return true;
    struct position where = {
        .source = sources_add(&transcript->policy->sources, name, typed, strlen(typed), true),
        .line = 1,
        .column = 1,
        .length = (uint32_t)strcspn(typed, "\n")};
    struct diag *diag = diag_error(transcript->diags, where, "this is more than one statement");

    if (statement->option[0] == '-')
        diag_hint(transcript->diags, diag, "several are written with -e each");
    return false;
}

static void parse_statements(const struct options *options, struct transcript *transcript)
{
    for (size_t i = 0; i < options->statements_count; i++) {
        const struct option_statement *statement = &options->statements[i];
        struct policy *policy = transcript->policy;
        char *name = arena_printf(policy->arena, "option %s", statement->option);
        uint32_t source = (uint32_t)policy->sources.list_count + 1;

        if (!is_one_statement(statement, name, transcript))
            continue;
        transcript_parse(transcript, name, NULL, statement->text, strlen(statement->text), true);
        if (policy->sources.list_count >= source)
            sources_set_typed(&policy->sources, source, statement->typed, statement->spans,
                              statement->spans_count);
    }
}

/* `--allow 'out ...'` says that something shall be reached: without any link by the relay, which
 * needs no privilege. */
static void imply_relay(const struct options *options, struct transcript *transcript)
{
    const struct policy *policy = transcript->policy;
    bool out = false;

    for (size_t i = 0; i < policy->rules_count; i++) {
        const struct rule *rule = &policy->rules[i];

        out = out ||
              (rule->direction == DIRECTION_OUT && rule->verdict == VERDICT_ALLOW &&
               strcmp(policy->sources.list[rule->where.source - 1].name, "option --allow") == 0);
    }
    if (out && policy->links_count == 0 && !options->net)
        transcript_parse(transcript, "option --allow", NULL, "link relay", strlen("link relay"),
                         true);
}

/* Everything that is to be parsed. The file's text stays until the transcript has been written. */
static int parse_all(const struct options *options, struct transcript *transcript,
                     struct trusted_file *file, struct error *error)
{
    int result = collect_values(options, transcript, error);

    if (result < 0)
        return result;
    transcript->policy->values_shared = options->values_shared;
    if (options->policy) {
        result = load_policy(options->policy, file, error);
        if (result < 0)
            return result == -EINVAL ? -EPERM : result;
        note_file(transcript->policy, file->path);
        transcript_parse(transcript, file->path, file->canonical, file->text, file->length, false);
    } else if (options->values_count > 0) {
        transcript_parse(transcript, "option -D", NULL, "", 0, true); /* they want a text */
    }
    parse_net(options, transcript);
    parse_statements(options, transcript);
    imply_relay(options, transcript);
    return 0;
}

static int assemble(const struct options *options, struct assembled *assembled,
                    struct loader *loader, struct error *error)
{
    struct policy *policy = assembled->policy;
    struct diags *diags = assembled->diags;
    struct trusted_file file = {0};
    struct transcript transcript;

    transcript_begin(&transcript, policy, diags, loader_reader(loader));
    int result = parse_all(options, &transcript, &file, error);
    if (result == 0) {
        (void)policy_check(policy, diags); /* errors are counted in diags */
        if (diags->error_count == 0)
            (void)policy_refuse_unavailable(policy, diags); /* the same */
        if (diags->error_count == 0 && policy_asks_service(policy))
            transcript_write(&transcript, &assembled->texts);
        result = diags->error_count > 0 ? -EINVAL : 0;
    }
    trusted_file_free(&file);
    return result;
}

int assemble_policy(const struct options *options, struct assembled *ret_assembled,
                    struct error *error)
{
    struct loader loader = {0};

    *ret_assembled = (struct assembled){.policy = policy_new()};
    ret_assembled->diags = policy_diags(ret_assembled->policy);
    if (getauxval(AT_SECURE) &&
        (options->statements_count || options->values_count || options->net)) {
        error_set(error, -EPERM,
                  "netjail has privilege that its caller lacks: it takes a policy "
                  "only from a file that belongs to root");
        return -EPERM;
    }
    int result = assemble(options, ret_assembled, &loader, error);
    loader_free(&loader);
    return result;
}
