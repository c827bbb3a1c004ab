/* Questions about a policy.
 *
 * A question is completed to the text of a rule and read by the rule parser, so that its words and
 * its errors are those of the language. What stands for itself in it (a name, a jail, gateway,
 * host) matches the rules that name it; and since such a thing has some address that is not known
 * here, it is taken for one of the internet where rules speak of addresses. Pure. */
#include "policy/query.h"

#include "base/buf.h"
#include "policy/names.h"
#include "policy/parser.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

struct query {
    const char *text;
    struct rule *rule;
};

/* What a name or a symbol is taken for: addresses for documentation (RFC 5737, RFC 3849) would be
 * in no rule, and are not the internet; these are in use there. */
static const struct addr stand_ins[] = {
    {.family = ADDR_V4, .bytes = {192, 31, 80, 30}},
    {.family = ADDR_V6, .bytes = {0x20, 0x01, 0x05, 0x03, 0x83, 0xeb, [15] = 0x30}},
};

/* ---- completing the text ---- */

struct words {
    const char *at; /* the rest */
    char word[256];
};

static bool words_next(struct words *words)
{
    size_t length;

    words->at += strspn(words->at, " \t");
    length = strcspn(words->at, " \t");
    if (length == 0 || length >= sizeof words->word)
        return false;
    memcpy(words->word, words->at, length);
    words->word[length] = '\0';
    words->at += length;
    return true;
}

static bool is_number(const char *word)
{
    return word[0] && strspn(word, "0123456789") == strlen(word);
}

static bool is_protocol(const char *word)
{
    static const char *const names[] = {"tcp", "udp", "sctp", "icmp", "icmpv6", "tcp,udp"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(word, names[i]) == 0)
            return true;
    }
    return false;
}

static bool is_clause(const char *word)
{
    return strcmp(word, "from") == 0 || strcmp(word, "to") == 0 || strcmp(word, "port") == 0;
}

/* "echo-request", "8": neither an address nor a name of the DNS, behind a protocol with types. */
static bool is_type(const char *word)
{
    return !strpbrk(word, ".:") && (is_number(word) || strchr(word, '-')) &&
           strcmp(word, "link-local") != 0;
}

static void put_word(struct buf *out, const char *before, const char *word)
{
    buf_printf(out, " %s%s", before, word);
}

/* A clause word takes what follows it as it stands. */
static void put_clause(struct words *words, struct buf *out)
{
    put_word(out, "", words->word);
    if (!words_next(words))
        return;
    put_word(out, "", words->word);
    if (strcmp(words->word, "jail") == 0 && words_next(words))
        put_word(out, "", words->word);
}

static void complete(const char *text, struct buf *out)
{
    struct words words = {.at = text};
    bool is_in, has_place = false, has_types;

    buf_puts(out, "allow");
    if (!words_next(&words))
        return; /* the parser says what it wants */
    put_word(out, "", words.word);
    is_in = strcmp(words.word, "in") == 0;
    if (!words_next(&words)) {
        put_word(out, "", "tcp");
        return;
    }
    has_types = strncmp(words.word, "icmp", 4) == 0;
    /* A bare number is a protocol only where an address follows. */
    if (is_protocol(words.word) || (is_number(words.word) && words.at[0])) {
        put_word(out, "", words.word);
        if (!words_next(&words))
            return;
        if (has_types && is_type(words.word)) {
            put_word(out, "", words.word);
            if (!words_next(&words))
                return;
        }
    } else {
        put_word(out, "", "tcp");
    }
    do {
        if (is_clause(words.word)) {
            has_place = has_place || strcmp(words.word, "port") != 0;
            put_clause(&words, out);
        } else if (strcmp(words.word, "jail") == 0 && !has_place) {
            put_word(out, is_in ? "from " : "to ", "jail");
            has_place = words_next(&words);
            put_word(out, "", words.word);
        } else if (is_number(words.word)) {
            put_word(out, "port ", words.word);
        } else {
            put_word(out, has_place ? "" : is_in ? "from " : "to ", words.word);
            has_place = true;
        }
    } while (words_next(&words));
}

