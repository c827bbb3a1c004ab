/* The jail's resolver: from a query to an answer.
 *
 *   judged     by name, before anything is asked: a name that no rule admits is refused at once, so
 *              nothing can be carried out in labels; the first rule that mentions a name decides
 *   found      in the policy's records, among running jails, in the cache, or upstream; queries for
 *              the same name wait together
 *   guarded    a public name must not have addresses of somebody's own network (rebinding)
 *   pinned     into the sets of all rules that admit the name; acknowledged by the kernel
 *   answered   only then
 *
 * What fails is SERVFAIL. Everything is bounded: lookups, waiting clients, the cache, pins. What
 * must not happen: an address answered for a name in a rule before it is in the kernel's set; a
 * question upstream for a name that the policy does not admit (the CNAMEs of one that it does are
 * asked for, since they come from its own zone). No privilege. */
#include "service/resolver.h"

#include "base/cleanup.h"
#include "policy/names.h"
#include "policy/relay.h"
#include "service/host_route.h"
#include "service/resolver_cache.h"
#include "service/resolver_guard.h"
#include "service/resolver_jails.h"
#include "service/resolver_listen.h"
#include "service/resolver_log.h"
#include "service/resolver_pinned.h"
#include "service/resolver_pins.h"
#include "service/resolver_upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUPS_MAX  256
#define CLIENTS_MAX  2048
#define HOPS_MAX     8
#define TTL_RECORD_S 60
#define TTL_JAIL_S   1

struct waiting {
    TAILQ_ENTRY(waiting) entry;
    struct dns_client client;
};
TAILQ_HEAD(waiting_list, waiting);

/* One name and type that is being found. */
struct lookup {
    TAILQ_ENTRY(lookup) entry;
    struct resolver *resolver;
    struct dns_name name;
    uint16_t type;
    unsigned hops;
    char jail[DNS_NAME_MAX]; /* NAME of NAME.jail; "": asked upstream */
    struct upstream_ask ask;
    struct pins_request pins;
    struct dns_answer answer;
    struct waiting_list clients;
};

struct resolver {
    struct resolver_setup setup;
    const struct policy *policy;
    struct arena *arena;
    struct names *names;
    struct upstream *upstream;
    struct dns_cache *cache;
    struct pins *pins;
    struct pinned *pinned;
    struct jails *jails;
    struct listen *listen;
    struct resolver_log log;
    TAILQ_HEAD(lookup_list, lookup) lookups;
    size_t lookups_count;
    size_t clients_count;
    struct dns_answer answer; /* of what is answered at once */
};

static uint64_t now_ms(const struct resolver *resolver)
{
    return loop_now_ms(resolver->setup.loop);
}

static void answer_rcode(struct resolver *resolver, struct dns_client *client, enum dns_rcode rcode)
{
    resolver->answer.rcode = rcode;
    resolver->answer.chain_count = 0;
    resolver->answer.addrs_count = 0;
    listen_answer(resolver->listen, client, &resolver->answer);
}

/* An answer of our own about the name asked for; addresses are added by the caller. */
static struct dns_answer *own_answer(struct resolver *resolver, const struct dns_client *client,
                                     uint32_t ttl_s)
{
    struct dns_answer *answer = &resolver->answer;

    answer->rcode = DNS_NOERROR;
    answer->ttl_s = ttl_s;
    answer->chain_count = 1;
    answer->chain[0] = client->query.name;
    answer->addrs_count = 0;
    answer->pointer.length = 0;
    return answer;
}

static uint8_t family_of(uint16_t type)
{
    return type == DNS_TYPE_A ? ADDR_V4 : type == DNS_TYPE_AAAA ? ADDR_V6 : ADDR_NONE;
}

static void add_addr(struct dns_answer *answer, uint16_t type, const struct addr *addr)
{
    if (addr->family == family_of(type) && answer->addrs_count < DNS_ADDRS_MAX)
        answer->addrs[answer->addrs_count++] = *addr;
}

/* ---- lookups ---- */

static void lookup_free(struct lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;

    upstream_cancel(&lookup->ask);
    pins_cancel(resolver->pins, &lookup->pins);
    while (!TAILQ_EMPTY(&lookup->clients)) {
        struct waiting *waiting = TAILQ_FIRST(&lookup->clients);

        listen_forget(resolver->listen, &waiting->client);
        TAILQ_REMOVE(&lookup->clients, waiting, entry);
        resolver->clients_count--;
        free(waiting);
    }
    TAILQ_REMOVE(&resolver->lookups, lookup, entry);
    resolver->lookups_count--;
    free(lookup);
}

