/* netjailctl why and diff: what a policy answers about one flow, and what two policies answer
 * differently. Both only read the policies; no jail is needed. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "policy/compare.h"
#include "policy/query.h"
#include "wrapper/assemble.h"
#include "wrapper/ctl.h"
#include "wrapper/report.h"

#include <netinet/in.h>
#include <stdio.h>

/* A policy may ask for what this version cannot run yet and be understood all the same. */
static int assemble_named(const struct ctl_options *options, const char *name,
                          struct assembled *assembled)
{
    struct error error = {0};
    int result = ctl_assemble(options, name, assembled, &error);

    if (result == 0)
        return CTL_OK;
    if (assembled->diags->error_count > 0)
        report_diags(assembled->diags, true);
    if (error.text[0])
        report_error(CTL_PROGRAM, &assembled->policy->sources, &error);
    return error.text[0] ? CTL_SYSTEM : CTL_POLICY;
}

/* ---- why ---- */

static const char *reason(const struct decision *decision, enum direction direction,
                          struct buf *text)
{
    if (decision->by_publish)
        buf_puts(text, "no rule matches; this line admits what comes through it");
    else if (decision->by_default)
        buf_printf(text, "no rule matches; the default of `%s` is %s", direction_name(direction),
                   verdict_name(decision->verdict));
    else
        buf_puts(text, "this line decides");
    return buf_text(text);
}

static const char *family_words(uint8_t family)
{
    return family == ADDR_V4 ? " (IPv4)" : family == ADDR_V6 ? " (IPv6)" : "";
}

static void print_answer(const struct query *query, const struct policy *policy,
                         const struct answer *answer, const char *extra)
{
    const struct decision *decision = &answer->decision;
    cleanup_buf struct buf place = {0}, line = {0}, why = {0};

    if (decision->where.source)
        position_print(&policy->sources, decision->where, &place);
    else
        buf_puts(&place, policy->file_path ? policy->file_path : "policy");
    position_print_line(&policy->sources, decision->where, NULL, &line);
    (void)printf("%s%s: %s%s\n%s: %s\n%s", verdict_name(decision->verdict),
                 family_words(answer->family), query_text(query), extra, buf_text(&place),
                 reason(decision, query_direction(query), &why),
                 buf_text(&line)); /* looked at by ctl_finish_output() */
}

static json_t *answer_json(const struct query *query, const struct policy *policy,
                           const struct answer *answer, bool published)
{
    const struct decision *decision = &answer->decision;
    const struct position *where = &decision->where;
    const char *file =
        where->source ? policy->sources.list[where->source - 1].name : policy->file_path;
    cleanup_buf struct buf why = {0};

    return json_pack("{s:s, s:s, s:s?, s:b, s:s, s:s?, s:i, s:i, s:s}", "question",
                     query_text(query), "verdict", verdict_name(decision->verdict), "family",
                     answer->family == ADDR_NONE ? NULL
                     : answer->family == ADDR_V4 ? "ipv4"
                                                 : "ipv6",
                     "through_publish", published, "by",
                     decision->by_publish   ? "publish"
                     : decision->by_default ? "default"
                                            : "rule",
                     "file", file, "line", (int)where->line, "column", (int)where->column, "reason",
                     reason(decision, query_direction(query), &why));
}

struct answers {
    struct answer list[2];
    size_t count;
};

static bool all_allow(const struct answers *answers)
{
    for (size_t i = 0; i < answers->count; i++) {
        if (answers->list[i].decision.verdict != VERDICT_ALLOW)
            return false;
    }
    return answers->count > 0;
}

/* What comes in through `publish` may be answered otherwise than what comes directly. */
static bool is_published(const struct query *query, const struct policy *policy,
                         struct answers *ret_answers)
{
    if (query_direction(query) != DIRECTION_IN)
        return false;
    ret_answers->count = query_answer(query, policy, true, ret_answers->list);
    return ret_answers->count > 0 && ret_answers->list[0].decision.by_publish;
}

static int print_answers(const struct ctl_options *options, const struct query *query,
                         const struct policy *policy)
{
    struct answers direct = {0}, published = {0};
    bool has_published = is_published(query, policy, &published);
    json_t *list = options->json ? json_array() : NULL;

    direct.count = query_answer(query, policy, false, direct.list);
    for (size_t i = 0; i < direct.count; i++) {
        if (list)
            (void)json_array_append_new(
                list, answer_json(query, policy, &direct.list[i], false)); /* see the dump */
        else
            print_answer(query, policy, &direct.list[i], has_published ? ", sent directly" : "");
    }
    for (size_t i = 0; has_published && i < published.count; i++) {
        if (list)
            (void)json_array_append_new(
                list, answer_json(query, policy, &published.list[i], true)); /* see the dump */
        else
            print_answer(query, policy, &published.list[i], ", through the published port");
    }
    if (list && ctl_dump_json(list) != CTL_OK)
        return CTL_SYSTEM;
    return all_allow(&direct) || (has_published && all_allow(&published)) ? CTL_OK : CTL_NO;
}

int ctl_why(const struct ctl_options *options)
{
    struct assembled assembled = {0};
    struct policy *question = policy_new();
    struct diags *diags = policy_diags(question);
    struct query *query = NULL;
    int status = assemble_named(options, options->arguments[0], &assembled);

    if (status == CTL_OK && query_parse(options->arguments[1], question, diags, &query) < 0) {
        report_diags(diags, true);
        report_note(CTL_PROGRAM,
                    "a question reads like a rule: 'out tcp pypi.org 443', "
                    "'in udp from 10.0.0.7 port 53', 'out icmp echo-request 10.0.0.1'");
        status = CTL_USAGE;
    }
    if (status == CTL_OK)
        status = print_answers(options, query, assembled.policy);
    policy_free(question);
    assembled_free(&assembled);
    return status;
}

