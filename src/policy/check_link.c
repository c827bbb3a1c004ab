/* Networks and links one by one: names, references, clauses that exclude each other.
 *
 * A bridge link without any address gets `address auto` when its network has addresses, so that
 * everything behind sees one form. Pure. */
#include "policy/check.h"

#include <string.h>

static void report_twice(struct diags *diags, struct position where, struct position first,
                         const char *what, const char *name)
{
    struct diag *diag = diag_error(diags, where, "a second %s '%s'", what, name);

    diag_other(diags, diag, first, "the first is here");
}

void check_networks(struct policy *policy, struct diags *diags)
{
    for (size_t i = 0; i < policy->networks_count; i++) {
        const struct network *network = &policy->networks[i];

        for (size_t j = 0; j < i; j++) {
            if (strcmp(policy->networks[j].name, network->name) == 0) {
                report_twice(diags, network->where, policy->networks[j].where, "network",
                             network->name);
                break;
            }
        }
        if (network->nat && network->addresses_count == 0) {
            struct diag *diag =
                diag_error(diags, network->nat_where, "'nat' in a network without an address");

            diag_hint(diags, diag, "add the host's address there, as 'address 10.10.0.1/16'");
        }
    }
}

static void report_unknown_network(const struct policy *policy, struct diags *diags,
                                   const struct link *link)
{
    const char **words = arena_alloc(diags->arena, (policy->networks_count + 1) * sizeof *words);
    const char *suggestion;
    struct diag *diag;

    for (size_t i = 0; i < policy->networks_count; i++)
        words[i] = policy->networks[i].name;
    suggestion = suggest_word(link->target, strlen(link->target), words);
    diag = diag_error(diags, link->target_where, "there is no network '%s' in the policy",
                      link->target);
    if (suggestion)
        diag_hint(diags, diag, "did you mean '%s'?", suggestion);
    else
        diag_hint(diags, diag, "for a bridge that exists already write 'network %s { external }'",
                  link->target);
}

/* Sets link->network. */
static bool find_network(const struct policy *policy, struct link *link)
{
    for (size_t i = 0; i < policy->networks_count; i++) {
        if (strcmp(policy->networks[i].name, link->target) == 0) {
            link->network = i;
            return true;
        }
    }
    return false;
}

static void add_automatic(const struct policy *policy, struct link *link)
{
    struct link_address automatic = {.automatic = true, .where = link->where};

    if (link->addresses_count == 0 && policy->networks[link->network].addresses_count > 0)
        *ARENA_PUSH(policy->arena, link, addresses) = automatic;
}

/* Of an external bridge the policy knows only what it says. */
static void warn_no_address(struct diags *diags, const struct link *link)
{
    struct diag *diag;

    if (link->addresses_count > 0 || diags->error_count > 0)
        return; /* what is wrong may be the address */
    diag = diag_warning(diags, link->where, "'%s' gets no address", link->ifname);
    diag_hint(diags, diag, "give it one, or state the bridge's own address in the network");
}

static void check_automatic(const struct policy *policy, struct diags *diags,
                            const struct link *link)
{
    const struct link_address *automatic = NULL;
    struct diag *diag;

    for (size_t i = 0; i < link->addresses_count; i++) {
        if (link->addresses[i].automatic || link->addresses[i].keep)
            automatic = &link->addresses[i];
    }
    if (!automatic)
        return;
    if (link->addresses_count > 1) {
        diag = diag_error(diags, automatic->where, "'address %s' beside other addresses",
                          automatic->keep ? "keep" : "auto");
        diag_hint(diags, diag, "it stands for all addresses of the link");
    }
    if (automatic->automatic && policy->networks[link->network].addresses_count == 0) {
        diag =
            diag_error(diags, automatic->where,
                       "network '%s' has no address to choose automatic ones from", link->target);
        diag_hint(diags, diag, "give the network an address, or the link its own");
    }
}

static void check_mtu(const struct policy *policy, struct diags *diags, const struct link *link)
{
    struct diag *diag;

    if (link->mtu == 0 || link->mtu >= 1280 || !link_has_family(policy, link, ADDR_V6))
        return;
    diag = diag_error(diags, link->where, "link '%s' has an IPv6 address and an MTU of %u",
                      link->ifname, link->mtu);
    diag_hint(diags, diag, "IPv6 needs at least 1280");
}