/* The end of a lookup: everybody who waits is answered. */
static void lookup_answer(struct lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;
    struct waiting *waiting;

    TAILQ_FOREACH(waiting, &lookup->clients, entry)
    {
        listen_answer(resolver->listen, &waiting->client, &lookup->answer);
    }
    lookup_free(lookup);
}

static void lookup_fail(struct lookup *lookup, enum dns_rcode rcode)
{
    lookup->answer.rcode = rcode;
    lookup->answer.chain_count = 0;
    lookup_answer(lookup);
}

static void lookup_pinned(void *context, int code)
{
    struct lookup *lookup = context;
    struct resolver *resolver = lookup->resolver;

    if (code < 0) {
        service_log_limit(resolver->setup.log, "addresses could not be admitted: %s",
                          strerror(-code));
        lookup_fail(lookup, DNS_SERVFAIL);
        return;
    }
    dns_cache_put(resolver->cache, &lookup->name, lookup->type, now_ms(resolver), &lookup->answer);
    lookup_answer(lookup);
}

static uint32_t pin_seconds(uint32_t ttl_s)
{
    return ttl_s < PIN_SECONDS_MIN   ? PIN_SECONDS_MIN
           : ttl_s > PIN_SECONDS_MAX ? PIN_SECONDS_MAX
                                     : ttl_s;
}

/* Notes the addresses that the name may have; one that has too many keeps those that it has. */
static void note_pins(struct lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;
    struct dns_answer *answer = &lookup->answer;
    uint32_t seconds = pin_seconds(answer->ttl_s);
    uint16_t kept = 0;

    for (uint16_t i = 0; i < answer->addrs_count; i++) {
        if (pinned_note(resolver->pinned, &lookup->name, &answer->addrs[i], seconds,
                        now_ms(resolver)))
            answer->addrs[kept++] = answer->addrs[i];
    }
    if (kept == 0 && answer->addrs_count > 0)
        kept = (uint16_t)pinned_some_of(resolver->pinned, &lookup->name, family_of(lookup->type),
                                        now_ms(resolver), answer->addrs, 8);
    answer->addrs_count = kept;
}

/* Addresses are admitted, then answered. */
static void lookup_pin(struct lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;
    struct dns_answer *answer = &lookup->answer;
    struct name_judgement judgement = {0};
    char text[DNS_NAME_MAX];

    if (dns_name_text(&lookup->name, text))
        names_judge(resolver->names, text, strlen(text), &judgement);
    if (!judgement.admitted && !lookup->jail[0]) {
        lookup_fail(lookup, DNS_REFUSED); /* cannot be: it was judged before */
        return;
    }
    if (answer->addrs_count == 0 || judgement.sets_count == 0) {
        for (uint16_t i = 0; i < answer->addrs_count; i++)
            (void)pinned_note(resolver->pinned, &lookup->name, &answer->addrs[i],
                              pin_seconds(answer->ttl_s), now_ms(resolver)); /* for PTR only */
        lookup_pinned(lookup, 0);
        return;
    }
    note_pins(lookup);
    if (answer->addrs_count == 0 ||
        pins_ask(resolver->pins, &lookup->pins, judgement.sets, judgement.sets_count, answer->addrs,
                 answer->addrs_count, pin_seconds(answer->ttl_s), lookup_pinned, lookup) < 0)
        lookup_fail(lookup, DNS_SERVFAIL);
}

/* Of the host's own addresses: asked now, since they come and go. */
static bool is_hosts(const struct resolver *resolver, const struct addr *addr)
{
    bool is_local, is_plain;

    return host_route_look(resolver->setup.route_fd, addr, &is_local, &is_plain) == 0 && !is_plain;
}

static bool is_somebodys(const struct resolver *resolver, const struct addr *addr)
{
    return guard_is_private(addr) || is_hosts(resolver, addr) ||
           judge_knows(resolver->setup.judge, KNOWN_HOST, addr) ||
           judge_knows(resolver->setup.judge, KNOWN_GATEWAY, addr) ||
           judge_knows(resolver->setup.judge, KNOWN_JAIL, addr) ||
           judge_knows(resolver->setup.judge, KNOWN_LINK, addr);
}