/* ---- diff ---- */

/* Calls `each` for every line: regions that are alike share one. */
static void each_line(const struct comparison *comparison,
                      void (*each)(void *context, const char *text, struct position where),
                      void *context)
{
    size_t total = comparison->regions_count;
    cleanup_free bool *told = calloc(total + 1, sizeof *told);
    cleanup_free const struct region **alike = calloc(total + 1, sizeof *alike);

    for (size_t i = 0; told && alike && i < total; i++) {
        cleanup_buf struct buf text = {0};
        size_t count = 0;

        for (size_t k = i; k < total && !told[i]; k++) {
            if (told[k] ||
                (k != i && !regions_alike(&comparison->regions[i], &comparison->regions[k])))
                continue;
            alike[count++] = &comparison->regions[k];
            told[k] = k != i;
        }
        if (count == 0)
            continue;
        regions_print(alike, count, &text);
        each(context, buf_text(&text), comparison->regions[i].where);
    }
}

static json_t *region_json(const struct policy *policy, const struct region *region)
{
    cleanup_buf struct buf text = {0};
    const struct position *where = &region->where;

    regions_print(&region, 1, &text);
    return json_pack("{s:s, s:s?, s:i}", "flow", buf_text(&text), "file",
                     where->source ? policy->sources.list[where->source - 1].name : NULL, "line",
                     (int)where->line);
}

static void publish_print(const struct publish *publish, struct buf *out)
{
    char address[ADDR_TEXT_SIZE];

    buf_puts(out, "publish ");
    if (publish->kind == PUBLISH_ANY)
        buf_puts(out, "any:");
    else if (publish->kind == PUBLISH_ADDRESS)
        buf_printf(out, publish->addr.family == ADDR_V6 ? "[%s]:" : "%s:",
                   addr_print(&publish->addr, address));
    buf_printf(out, "%u", publish->host_ports.first);
    if (publish->host_ports.last != publish->host_ports.first)
        buf_printf(out, "-%u", publish->host_ports.last);
    buf_printf(out, " to %u %s", publish->jail_port, protocol_name(publish->protocol));
}

static json_t *comparison_json(const struct policy *policy, const struct comparison *comparison)
{
    json_t *list = json_array();

    for (size_t i = 0; i < comparison->regions_count; i++)
        (void)json_array_append_new(
            list, region_json(policy, &comparison->regions[i])); /* see the dump */
    for (size_t i = 0; i < comparison->publishes_count; i++) {
        const struct publish *publish = comparison->publishes[i];
        cleanup_buf struct buf text = {0};

        publish_print(publish, &text);
        (void)json_array_append_new(
            list,
            json_pack("{s:s, s:s?, s:i}", "flow", buf_text(&text), "file",
                      publish->where.source ? policy->sources.list[publish->where.source - 1].name
                                            : NULL,
                      "line", (int)publish->where.line)); /* see the dump */
    }
    return list;
}

static void print_line(void *context, const char *text, struct position where)
{
    const struct policy *policy = context;
    cleanup_buf struct buf place = {0};

    position_print(&policy->sources, where, &place);
    /* looked at by ctl_finish_output() */
    if (place.length > 0)
        (void)printf("  %-56s (%s)\n", text, buf_text(&place));
    else
        (void)printf("  %-56s (default)\n", text);
}

static void print_comparison(const char *name, struct policy *policy,
                             const struct comparison *comparison)
{
    if (comparison->regions_count == 0 && comparison->publishes_count == 0)
        return;
    (void)printf("only %s admits:\n", name); /* looked at by ctl_finish_output() */
    each_line(comparison, print_line, policy);
    for (size_t i = 0; i < comparison->publishes_count; i++) {
        cleanup_buf struct buf text = {0};

        publish_print(comparison->publishes[i], &text);
        print_line(policy, buf_text(&text), comparison->publishes[i]->where);
    }
    if (comparison->is_cut)
        (void)puts("  ... and more"); /* the same */
}

static bool is_empty(const struct comparison *comparison)
{
    return comparison->regions_count == 0 && comparison->publishes_count == 0 &&
           !comparison->is_cut;
}

static int compare(const struct ctl_options *options, struct policy *a, struct policy *b)
{
    struct comparison only_a, only_b;
    struct arena *arena = arena_new();
    int status;

    policy_compare(a, b, arena, &only_a);
    policy_compare(b, a, arena, &only_b);
    status = is_empty(&only_a) && is_empty(&only_b) ? CTL_OK : CTL_NO;
    if (options->json) {
        int dumped = ctl_dump_json(
            json_pack("{s:o, s:o, s:b}", "only_first", comparison_json(a, &only_a), "only_second",
                      comparison_json(b, &only_b), "complete", !only_a.is_cut && !only_b.is_cut));
        status = dumped == CTL_OK ? status : CTL_SYSTEM;
    } else {
        print_comparison(options->arguments[0], a, &only_a);
        print_comparison(options->arguments[1], b, &only_b);
        if (status == CTL_OK)
            (void)puts("both admit the same"); /* looked at by ctl_finish_output() */
    }
    arena_free(arena);
    return status;
}

int ctl_diff(const struct ctl_options *options)
{
    struct assembled a = {0}, b = {0};
    int status = assemble_named(options, options->arguments[0], &a);
    int second = assemble_named(options, options->arguments[1], &b);

    status = second > status ? second : status;
    if (status == CTL_OK)
        status = ctl_values_judge(options);
    if (status == CTL_OK)
        status = compare(options, a.policy, b.policy);
    assembled_free(&a);
    assembled_free(&b);
    return status;
}
