/* netjailctl check and plan: what a policy says, without a jail. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "plan/print.h"
#include "wrapper/assemble.h"
#include "wrapper/claim.h"
#include "wrapper/ctl.h"
#include "wrapper/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int ctl_assemble(const struct ctl_options *options, const char *name, struct assembled *assembled,
                 struct error *error)
{
    struct options line = {.policy = name,
                           .values = options->values,
                           .values_count = (size_t)options->values_count,
                           .values_shared = options->values_used != NULL};
    int result = assemble_policy(&line, assembled, error);

    for (int i = 0; options->values_used && i < options->values_count; i++) {
        cleanup_free char *value = strdup(options->values[i]);

        if (!value)
            return error_errno(error, -ENOMEM, "cannot keep the values of -D");
        value[strcspn(value, "=")] = '\0';
        options->values_used[i] |= policy_takes_value(assembled->policy, value);
    }
    return result;
}

int ctl_values_judge(const struct ctl_options *options)
{
    int status = CTL_OK;

    for (int i = 0; options->values_used && i < options->values_count; i++) {
        const char *value = options->values[i];

        if (options->values_used[i])
            continue;
        report_note(CTL_PROGRAM, "-D %.*s: none of the policies has such a 'define' or 'param'",
                    (int)strcspn(value, "="), value);
        status = CTL_POLICY;
    }
    return status;
}

static json_t *diag_json(const struct sources *sources, const struct diag *diag)
{
    const struct source *source =
        diag->where.source ? &sources->list[diag->where.source - 1] : NULL;

    return json_pack("{s:s, s:o?, s:i, s:i, s:s, s:s?}", "severity",
                     diag->severity == SEVERITY_ERROR ? "error" : "warning", "file",
                     source ? ctl_text_json(source->name) : NULL, "line", (int)diag->where.line,
                     "column", (int)diag->where.column, "text", diag->text, "hint", diag->hint);
}

static json_t *check_json(const char *name, const struct assembled *assembled,
                          const struct error *error)
{
    json_t *messages = json_array();
    const struct diags *diags = assembled->diags;

    for (size_t i = 0; i < diags->list_count; i++)
        (void)json_array_append_new(
            messages, diag_json(diags->sources, &diags->list[i])); /* checked by the dump */
    if (error->text[0])
        (void)json_array_append_new(messages,
                                    json_pack("{s:s, s:s, s:s, s:s}", "severity", "error", "file",
                                              name, "text", error->text, "hint", error->hint));
    return json_pack("{s:s, s:b, s:o}", "policy", name, "ok",
                     diags->error_count == 0 && !error->text[0], "messages", messages);
}

static int check_one(const struct ctl_options *options, const char *name, json_t *report)
{
    struct assembled assembled = {0};
    struct error error = {0};
    int result = ctl_assemble(options, name, &assembled, &error);
    int status = CTL_OK;

    if (error.text[0])
        status = CTL_SYSTEM;
    else if (result < 0)
        status = CTL_POLICY;
    if (options->json) {
        (void)json_array_append_new(report, check_json(name, &assembled, &error));
    } else {
        if (assembled.diags->list_count > 0)
            report_diags(assembled.diags, false);
        if (error.text[0])
            report_error(CTL_PROGRAM, &assembled.policy->sources, &error);
        if (result == 0)
            (void)printf("%s: ok\n", name); /* looked at by ctl_finish_output() */
    }
    assembled_free(&assembled);
    return status;
}

json_t *ctl_text_json(const char *text)
{
    cleanup_buf struct buf visible = {0};

    buf_put_visible(&visible, text, strlen(text));
    return json_string(buf_text(&visible));
}

int ctl_dump_json(json_t *value)
{
    bool failed = !value || json_dumpf(value, stdout, JSON_INDENT(2)) != 0;

    (void)fputs("\n", stdout); /* looked at by ctl_finish_output() */
    json_decref(value);
    if (failed)
        report_note(CTL_PROGRAM, "cannot write JSON");
    return failed ? CTL_SYSTEM : CTL_OK;
}

int ctl_check(const struct ctl_options *options)
{
    json_t *report = options->json ? json_array() : NULL;
    int status = CTL_OK;

    for (int i = 0; i < options->arguments_count; i++) {
        int one = check_one(options, options->arguments[i], report);
        status = one > status ? one : status;
    }
    if (status == CTL_OK)
        status = ctl_values_judge(options);
    if (options->json && ctl_dump_json(report) != CTL_OK)
        return CTL_SYSTEM;
    return status;
}

static int print_plan(const struct ctl_options *options, const struct claim *claim)
{
    cleanup_buf struct buf text = {0};

    plan_print(claim->plan, claim->name, &text);
    if (options->json)
        return ctl_dump_json(
            json_pack("{s:s, s:s}", "jail", claim->name, "script", buf_text(&text)));
    (void)fputs(buf_text(&text), stdout); /* looked at by ctl_finish_output() */
    return CTL_OK;
}

int ctl_plan(const struct ctl_options *options)
{
    struct assembled assembled = {0};
    struct claim claim = {0};
    struct error error = {0};
    int status = CTL_POLICY;
    int result = ctl_assemble(options, options->arguments[0], &assembled, &error);

    if (result == 0)
        result = claim_look(&claim, assembled.policy, assembled.diags, &error);
    if (assembled.diags->list_count > 0)
        report_diags(assembled.diags, false);
    if (error.text[0]) {
        report_error(CTL_PROGRAM, &assembled.policy->sources, &error);
        status = CTL_SYSTEM;
    }
    if (result == 0)
        status = print_plan(options, &claim);
    claim_free(&claim);
    assembled_free(&assembled);
    return status;
}