/* Takes out the addresses that a public name must not have. False: nothing is left of them. */
static bool lookup_guard(struct lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;
    struct dns_answer *answer = &lookup->answer;
    struct name_judgement judgement;
    char text[DNS_NAME_MAX];
    uint16_t kept = 0;

    if (answer->addrs_count == 0 || !dns_name_text(&lookup->name, text))
        return true;
    names_judge(resolver->names, text, strlen(text), &judgement);
    for (uint16_t i = 0; i < answer->addrs_count; i++) {
        const struct addr addr = answer->addrs[i];
        bool never = guard_is_never(&addr);

        if (!never && (judgement.may_be_private || !is_somebodys(resolver, &addr)))
            answer->addrs[kept++] = addr;
        else
            resolver_log_address(&resolver->log, text, &addr, never);
    }
    answer->addrs_count = kept;
    return kept > 0;
}

/* The reply continues the chain that is known so far. */
static void lookup_join(struct lookup *lookup)
{
    struct dns_answer *answer = &lookup->answer;
    const struct dns_answer *reply = &lookup->ask.answer;

    if (lookup->hops == 0) {
        *answer = *reply;
        return;
    }
    for (size_t i = 1; i < reply->chain_count && answer->chain_count < DNS_CHAIN_MAX; i++)
        answer->chain[answer->chain_count++] = reply->chain[i];
    answer->rcode = reply->rcode;
    answer->is_open = reply->is_open;
    answer->ttl_s = reply->ttl_s < answer->ttl_s ? reply->ttl_s : answer->ttl_s;
    answer->addrs_count = reply->addrs_count;
    memcpy(answer->addrs, reply->addrs, reply->addrs_count * sizeof reply->addrs[0]);
}

static void lookup_asked(void *context, bool answered)
{
    struct lookup *lookup = context;
    struct dns_answer *answer = &lookup->answer;

    if (!answered) {
        resolver_log_unanswered(&lookup->resolver->log, &lookup->name, &lookup->ask.turns);
        lookup_fail(lookup, DNS_SERVFAIL);
        return;
    }
    lookup_join(lookup);
    if (answer->is_open && answer->chain_count < DNS_CHAIN_MAX && lookup->hops < HOPS_MAX) {
        lookup->hops++;
        upstream_ask(lookup->resolver->upstream, &lookup->ask,
                     &answer->chain[answer->chain_count - 1], lookup->type, lookup_asked, lookup);
    } else if (answer->is_open) {
        lookup_fail(lookup, DNS_SERVFAIL); /* a loop, or as good as one */
    } else if (!lookup_guard(lookup)) {
        lookup_fail(lookup, DNS_REFUSED);
    } else {
        lookup_pin(lookup);
    }
}

static void jail_answered(void *context, const char *name, const struct addr *addrs, size_t count)
{
    struct resolver *resolver = context;
    struct lookup *lookup, *next;

    for (lookup = TAILQ_FIRST(&resolver->lookups); lookup; lookup = next) {
        struct dns_answer *answer = &lookup->answer;

        next = TAILQ_NEXT(lookup, entry);
        if (strcmp(lookup->jail, name) != 0)
            continue;
        *answer = (struct dns_answer){
            .rcode = count > 0 ? DNS_NOERROR : DNS_NXDOMAIN, .ttl_s = TTL_JAIL_S, .chain_count = 1};
        answer->chain[0] = lookup->name;
        for (size_t i = 0; i < count; i++)
            add_addr(answer, lookup->type, &addrs[i]);
        lookup_answer(lookup);
    }
}

static struct lookup *lookup_find(struct resolver *resolver, const struct dns_name *name,
                                  uint16_t type)
{
    struct lookup *lookup;

    TAILQ_FOREACH(lookup, &resolver->lookups, entry)
    {
        if (lookup->type == type && dns_name_equal(&lookup->name, name))
            return lookup;
    }
    return NULL;
}

/* The client's lookup, with the client in it; NULL: too much is under way. *ret_new: nobody has
 * begun it yet. */
static struct lookup *lookup_enter(struct resolver *resolver, const struct dns_client *client,
                                   bool *ret_new)
{
    struct lookup *lookup = lookup_find(resolver, &client->query.name, client->query.type);
    struct waiting *waiting;

    *ret_new = !lookup;
    if (resolver->clients_count >= CLIENTS_MAX ||
        (!lookup && resolver->lookups_count >= LOOKUPS_MAX) ||
        !(waiting = calloc(1, sizeof *waiting)))
        return NULL;
    if (!lookup) {
        lookup = calloc(1, sizeof *lookup);
        if (!lookup) {
            free(waiting);
            return NULL;
        }
        lookup->resolver = resolver;
        lookup->name = client->query.name;
        lookup->type = client->query.type;
        TAILQ_INIT(&lookup->clients);
        TAILQ_INSERT_TAIL(&resolver->lookups, lookup, entry);
        resolver->lookups_count++;
    }
    waiting->client = *client;
    TAILQ_INSERT_TAIL(&lookup->clients, waiting, entry);
    resolver->clients_count++;
    return lookup;
}

