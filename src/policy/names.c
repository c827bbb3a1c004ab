/* DNS names in rules: numbered for the compiler, indexed for the resolver. Pure.
 *
 * The resolver decides by name, the kernel by address. What joins the two is a number: every `to`
 * with names in an `allow` rule has a set in the jail's table, and an address that the resolver has
 * found for a name goes into the sets of all rules that admit the name. Neighbouring rules that say
 * the same but for the names share a set, so that a list of names costs one look-up, not one each.
 *
 * `deny` and `drop` of a name have no set: addresses are shared. They act in the resolver: the
 * first rule that mentions a name decides whether it is answered at all. What must not happen: a
 * name that no rule admits judged as admitted; supervisor and service numbering differently (both
 * run this code over the same texts). */
#include "policy/names.h"

#include "base/map.h"
#include "policy/check.h"

#include <netinet/in.h>
#include <string.h>

/* A name or suffix that rules mention. */
struct mention {
    size_t first_rule;
    uint32_t *sets;
    size_t sets_count, sets_capacity;
};

struct names {
    const struct policy *policy;
    struct arena *arena;
    struct map exact;
    struct map suffixes;
    struct map privates;
    struct map private_suffixes;
    struct mention *mentions;
    size_t mentions_count, mentions_capacity;
    uint32_t *found;  /* name_sets_count numbers */
    uint64_t *stamps; /* of the question that found a set last, by number */
    uint64_t stamp;
    bool any;
};

static bool is_name(const struct set_item *item)
{
    return item->kind == SET_NAME || item->kind == SET_SUFFIX;
}

static bool set_has(const struct set *set, bool (*is)(const struct set_item *item))
{
    for (size_t i = 0; set->given && i < set->items_count; i++) {
        if (is(&set->items[i]))
            return true;
    }
    return false;
}

static bool is_any(const struct set_item *item)
{
    return item->kind == SET_ANY;
}

static bool is_no_name(const struct set_item *item)
{
    return !is_name(item);
}

static bool same_set(const struct set *a, const struct set *b)
{
    return a->given == b->given && a->items_count == b->items_count &&
           (a->items == b->items || (set_covers(a, b) && set_covers(b, a)));
}

static bool same_protocols(const struct rule *a, const struct rule *b)
{
    if (a->protocols_count != b->protocols_count)
        return false;
    for (size_t i = 0; i < a->protocols_count; i++) {
        const struct protocol *x = &a->protocols[i], *y = &b->protocols[i];

        if (x->number != y->number || x->has_type != y->has_type || x->icmp_type != y->icmp_type)
            return false;
    }
    return true;
}

static bool same_ports(const struct ports *a, const struct ports *b)
{
    return a->given == b->given && a->ranges_count == b->ranges_count &&
           (a->ranges_count == 0 ||
            memcmp(a->ranges, b->ranges, a->ranges_count * sizeof *a->ranges) == 0);
}

/* May the two share a set: do they say the same but for the names? */
static bool rules_alike(const struct rule *a, const struct rule *b)
{
    return a->direction == b->direction && a->to_names && !a->rate.given && !b->rate.given &&
           !a->log && !b->log && !set_has(&a->to, is_no_name) && !set_has(&b->to, is_no_name) &&
           same_protocols(a, b) && same_ports(&a->ports, &b->ports) && same_set(&a->from, &b->from);
}

/* An earlier set of jails with the same items: rules that use one define share it. */
static uint32_t jail_set_number(struct policy *policy, struct set_memo *memo, size_t rules,
                                const struct set *set)
{
    if (!set_facts_of(memo, set).jail)
        return 0;
    for (size_t i = 0; i < rules; i++) {
        const struct rule *rule = &policy->rules[i];

        if (rule->to_jails && rule->to.items == set->items &&
            rule->to.items_count == set->items_count)
            return rule->to_jails;
        if (rule->from_jails && rule->from.items == set->items &&
            rule->from.items_count == set->items_count)
            return rule->from_jails;
    }
    return ++policy->jail_sets_count;
}

/* A rule with which everything, everywhere, may be spoken to. */
static bool admits_everywhere(const struct rule *rule)
{
    if (rule->direction != DIRECTION_OUT || rule->verdict != VERDICT_ALLOW ||
        (rule->to.given && !set_has(&rule->to, is_any)))
        return false;
    for (size_t i = 0; i < rule->protocols_count; i++) {
        if (rule->protocols[i].number != IPPROTO_ICMP &&
            rule->protocols[i].number != IPPROTO_ICMPV6)
            return true;
    }
    return rule->protocols_count == 0;
}

static bool answers_any(const struct policy *policy)
{
    if (policy->dns.any || policy->defaults[DIRECTION_OUT] == VERDICT_ALLOW)
        return true;
    for (size_t i = 0; i < policy->rules_count; i++) {
        if (admits_everywhere(&policy->rules[i]))
            return true;
    }
    return false;
}