/* ---- judging it ---- */

static int set_check(const struct set *set, struct diags *diags)
{
    const struct set_item *item = set->items;
    struct diag *diag;

    if (!set->given ||
        (set->items_count == 1 &&
         (item->kind != SET_RANGE || addr_equal(&item->range.first, &item->range.last))))
        return 0;
    diag = diag_error(diags, set->where, "a question is about one address");
    diag_hint(diags, diag, "netjailctl diff compares whole policies");
    return -EINVAL;
}

static int rule_check(const struct rule *rule, struct diags *diags)
{
    int result = set_check(&rule->from, diags);

    if (result == 0)
        result = set_check(&rule->to, diags);
    if (result == 0 && (rule->protocols_count != 1 || rule->rate.given || rule->log)) {
        diag_error(diags, rule->where, "a question is about one protocol, and has no rate or log");
        return -EINVAL;
    }
    if (result == 0 && rule->ports.given &&
        (rule->ports.ranges_count != 1 ||
         rule->ports.ranges[0].first != rule->ports.ranges[0].last)) {
        diag_error(diags, rule->ports.where, "a question is about one port");
        return -EINVAL;
    }
    return result;
}

int query_parse(const char *text, struct policy *policy, struct diags *diags,
                struct query **ret_query)
{
    cleanup_buf struct buf completed = {0};
    struct query *query;
    int result;

    complete(text, &completed);
    result = policy_parse(policy, diags, "question", NULL, buf_text(&completed), completed.length,
                          true, NULL, NULL, 0);
    if (result == 0 && policy->rules_count != 1) {
        diag_error(diags, (struct position){0}, "not a question: '%s'", text);
        result = -EINVAL;
    }
    if (result == 0)
        result = rule_check(&policy->rules[0], diags);
    if (result < 0)
        return -EINVAL;
    query = arena_alloc(policy->arena, sizeof *query);
    query->rule = &policy->rules[0];
    query->text = arena_strndup(policy->arena, buf_text(&completed) + strlen("allow "),
                                completed.length - strlen("allow "));
    *ret_query = query;
    return 0;
}

const char *query_text(const struct query *query)
{
    return query->text;
}

enum direction query_direction(const struct query *query)
{
    return query->rule->direction;
}

/* ---- answering ---- */

struct asked {
    const struct policy *policy; /* that is asked, for its gateways */
    const struct set_item *from; /* NULL: an address, or nothing */
    const struct set_item *to;
    const struct packet *packet;
};

/* The addresses that the host has on the jail's links, as far as the policy states them. */
static bool is_gateway(const struct policy *policy, const struct addr *addr)
{
    for (size_t i = 0; i < policy->networks_count; i++)
        for (size_t k = 0; k < policy->networks[i].addresses_count; k++) {
            const struct link_address *address = &policy->networks[i].addresses[k];

            if (!address->automatic && addr_equal(&address->prefix.addr, addr))
                return true;
        }
    for (size_t i = 0; i < policy->links_count; i++)
        for (size_t k = 0; k < policy->links[i].gateways_count; k++)
            if (addr_equal(&policy->links[i].gateways[k], addr))
                return true;
    return false;
}

static bool contains(void *context, const struct set_item *item, const struct addr *addr)
{
    const struct asked *asked = context;
    const struct set_item *symbol = addr == &asked->packet->source ? asked->from : asked->to;

    if (!symbol)
        return (item->kind == SET_GATEWAY || item->kind == SET_HOST) &&
               is_gateway(asked->policy, addr);
    if (item->kind == SET_SUFFIX && symbol->kind == SET_NAME)
        return name_matches(item, symbol->name, strlen(symbol->name));
    /* The gateway is the host on the jail's link. */
    if (item->kind == SET_HOST && symbol->kind == SET_GATEWAY)
        return true;
    return item->kind == symbol->kind && (!item->name || strcmp(item->name, symbol->name) == 0);
}