/* ---- queries ---- */

static void answer_pointer(struct resolver *resolver, struct dns_client *client)
{
    struct dns_answer *answer = own_answer(resolver, client, PIN_SECONDS_MIN);
    struct addr addr;

    if (dns_name_address(&client->query.name, &addr) &&
        pinned_name_of(resolver->pinned, &addr, now_ms(resolver), &answer->pointer))
        listen_answer(resolver->listen, client, answer);
    else
        answer_rcode(resolver, client, DNS_REFUSED);
}

/* What the policy itself says about the name. */
static bool answer_record(struct resolver *resolver, struct dns_client *client, const char *text)
{
    static const struct addr loopback[] = {{ADDR_V4, {127, 0, 0, 1}}, {ADDR_V6, {[15] = 1}}};
    const struct dns *dns = &resolver->policy->dns;
    struct dns_answer *answer = own_answer(resolver, client, TTL_RECORD_S);
    size_t length = strlen(text);
    bool found = strcmp(text, "localhost") == 0 ||
                 (length > 10 && strcmp(text + length - 10, ".localhost") == 0); /* RFC 6761 */

    for (size_t i = 0; found && i < ARRAY_LENGTH(loopback); i++)
        add_addr(answer, client->query.type, &loopback[i]);
    for (size_t i = 0;
         resolver->policy->exposes_count > 0 && i < 2 && strcmp(text, RELAY_HOST_NAME) == 0; i++) {
        struct addr host = relay_addr(RELAY_HOST, i == 0 ? ADDR_V4 : ADDR_V6);

        found = true;
        add_addr(answer, client->query.type, &host);
    }
    for (size_t i = 0; i < dns->records_count; i++) {
        if (strcmp(dns->records[i].name, text) != 0)
            continue;
        found = true;
        add_addr(answer, client->query.type, &dns->records[i].addr);
    }
    if (found)
        listen_answer(resolver->listen, client, answer);
    return found;
}

/* NAME.jail */
static bool answer_jail(struct resolver *resolver, struct dns_client *client, const char *text)
{
    static const char suffix[] = ".jail";
    size_t length = strlen(text);
    struct lookup *lookup;
    bool is_new;

    if (length < sizeof suffix || strcmp(text + length - (sizeof suffix - 1), suffix) != 0)
        return false;
    length -= sizeof suffix - 1;
    lookup = length < REPORT_NAME_SIZE ? lookup_enter(resolver, client, &is_new) : NULL;
    if (!lookup) {
        answer_rcode(resolver, client, length < REPORT_NAME_SIZE ? DNS_SERVFAIL : DNS_NXDOMAIN);
        return true;
    }
    if (!is_new)
        return true;
    memcpy(lookup->jail, text, length);
    if (jails_ask(resolver->jails, lookup->jail) < 0)
        lookup_fail(lookup, DNS_SERVFAIL);
    return true;
}

static void answer_outside(struct resolver *resolver, struct dns_client *client)
{
    struct lookup *lookup;
    bool is_new;

    if (family_of(client->query.type) == ADDR_NONE) {
        listen_answer(resolver->listen, client, own_answer(resolver, client, 0));
        return;
    }
    if (dns_cache_find(resolver->cache, &client->query.name, client->query.type, now_ms(resolver),
                       &resolver->answer)) {
        listen_answer(resolver->listen, client, &resolver->answer);
        return;
    }
    lookup = lookup_enter(resolver, client, &is_new);
    if (!lookup)
        answer_rcode(resolver, client, DNS_SERVFAIL);
    else if (is_new)
        upstream_ask(resolver->upstream, &lookup->ask, &lookup->name, lookup->type, lookup_asked,
                     lookup);
}