/* Names of interfaces on the host's side: other ends and bridges share one namespace. */
static void check_host_name(const struct policy *policy, struct diags *diags, size_t number)
{
    const struct link *link = &policy->links[number];
    struct diag *diag;

    if (!link->host_ifname || link->kind == LINK_VETH_JAIL)
        return; /* in another jail names are free */
    for (size_t i = 0; i < policy->networks_count; i++) {
        if (strcmp(policy->networks[i].name, link->host_ifname) == 0) {
            diag = diag_error(diags, link->where, "'%s' is the name of a network's bridge",
                              link->host_ifname);
            diag_other(diags, diag, policy->networks[i].where, "the network is here");
        }
    }
    for (size_t i = 0; i < number; i++) {
        const char *other = policy->links[i].host_ifname;

        if (other && policy->links[i].kind != LINK_VETH_JAIL &&
            strcmp(other, link->host_ifname) == 0)
            report_twice(diags, link->where, policy->links[i].where, "interface of the host",
                         other);
    }
}

static void check_against(const struct link *link, const struct link *other, struct diags *diags)
{
    if (link->ifname && other->ifname && strcmp(link->ifname, other->ifname) == 0)
        report_twice(diags, link->where, other->where, "link", link->ifname);
    if (link->kind == LINK_RELAY && other->kind == LINK_RELAY)
        report_twice(diags, link->where, other->where, "link", "relay");
    if (link->has_mac && other->has_mac && memcmp(&link->mac, &other->mac, sizeof link->mac) == 0) {
        char text[MAC_TEXT_SIZE];

        report_twice(diags, link->where, other->where, "link with the MAC address",
                     mac_print(&link->mac, text));
    }
}

/* An interface that shares its parent's address cannot have another one. */
static void check_shared_mac(struct diags *diags, const struct link *link)
{
    bool passthru = link->kind == LINK_MACVLAN && link->mode && strcmp(link->mode, "passthru") == 0;
    struct diag *diag;

    if (!link->has_mac || (link->kind != LINK_IPVLAN && !passthru))
        return;
    diag = diag_error(diags, link->where, "'mac' for %s",
                      passthru ? "a macvlan in mode passthru" : "an ipvlan");
    diag_hint(diags, diag, "it has the address of '%s'", link->target);
}

static void report_ignored(struct diags *diags, const struct link *link, struct position where,
                           const char *what)
{
    struct diag *diag = diag_error(diags, where, "%s beside 'link join'", what);

    diag_hint(diags, diag, "the network of '%s' stays as it is, its rules included; say it there",
              link->target);
    diag_other(diags, diag, link->where, "the link is here");
}

/* What would have to change the network that is joined. */
static void check_joined(const struct policy *policy, struct diags *diags, const struct link *link)
{
    if (policy->rules_count > 0)
        report_ignored(diags, link, policy->rules[0].where, "a rule");
    for (size_t i = 0; i < DIRECTION_COUNT; i++)
        if (policy->defaults_given[i])
            report_ignored(diags, link, policy->defaults_where[i], "'default'");
    if (policy->publishes_count > 0)
        report_ignored(diags, link, policy->publishes[0].where, "'publish'");
    if (policy->exposes_count > 0)
        report_ignored(diags, link, policy->exposes[0].where, "'expose'");
    if (policy->lo_addresses_count > 0)
        report_ignored(diags, link, policy->lo_addresses[0].where, "an address of 'lo'");
    if (policy->forward)
        report_ignored(diags, link, policy->forward_where, "'forward'");
    if (policy->log_denied)
        report_ignored(diags, link, policy->log_where, "'log denied'");
    if (policy->dns.given && policy->dns.directs_count == 0)
        report_ignored(diags, link, policy->dns.where, "'dns' without 'direct'");
}

static void check_join(const struct policy *policy, struct diags *diags, const struct link *link)
{
    struct diag *diag;

    if (link->kind != LINK_JOIN)
        return;
    check_joined(policy, diags, link);
    if (policy->links_count > 1) {
        const struct link *other = &policy->links[link == policy->links ? 1 : 0];

        diag = diag_error(diags, link->where, "'link join' beside another link");
        diag_hint(diags, diag, "the network of the other jail is all there is");
        diag_other(diags, diag, other->where, "the other link is here");
    }
}

void check_links(struct policy *policy, struct diags *diags)
{
    for (size_t i = 0; i < policy->links_count; i++) {
        struct link *link = &policy->links[i];

        for (size_t j = 0; j < i; j++)
            check_against(link, &policy->links[j], diags);
        if (link->kind == LINK_BRIDGE) {
            if (!find_network(policy, link)) {
                report_unknown_network(policy, diags, link);
                link->network = SIZE_MAX; /* the later parts leave such a link alone */
                continue;
            }
            add_automatic(policy, link);
            warn_no_address(diags, link);
        }
        check_automatic(policy, diags, link);
        check_mtu(policy, diags, link);
        check_host_name(policy, diags, i);
        check_shared_mac(diags, link);
        check_join(policy, diags, link);
    }
}