static bool is_symbol(const struct set *set)
{
    const struct addr_range *ranges;

    return set->given && set->items[0].kind != SET_RANGE && set->items[0].kind != SET_ANY &&
           set_builtin_ranges(set->items[0].kind, &ranges) == 0;
}

/* An address of this family for a place of the question; false: it has one of the other. */
static bool place_address(const struct set *set, size_t family, struct addr *ret_addr)
{
    const struct addr_range *ranges;
    size_t count;

    *ret_addr = stand_ins[family];
    if (!set->given || set->items[0].kind == SET_ANY || is_symbol(set))
        return true;
    if (set->items[0].kind == SET_RANGE) {
        *ret_addr = set->items[0].range.first;
        return ret_addr->family == stand_ins[family].family;
    }
    count = set_builtin_ranges(set->items[0].kind, &ranges);
    for (size_t i = 0; i < count; i++) {
        *ret_addr = ranges[i].first;
        if (ret_addr->family == stand_ins[family].family)
            return true;
    }
    return false;
}

/* The resolver answers a name only where the first rule that mentions it admits it, whatever its
 * ports; a name that is not answered comes to no rule. */
static void decide_name(const struct policy *policy, const char *name, struct decision *decision)
{
    struct name_judgement judgement;

    names_judge(names_new(policy, policy->arena), name, strlen(name), &judgement);
    if (decision->verdict != VERDICT_ALLOW || !judgement.mentioned || judgement.admitted)
        return;
    *decision = (struct decision){.verdict = policy->rules[judgement.rule].verdict,
                                  .rule = judgement.rule,
                                  .where = policy->rules[judgement.rule].where};
}

static bool answer_family(const struct query *query, const struct policy *policy, size_t family,
                          bool published, struct answer *ret_answer)
{
    const struct rule *rule = query->rule;
    const struct protocol *protocol = &rule->protocols[0];
    struct packet packet = {.direction = rule->direction,
                            .protocol = protocol->number,
                            .port = rule->ports.given ? rule->ports.ranges[0].first : 0,
                            .icmp_type = protocol->icmp_type,
                            .published = published};
    struct asked asked = {.policy = policy,
                          .from = is_symbol(&rule->from) ? &rule->from.items[0] : NULL,
                          .to = is_symbol(&rule->to) ? &rule->to.items[0] : NULL,
                          .packet = &packet};
    struct decide_context context = {.contains = contains, .context = &asked};

    if ((protocol->number == IPPROTO_ICMP && family != 0) ||
        (protocol->number == IPPROTO_ICMPV6 && family != 1))
        return false;
    if (!protocol->has_type && protocol->number == IPPROTO_ICMP)
        packet.icmp_type = 8; /* echo request */
    if (!protocol->has_type && protocol->number == IPPROTO_ICMPV6)
        packet.icmp_type = 128;
    if (!place_address(&rule->from, family, &packet.source) ||
        !place_address(&rule->to, family, &packet.destination))
        return false;
    ret_answer->family = stand_ins[family].family;
    ret_answer->decision = policy_decide(policy, &packet, &context);
    if (asked.to && asked.to->kind == SET_NAME)
        decide_name(policy, asked.to->name, &ret_answer->decision);
    return true;
}

size_t query_answer(const struct query *query, const struct policy *policy, bool through_publish,
                    struct answer answers[2])
{
    size_t count = 0;

    for (size_t family = 0; family < 2; family++)
        count += answer_family(query, policy, family, through_publish, &answers[count]);
    if (count == 2 && answers[0].decision.verdict == answers[1].decision.verdict &&
        answers[0].decision.where.source == answers[1].decision.where.source &&
        answers[0].decision.where.line == answers[1].decision.where.line &&
        answers[0].decision.where.column == answers[1].decision.where.column) {
        answers[0].family = ADDR_NONE;
        count = 1;
    }
    return count;
}