void names_number(struct policy *policy)
{
    /* A list of a million addresses, which thousands of rules may name, is looked through once. */
    struct set_memo memo = {.numbers.arena = policy->arena};
    const struct rule *last = NULL; /* of the same kind as the next */

    policy->name_sets_count = policy->jail_sets_count = 0;
    for (size_t i = 0; i < policy->rules_count; i++) {
        struct rule *rule = &policy->rules[i];
        bool names = rule->verdict == VERDICT_ALLOW && rule->direction != DIRECTION_IN &&
                     set_facts_of(&memo, &rule->to).name;

        rule->to_names = 0;
        rule->to_jails = jail_set_number(policy, &memo, i, &rule->to);
        rule->from_jails = jail_set_number(policy, &memo, i, &rule->from);
        if (names)
            rule->to_names =
                last && rules_alike(last, rule) ? last->to_names : ++policy->name_sets_count;
        last = names ? rule : NULL;
    }
    policy->needs_resolver =
        policy->dns.directs_count == 0 &&
        (policy->dns.given ||
         (policy->links_count > 0 &&
          (policy->name_sets_count > 0 || policy->jail_sets_count > 0 || answers_any(policy))));
}

static struct mention *mention_of(struct names *names, struct map *map, const char *name,
                                  size_t rule)
{
    size_t number;

    if (map_find(map, name, strlen(name), &number))
        return &names->mentions[number];
    map_add(map, name, strlen(name), names->mentions_count);
    ARENA_PUSH(names->arena, names, mentions)->first_rule = rule;
    return &names->mentions[names->mentions_count - 1];
}

static void add_rule(struct names *names, size_t number)
{
    const struct rule *rule = &names->policy->rules[number];

    for (size_t i = 0; i < rule->to.items_count; i++) {
        const struct set_item *item = &rule->to.items[i];
        struct mention *mention;

        if (!is_name(item))
            continue;
        mention = mention_of(names, item->kind == SET_NAME ? &names->exact : &names->suffixes,
                             item->name, number);
        if (rule->to_names &&
            (mention->sets_count == 0 || mention->sets[mention->sets_count - 1] != rule->to_names))
            *ARENA_PUSH(names->arena, mention, sets) = rule->to_names;
    }
}

static void add_privates(struct names *names)
{
    const struct dns *dns = &names->policy->dns;
    size_t ignored;

    for (size_t i = 0; i < dns->privates_count; i++) {
        const char *name = dns->privates[i].name;
        bool is_suffix = strncmp(name, "*.", 2) == 0;
        struct map *map = is_suffix ? &names->private_suffixes : &names->privates;
        const char *key = is_suffix ? name + 2 : name;

        if (!map_find(map, key, strlen(key), &ignored))
            map_add(map, key, strlen(key), i);
    }
}

struct names *names_new(const struct policy *policy, struct arena *arena)
{
    struct names *names = arena_alloc(arena, sizeof *names);
    struct set_memo memo = {.numbers.arena = arena};

    names->policy = policy;
    names->arena = arena;
    names->exact.arena = names->suffixes.arena = arena;
    names->privates.arena = names->private_suffixes.arena = arena;
    names->found = arena_alloc(arena, (policy->name_sets_count + 1) * sizeof *names->found);
    names->stamps = arena_alloc(arena, (policy->name_sets_count + 1) * sizeof *names->stamps);
    names->any = answers_any(policy);
    for (size_t i = 0; i < policy->rules_count; i++) {
        const struct rule *rule = &policy->rules[i];

        if (rule->direction != DIRECTION_IN && set_facts_of(&memo, &rule->to).name)
            add_rule(names, i);
    }
    add_privates(names);
    return names;
}

static void take_mention(struct names *names, size_t number, struct name_judgement *judgement)
{
    const struct mention *mention = &names->mentions[number];

    if (!judgement->mentioned || mention->first_rule < judgement->rule)
        judgement->rule = mention->first_rule;
    judgement->mentioned = true;
    for (size_t i = 0; i < mention->sets_count; i++) {
        uint32_t set = mention->sets[i];

        if (names->stamps[set] == names->stamp)
            continue;
        names->stamps[set] = names->stamp;
        names->found[judgement->sets_count++] = set;
    }
}

void names_judge(struct names *names, const char *name, size_t length,
                 struct name_judgement *ret_judgement)
{
    struct name_judgement judgement = {.sets = names->found};
    size_t number;

    names->stamp++;
    judgement.may_be_private = map_find(&names->privates, name, length, &number);
    if (map_find(&names->exact, name, length, &number))
        take_mention(names, number, &judgement);
    for (size_t i = 1; i < length; i++) {
        if (name[i - 1] != '.')
            continue;
        if (map_find(&names->suffixes, name + i, length - i, &number))
            take_mention(names, number, &judgement);
        judgement.may_be_private |=
            map_find(&names->private_suffixes, name + i, length - i, &number);
    }
    judgement.admitted = judgement.mentioned
                             ? names->policy->rules[judgement.rule].verdict == VERDICT_ALLOW
                             : names->any;
    if (!judgement.admitted)
        judgement.sets_count = 0;
    *ret_judgement = judgement;
}

bool name_matches(const struct set_item *item, const char *name, size_t length)
{
    size_t own = item->name ? strlen(item->name) : 0;

    if (item->kind == SET_NAME)
        return own == length && memcmp(item->name, name, length) == 0;
    return item->kind == SET_SUFFIX && length > own + 1 && name[length - own - 1] == '.' &&
           memcmp(item->name, name + length - own, own) == 0;
}
