/* Cables to other jails: who is at the other end; and whose network is joined.
 *
 * The other jail is found by its record: it must run, and belong to the same user (or root lays the
 * cable). A cable gives it a link and routes, and never a rule, so what comes over the cable is
 * judged there by the rules it has. Pure. What must not happen: a cable to a jail of somebody else.
 */
#include "plan/build_internal.h"

#include <stdio.h>
#include <string.h>

#define WAIT_S 5 /* as in wrapper/claim.c, for the message */

static const struct record *find_running(const struct build *build, const char *name)
{
    for (size_t i = 0; i < build->facts->others_count; i++)
        if (strcmp(build->facts->others[i]->name, name) == 0)
            return build->facts->others[i];
    return NULL;
}

static void report_missing(struct build *build, const struct link *link, const char *what)
{
    struct diag *diag =
        build_error(build, NULL, link->target_where, "jail '%s' %s", link->target, what);

    build->errors_waiting++;
    diag_hint(build->diags, diag,
              "start it first: it must run when the cable is laid (waited %d s)", WAIT_S);
}

/* The index of the peer of this name; the same for all cables to it. */
static uint16_t add_peer(struct build *build, const char *name, const struct record *record)
{
    struct plan *plan = build->plan;
    struct plan_peer *peer;

    for (size_t i = 0; i < plan->peers_count; i++)
        if (strcmp(plan->peers[i].name, name) == 0)
            return (uint16_t)i;
    peer = ARENA_PUSH(plan->arena, plan, peers);
    (void)snprintf(peer->name, sizeof peer->name, "%s", name); /* fits: the parser saw to it */
    if (record) {
        peer->pid = record->pid;
        peer->pid_start = record->pid_start;
        peer->uid = record->uid;
    }
    return (uint16_t)(plan->peers_count - 1);
}

/* Root may do it for anybody. */
static bool belongs_to_other(struct build *build, const struct link *link,
                             const struct record *record, const char *hint)
{
    if (build->facts->uid == 0 || record->uid == build->facts->uid)
        return false;
    diag_hint(build->diags,
              build_error(build, NULL, link->target_where, "jail '%s' belongs to user %u",
                          link->target, record->uid),
              "%s", hint);
    return true;
}

void build_resolve_join(struct build *build, const struct link *link)
{
    const struct record *record = find_running(build, link->target);
    struct plan *plan = build->plan;

    if (record && belongs_to_other(build, link, record, "its network is not yours to use"))
        return;
    plan->joins = true;
    plan->joined_where = link->target_where;
    (void)snprintf(plan->joined.name, sizeof plan->joined.name, "%s", link->target); /* fits */
    if (record) {
        plan->joined.pid = record->pid;
        plan->joined.pid_start = record->pid_start;
        plan->joined.uid = record->uid;
    }
}

void build_resolve_peer(struct build *build, struct link_plan *link)
{
    const struct link *text = link->link;
    const struct record *record = find_running(build, text->target);

    link->is_peer = true;
    if (strcmp(text->target, build->name) == 0) {
        (void)build_error(build, NULL, text->target_where, "a cable from jail '%s' to itself",
                          build->name);
        return;
    }
    if (!record && !build->facts->only_shown) {
        report_missing(build, text, "does not run");
        return;
    }
    if (record && record->state == RECORD_ENDING && !build->facts->only_shown) {
        report_missing(build, text, "is ending");
        return;
    }
    if (record && belongs_to_other(build, text, record,
                                   "cables are between jails of one user; root may lay any other"))
        return;
    if (record && record->has_no_rules) {
        diag_hint(build->diags,
                  build_error(build, NULL, text->target_where,
                              "jail '%s' has no rules: a cable to it would be open", text->target),
                  "give the policy of '%s' a rule or a default, such as `default in deny`",
                  text->target);
        return;
    }
    link->peer = add_peer(build, text->target, record);
}