static void take_query(void *context, const struct dns_client *asked)
{
    struct resolver *resolver = context;
    struct name_judgement judgement = {0};
    struct dns_client client = *asked;
    char text[DNS_NAME_MAX];
    const char *host;
    bool is_denied;

    if (client.query.type == DNS_TYPE_PTR) {
        answer_pointer(resolver, &client);
        return;
    }
    if (!dns_name_text(&client.query.name, text)) {
        answer_rcode(resolver, &client, DNS_REFUSED); /* no host has such a name */
        return;
    }
    /* Other types are answered empty, so that nothing is asked: the service's host is meant. */
    host = family_of(client.query.type) == ADDR_NONE ? dns_service_host(text) : text;
    names_judge(resolver->names, host, strlen(host), &judgement);
    is_denied = judgement.mentioned && !judgement.admitted;
    if (!is_denied &&
        (answer_record(resolver, &client, text) || answer_jail(resolver, &client, text)))
        return;
    if (judgement.admitted) {
        answer_outside(resolver, &client);
        return;
    }
    resolver_log_name(&resolver->log, host, is_denied ? judgement.rule : SIZE_MAX);
    answer_rcode(resolver, &client, DNS_REFUSED);
}

/* ---- start and end ---- */

static bool contains(void *context, const struct set_item *item, const struct addr *addr)
{
    const struct resolver *resolver = context;

    return item->kind == SET_JAIL ? jails_item_has(resolver->jails, item, addr)
                                  : pinned_item_has(resolver->pinned, item, addr, now_ms(resolver));
}

static void listens(void *context)
{
    struct resolver *resolver = context;

    resolver->setup.ready(resolver->setup.context, 0);
}

static void listens_not(void *context, int code)
{
    struct resolver *resolver = context;

    resolver->setup.ready(resolver->setup.context, code);
}

static int start_listening(struct resolver *resolver, struct error *error)
{
    static const struct addr addrs[] = {{ADDR_V4, {127, 0, 0, 53}}, {ADDR_V4, {127, 0, 0, 1}}};
    const struct listen_calls calls = {
        .ready = listens, .failed = listens_not, .query = take_query, .context = resolver};

    return listen_new(resolver->setup.loop, resolver->setup.supply, addrs,
                      resolver->setup.on_loopback ? 2 : 1, &calls, &resolver->listen, error);
}

static void take_upstreams(struct resolver *resolver)
{
    const struct dns *dns = &resolver->policy->dns;
    struct addr servers[DNS_SERVERS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < dns->upstreams_count && count < DNS_SERVERS_MAX; i++)
        servers[count++] = dns->upstreams[i].addr;
    upstream_set_servers(resolver->upstream, servers, count);
}

int resolver_new(const struct resolver_setup *setup, struct resolver **ret_resolver,
                 struct error *error)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);

    if (!resolver)
        return error_errno(error, -ENOMEM, "cannot start the resolver");
    *ret_resolver = resolver;
    resolver->setup = *setup;
    resolver->policy = judge_policy(setup->judge);
    TAILQ_INIT(&resolver->lookups);
    resolver->arena = arena_new();
    resolver->upstream = upstream_new(setup->loop);
    resolver->cache = dns_cache_new();
    resolver->pins = pins_new(setup->loop, setup->report_fd);
    resolver->pinned = pinned_new();
    resolver->jails =
        jails_new(setup->loop, setup->report_fd, resolver->policy, jail_answered, resolver);
    if (!resolver->arena || !resolver->upstream || !resolver->cache || !resolver->pins ||
        !resolver->pinned || !resolver->jails)
        return error_errno(error, -ENOMEM, "cannot start the resolver");
    resolver->names = names_new(resolver->policy, resolver->arena);
    resolver_log_open(&resolver->log, setup, resolver->pinned);
    take_upstreams(resolver);
    judge_name_with(setup->judge, contains, resolver);
    return start_listening(resolver, error);
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return;
    while (!TAILQ_EMPTY(&resolver->lookups))
        lookup_free(TAILQ_FIRST(&resolver->lookups));
    listen_free(resolver->listen);
    jails_free(resolver->jails);
    pins_free(resolver->pins);
    pinned_free(resolver->pinned);
    dns_cache_free(resolver->cache);
    upstream_free(resolver->upstream);
    arena_free(resolver->arena);
    free(resolver);
}

void resolver_notice(struct resolver *resolver, const union notice *notice, size_t size)
{
    if (size == sizeof notice->pinned && notice->kind == NOTICE_PINNED) {
        pins_noticed(resolver->pins, &notice->pinned);
        return;
    }
    if (size != sizeof notice->addrs || notice->addrs.count > NOTICE_ADDRS_MAX)
        return;
    if (notice->kind == NOTICE_SERVERS && resolver->policy->dns.upstreams_count == 0)
        upstream_set_servers(resolver->upstream, notice->addrs.addrs, notice->addrs.count);
    else if (notice->kind == NOTICE_JAIL || notice->kind == NOTICE_JAIL_ASKED)
        jails_noticed(resolver->jails, &notice->addrs);
}
