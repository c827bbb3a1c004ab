/* The words of the denial log.
 *
 * The rule's prefix is `VERDICT DIRECTION PLACE [TEXT]`, PLACE being `default` or a place in a
 * policy, as plan/ makes it; a prefix of another form is shown as it is. The hint is the statement
 * that would have let this packet through: the connection's own address, or the name that it was
 * answered for, and port, never wider; of a question to a name server that nobody admits, the rule
 * with its name, which gives the jail a resolver. What must not happen: bytes of a packet or a
 * prefix reaching a terminal or a JSON reader unescaped. Pure. */
#include "base/buf.h"
#include "policy/relay.h"
#include "service/config.h"
#include "service/denials.h"
#include "service/log.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* The parts of a prefix; "" where there is none. */
struct said {
    bool is_ours;
    char verdict[16];
    char direction[16];
    char place[64];
    const char *text; /* into the prefix */
};

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(word, *words) == 0)
            return true;
    }
    return false;
}

static struct said prefix_parse_words(const char *prefix)
{
    static const char *const verdicts[] = {"denied", "dropped", "allowed", NULL};
    static const char *const directions[] = {"in", "out", "forward", NULL};
    struct said said = {.text = ""};
    int end = 0;

    if (sscanf(prefix, "%15s %15s %63s%n", said.verdict, said.direction, said.place, &end) != 3)
        return said;
    if (!is_one_of(said.verdict, verdicts) || !is_one_of(said.direction, directions))
        return said;
    said.is_ours = true;
    said.text = prefix + end;
    while (*said.text == ' ')
        said.text++;
    return said;
}

/* Names that rules use; a number for all others, which rules understand as well. */
static const char *protocol_text(uint8_t number, char text[8])
{
    switch (number) {
    case IPPROTO_TCP:
        return "tcp";
    case IPPROTO_UDP:
        return "udp";
    case IPPROTO_SCTP:
        return "sctp";
    case IPPROTO_ICMP:
        return "icmp";
    case IPPROTO_ICMPV6:
        return "icmpv6";
    default:
        (void)snprintf(text, 8, "%u", number); /* three digits fit */
        return text;
    }
}

static void put_endpoint(struct buf *out, const struct addr *addr, const uint16_t *port)
{
    char text[ADDR_TEXT_SIZE];

    (void)addr_print(addr, text);
    if (!port)
        buf_puts(out, text);
    else
        buf_printf(out, addr->family == ADDR_V6 ? "[%s]:%u" : "%s:%u", text, *port);
}

static void put_flow(struct buf *out, const struct nflog_packet *packet)
{
    char number[8];

    if (packet->destination.family == ADDR_NONE) {
        buf_puts(out, " a packet that is not IP");
        return;
    }
    buf_printf(out, " %s", protocol_text(packet->protocol, number));
    if (packet->has_type)
        buf_printf(out, " %u", packet->type);
    buf_puts(out, " ");
    put_endpoint(out, &packet->source, NULL);
    buf_puts(out, " -> ");
    put_endpoint(out, &packet->destination, packet->has_ports ? &packet->port : NULL);
}

/* Why the service refuses what the rules admit. */
static const char *const causes[] = {
    [DENIAL_HOST_ADDRESS] = "an address of this host",
    [DENIAL_NO_PING] = "this host lets the relay make no ping sockets",
    [DENIAL_NO_MACHINE] = "no address of a machine that the relay can reach",
};

/* What helps where no rule does. */
static const char *const remedies[] = {
    [DENIAL_NO_PING] = SERVICE_PING_REMEDY,
    [DENIAL_NO_MACHINE] = "multicast, broadcast and link-local need a bridge, veth or macvlan link",
};

static const char *remedy(enum denial_cause cause)
{
    return cause < sizeof remedies / sizeof remedies[0] ? remedies[cause] : NULL;
}

