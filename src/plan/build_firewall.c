/* Firewalls of the host that stop what a jail forwards.
 *
 * A chain at the forward hook that drops (Docker's, ufw's, firewalld's, an administrator's) has the
 * last word: an accept of ours does not overrule it. Docker documents a chain for such rules, so
 * there the plan has ops; of all others the user is told, with the commands. A table some rule of
 * which names the interface is taken to know about it. Pure. What must not happen: advice that does
 * not end the warning, or a change to rules of others that the record does not name. */
#include "plan/build_internal.h"

#include <string.h>

static bool names_interface(const struct fact_forward *forward, const char *ifname)
{
    return forward->rules_length > 0 &&
           memmem(forward->rules, forward->rules_length, ifname, strlen(ifname) + 1) != NULL;
}

/* Does what this link carries pass the forward hook? */
static bool passes_forward(const struct build *build, const struct link_plan *link, uint8_t family)
{
    bool bridged = family == ADDR_V4 ? build->facts->bridge_nf4 : build->facts->bridge_nf6;

    return link_forwards(build, link, family) ||
           (link->network && bridged && prefixes_have(&link->addresses, family));
}

/* The chain's owner and the command that admits `%s`. */
static void advise(struct build *build, struct diag *diag, const struct fact_forward *forward,
                   const char *ifname, uint8_t family)
{
    const char *six = family == ADDR_V6 ? "6" : "";

    switch (forward->owner) {
    case FORWARD_FIREWALLD:
        diag_hint(build->diags, diag, "firewall-cmd --zone=trusted --add-interface=%s", ifname);
        return;
    case FORWARD_UFW:
        diag_hint(build->diags, diag, "ufw route allow in on %s; ufw route allow out on %s", ifname,
                  ifname);
        return;
    case FORWARD_IPTABLES:
        diag_hint(build->diags, diag,
                  "ip%stables -I FORWARD -i %s -j ACCEPT; ip%stables -I FORWARD -o %s -j ACCEPT",
                  six, ifname, six, ifname);
        return;
    case FORWARD_LEGACY:
    case FORWARD_DOCKER_LEGACY:
        diag_hint(
            build->diags, diag,
            "ip%stables-legacy -I %s -i %s -j ACCEPT; ip%stables-legacy -I %s -o %s -j ACCEPT", six,
            forward->chain, ifname, six, forward->chain, ifname);
        return;
    default:
        diag_hint(build->diags, diag,
                  "nft insert rule %s %s %s iifname %s accept; the same with oifname",
                  forward->family == ADDR_V4   ? "ip"
                  : forward->family == ADDR_V6 ? "ip6"
                                               : "inet",
                  forward->table, forward->chain, ifname);
    }
}

static const char *owner_text(const struct fact_forward *forward)
{
    static const char *const texts[] = {
        [FORWARD_NFT] = "its",
        [FORWARD_IPTABLES] = "iptables'",
        [FORWARD_LEGACY] = "iptables-legacy's",
        [FORWARD_DOCKER] = "Docker's",
        [FORWARD_DOCKER_LEGACY] = "Docker's",
        [FORWARD_UFW] = "ufw's",
        [FORWARD_FIREWALLD] = "firewalld's",
    };

    return texts[forward->owner];
}

static struct position link_position(const struct link_plan *link)
{
    if (link->network)
        return link->network->nat ? link->network->nat_where : link->network->where;
    return link->link->nat ? link->link->nat_where : link->link->where;
}

static void warn(struct build *build, const struct link_plan *link,
                 const struct fact_forward *forward, uint8_t family)
{
    struct diag *diag =
        diag_warning(build->diags, link_position(link),
                     "the host's firewall (%s chain '%s %s') drops what '%s' forwards",
                     owner_text(forward), forward->table, forward->chain, link->outer_name);

    if (!link->network && !link->link->host_ifname)
        diag_hint(build->diags, diag,
                  "give the cable a name on the host (peer-name), which its rules can name");
    else
        advise(build, diag, forward, link->outer_name, family);
}

static void accept_in_docker(struct build *build, const struct link_plan *link, uint8_t family)
{
    struct op *op;

    for (size_t i = 0; i < build->plan->ops_count; i++)
        if (build->plan->ops[i].kind == OP_DOCKER_ACCEPT &&
            build->plan->ops[i].docker.family == family &&
            strcmp(build->plan->ops[i].docker.ifname, link->outer_name) == 0)
            return;
    op = plan_push(build->plan, OP_DOCKER_ACCEPT, WHERE_HOST, link_position(link));
    op->docker.family = family;
    memcpy(op->docker.ifname, link->outer_name, sizeof op->docker.ifname);
}

static bool is_of_family(const struct fact_forward *forward, uint8_t family)
{
    return forward->family == family || forward->family == ADDR_NONE;
}

static void pass_link(struct build *build, const struct link_plan *link)
{
    static const uint8_t families[] = {ADDR_V4, ADDR_V6};

    for (size_t i = 0; i < build->facts->forwards_count; i++) {
        const struct fact_forward *forward = &build->facts->forwards[i];

        for (size_t k = 0; k < 2; k++) {
            if (!is_of_family(forward, families[k]) || !passes_forward(build, link, families[k]))
                continue;
            if (forward->owner == FORWARD_DOCKER) {
                accept_in_docker(build, link, families[k]);
            } else if (!names_interface(forward, link->outer_name)) {
                warn(build, link, forward, families[k]);
                break; /* one warning about a chain of both families */
            }
        }
    }
}

void build_firewalls(struct build *build)
{
    for (size_t i = 0; i < build->links_count; i++)
        pass_link(build, &build->links[i]);
}

bool plan_may_forward(const struct policy *policy)
{
    for (size_t i = 0; i < policy->publishes_count; i++)
        if (publish_is_outside(&policy->publishes[i]))
            return true;
    for (size_t i = 0; i < policy->links_count; i++) {
        const struct link *link = &policy->links[i];

        if (link->nat || (link->kind == LINK_BRIDGE && policy->networks[link->network].nat))
            return true;
    }
    return false;
}
