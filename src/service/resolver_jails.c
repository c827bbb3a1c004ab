/* The jails that rules name are told without being asked for, when they change; they are kept for
 * policy_decide(). Others are asked for, one question at a time for each name, and not kept: what
 * the supervisor reads in the leases now is the truth. */
#include "service/resolver_jails.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define QUESTIONS_MAX 4 /* the queue of a socket is short */
#define TIMEOUT_MS    1000

struct known {
    const char *name; /* in the policy */
    struct addr addrs[NOTICE_ADDRS_MAX];
    size_t count;
};

struct question {
    struct jails *jails;
    struct loop_timer timer;
    char name[REPORT_NAME_SIZE]; /* "": free */
};

struct jails {
    struct loop *loop;
    int fd;
    struct known *known;
    size_t known_count;
    struct question questions[QUESTIONS_MAX];
    void (*answered)(void *context, const char *name, const struct addr *addrs, size_t count);
    void *context;
};

static void add_items(struct jails *jails, const struct set *set)
{
    for (size_t i = 0; i < set->items_count; i++) {
        bool known = set->items[i].kind != SET_JAIL;

        for (size_t k = 0; k < jails->known_count && !known; k++)
            known = strcmp(jails->known[k].name, set->items[i].name) == 0;
        if (!known)
            jails->known[jails->known_count++].name = set->items[i].name;
    }
}

static bool collect(struct jails *jails, const struct policy *policy)
{
    size_t most = 1;

    for (size_t i = 0; i < policy->rules_count; i++) {
        const struct rule *rule = &policy->rules[i];

        most += (rule->to_jails ? rule->to.items_count : 0) +
                (rule->from_jails ? rule->from.items_count : 0);
    }
    jails->known = calloc(most, sizeof *jails->known);
    if (!jails->known)
        return false;
    for (size_t i = 0; i < policy->rules_count; i++) {
        const struct rule *rule = &policy->rules[i];

        if (rule->to_jails)
            add_items(jails, &rule->to);
        if (rule->from_jails)
            add_items(jails, &rule->from);
    }
    return true;
}

static void question_late(void *context)
{
    struct question *question = context;
    char name[REPORT_NAME_SIZE];

    memcpy(name, question->name, sizeof name);
    question->name[0] = '\0';
    question->jails->answered(question->jails->context, name, NULL, 0);
}

struct jails *jails_new(struct loop *loop, int fd, const struct policy *policy,
                        void (*answered)(void *context, const char *name, const struct addr *addrs,
                                         size_t count),
                        void *context)
{
    struct jails *jails = calloc(1, sizeof *jails);

    if (!jails || !collect(jails, policy)) {
        free(jails);
        return NULL;
    }
    jails->loop = loop;
    jails->fd = fd;
    jails->answered = answered;
    jails->context = context;
    for (size_t i = 0; i < QUESTIONS_MAX; i++) {
        jails->questions[i].jails = jails;
        jails->questions[i].timer =
            (struct loop_timer){.due = question_late, .context = &jails->questions[i]};
    }
    return jails;
}

void jails_free(struct jails *jails)
{
    if (!jails)
        return;
    for (size_t i = 0; i < QUESTIONS_MAX; i++)
        loop_disarm(jails->loop, &jails->questions[i].timer);
    free(jails->known);
    free(jails);
}

int jails_ask(struct jails *jails, const char *name)
{
    struct report_jail report = {.kind = REPORT_JAIL};
    struct question *free_one = NULL;
    size_t length = strlen(name);

    for (size_t i = 0; i < QUESTIONS_MAX; i++) {
        if (strcmp(jails->questions[i].name, name) == 0)
            return 0; /* under way */
        if (!jails->questions[i].name[0])
            free_one = &jails->questions[i];
    }
    if (!free_one || length == 0 || length >= sizeof report.name || name[0] == '.')
        return -EAGAIN;
    memcpy(report.name, name, length);
    if (send(jails->fd, &report, sizeof report, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return -EAGAIN;
    memcpy(free_one->name, report.name, sizeof report.name);
    loop_arm(jails->loop, &free_one->timer, TIMEOUT_MS);
    return 0;
}

void jails_noticed(struct jails *jails, const struct notice_addrs *notice)
{
    for (size_t i = 0; notice->kind == NOTICE_JAIL && i < jails->known_count; i++) {
        if (strcmp(jails->known[i].name, notice->name) != 0)
            continue;
        memcpy(jails->known[i].addrs, notice->addrs, sizeof notice->addrs);
        jails->known[i].count = notice->count;
    }
    if (notice->kind == NOTICE_JAIL)
        return;
    for (size_t i = 0; i < QUESTIONS_MAX; i++) {
        if (strcmp(jails->questions[i].name, notice->name) != 0)
            continue;
        loop_disarm(jails->loop, &jails->questions[i].timer);
        jails->questions[i].name[0] = '\0';
    }
    jails->answered(jails->context, notice->name, notice->addrs, notice->count);
}

bool jails_item_has(const struct jails *jails, const struct set_item *item, const struct addr *addr)
{
    for (size_t i = 0; i < jails->known_count; i++) {
        const struct known *known = &jails->known[i];

        for (size_t k = 0; k < known->count && strcmp(known->name, item->name) == 0; k++) {
            if (addr_equal(&known->addrs[k], addr))
                return true;
        }
    }
    return false;
}