static void put_place(struct buf *out, const struct said *said, enum denial_cause cause)
{
    if (cause != DENIAL_RULES) {
        buf_printf(out, " (%s)", causes[cause]);
    } else if (strcmp(said->place, "default") == 0) {
        const char *word = strcmp(said->verdict, "denied") == 0    ? "deny"
                           : strcmp(said->verdict, "dropped") == 0 ? "drop"
                                                                   : "allow";
        buf_printf(out, " (default %s %s)", word, said->direction);
    } else {
        buf_puts(out, " (");
        buf_put_visible(out, said->place, strlen(said->place));
        buf_puts(out, ")");
    }
    if (*said->text) {
        buf_puts(out, " ");
        buf_put_visible(out, said->text, strlen(said->text));
    }
}

static bool has_hint(const struct said *said, const struct nflog_packet *packet)
{
    return said->is_ours && strcmp(said->verdict, "allowed") != 0 &&
           packet->destination.family != ADDR_NONE;
}

/* host.netjail is reached by no rule. */
static bool is_exposable(const struct nflog_packet *packet)
{
    struct addr host = relay_addr(RELAY_HOST, packet->destination.family);

    return addr_equal(&packet->destination, &host) &&
           (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP);
}

/* A question that is refused by no rule of its own: what it wants to know is a name. */
static const char *question_of(const struct said *said, const struct nflog_packet *packet)
{
    return packet->question[0] && said->is_ours && strcmp(said->place, "default") == 0
               ? packet->question
               : NULL;
}

static void put_destination(struct buf *out, const struct denial *denial)
{
    buf_puts(out, " to ");
    if (denial->cause == DENIAL_HOST_ADDRESS)
        buf_puts(out, "host");
    else if (denial->name)
        buf_put_visible(out, denial->name, strlen(denial->name));
    else
        put_endpoint(out, &denial->packet->destination, NULL);
}

void denial_hint_name(struct buf *out, const char *name)
{
    buf_puts(out, "allow out tcp to ");
    buf_put_visible(out, name, strlen(name));
    buf_puts(out, " port 443");
}

/* The statement that would allow it. */
static void put_hint(struct buf *out, const struct said *said, const struct denial *denial)
{
    const struct nflog_packet *packet = denial->packet;
    const char *question = question_of(said, packet);
    bool with_source = strcmp(said->direction, "out") != 0;
    bool with_destination = strcmp(said->direction, "in") != 0;
    char number[8];

    if (remedy(denial->cause)) {
        buf_puts(out, remedy(denial->cause));
        return;
    }
    if (question) {
        denial_hint_name(out, question);
        return;
    }
    if (is_exposable(packet)) {
        buf_printf(out, "expose %u%s", packet->port, packet->protocol == IPPROTO_UDP ? " udp" : "");
        return;
    }
    buf_printf(out, "allow %s %s", said->direction, protocol_text(packet->protocol, number));
    if (packet->has_type)
        buf_printf(out, " %u", packet->type);
    if (with_source) {
        buf_puts(out, " from ");
        put_endpoint(out, &packet->source, NULL);
    }
    if (with_destination)
        put_destination(out, denial);
    if (packet->has_ports && packet->protocol != IPPROTO_UDPLITE)
        buf_printf(out, " port %u", packet->port);
}

void denial_print(const struct denial *denial, struct buf *out)
{
    const struct nflog_packet *packet = denial->packet;
    const struct said said = prefix_parse_words(packet->prefix);

    buf_printf(out, "netjail: %s: ", denial->jail_name);
    if (said.is_ours)
        buf_printf(out, "%s %s", said.verdict, said.direction);
    else
        buf_put_visible(out, packet->prefix, strlen(packet->prefix));
    put_flow(out, packet);
    if (question_of(&said, packet)) {
        buf_puts(out, " asking for ");
        buf_put_visible(out, packet->question, strlen(packet->question));
    }
    if (said.is_ours)
        put_place(out, &said, denial->cause);
    if (denial->count > 1)
        buf_printf(out, " (%u times)", denial->count);
    buf_puts(out, "\n");
    if (denial->count > 1 || !has_hint(&said, packet))
        return;
    buf_printf(out, "netjail: %s: hint: ", denial->jail_name);
    put_hint(out, &said, denial);
    if (strcmp(said.place, "default") != 0 && !remedy(denial->cause)) {
        buf_puts(out, " before ");
        buf_put_visible(out, said.place, strlen(said.place));
    }
    buf_puts(out, "\n");
}

static void put_json_flow(struct buf *out, const struct nflog_packet *packet)
{
    char text[ADDR_TEXT_SIZE];
    char number[8];

    log_json_member(out, "protocol", protocol_text(packet->protocol, number));
    log_json_member(out, "source", addr_print(&packet->source, text));
    if (packet->has_ports && packet->source_port) /* the relay does not know it */
        buf_printf(out, ",\"source_port\":%u", packet->source_port);
    log_json_member(out, "destination", addr_print(&packet->destination, text));
    if (packet->has_ports)
        buf_printf(out, ",\"port\":%u", packet->port);
    if (packet->has_type)
        buf_printf(out, ",\"type\":%u", packet->type);
}

void denial_print_json(const struct denial *denial, struct buf *out)
{
    const struct nflog_packet *packet = denial->packet;
    const struct said said = prefix_parse_words(packet->prefix);
    const char *question = question_of(&said, packet);
    const char *name = question ? question : denial->name;
    cleanup_buf struct buf hint = {0};

    log_json_begin(out, denial->time_s, denial->jail_name, denial->policy_name);
    if (said.is_ours) {
        log_json_member(out, "verdict", said.verdict);
        log_json_member(out, "direction", said.direction);
        log_json_member(out, "rule", said.place);
    }
    if (denial->cause != DENIAL_RULES)
        log_json_member(out, "text", causes[denial->cause]);
    else if (*said.text || !said.is_ours)
        log_json_member(out, "text", said.is_ours ? said.text : packet->prefix);
    if (packet->destination.family != ADDR_NONE)
        put_json_flow(out, packet);
    if (name)
        log_json_member(out, "name", name);
    buf_printf(out, ",\"count\":%u", denial->count);
    if (has_hint(&said, packet)) {
        put_hint(&hint, &said, denial);
        log_json_member(out, "hint", buf_text(&hint));
    }
    buf_puts(out, "}\n");
}

void name_denial_print(const struct name_denial *denial, struct buf *out)
{
    const char *why = denial->rule ? denial->rule : "no rule admits this name";

    buf_printf(out, "netjail: %s: denied name ", denial->jail_name);
    buf_put_visible(out, denial->name, strlen(denial->name));
    buf_puts(out, " (");
    buf_put_visible(out, denial->reason ? denial->reason : why,
                    strlen(denial->reason ? denial->reason : why));
    buf_printf(out, ")\nnetjail: %s: hint: ", denial->jail_name);
    buf_put_visible(out, denial->hint, strlen(denial->hint));
    if (denial->rule && !denial->reason) {
        buf_puts(out, " before ");
        buf_put_visible(out, denial->rule, strlen(denial->rule));
    }
    buf_puts(out, "\n");
}

void name_denial_print_json(const struct name_denial *denial, struct buf *out)
{
    log_json_begin(out, denial->time_s, denial->jail_name, denial->policy_name);
    log_json_member(out, "verdict", "denied");
    log_json_member(out, "direction", "out");
    log_json_member(out, "rule", denial->rule ? denial->rule : "default");
    log_json_member(out, "name", denial->name);
    if (denial->reason)
        log_json_member(out, "text", denial->reason);
    buf_puts(out, ",\"count\":1");
    log_json_member(out, "hint", denial->hint);
    buf_puts(out, "}\n");
}
