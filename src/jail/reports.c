/* Reports of netjail-service, judged.
 *
 * The service talks to the network and to the jail: whatever it sends may be somebody else's words.
 * So every kind of report has a row in the table: its size, the states in which it may come, and a
 * check of its contents; there is a number of reports a second that no honest service exceeds.
 * Descriptors are never accepted. No privilege. What must not happen: a pin for a name that the
 * plan does not have, for an address that means this host, or for longer than a day. */
#include "jail/reports.h"

#include "policy/relay.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define STATE(state) (1u << (state))

static bool is_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* An address that one machine can be reached at; its unused tail is zero, as everywhere. */
static bool addr_is_valid(const struct addr *addr)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    size_t size = addr_size(addr->family);

    if (addr->family != ADDR_V4 && addr->family != ADDR_V6)
        return false;
    if (!is_zero(addr->bytes + size, sizeof addr->bytes - size))
        return false;
    if (addr->family == ADDR_V4)
        return addr->bytes[0] != 0 && addr->bytes[0] != 127 && addr->bytes[0] < 224;
    return addr->bytes[0] != 0xff && !is_zero(addr->bytes, 15) &&
           memcmp(addr->bytes, mapped, sizeof mapped) != 0;
}

static bool check_ready(struct reports *reports, const union report_message *message)
{
    reports->state = SERVICE_SERVING;
    return message->report.reserved == 0;
}

static bool check_pins(struct reports *reports, const union report_message *message)
{
    const struct report_pins *pins = &message->pins;

    if (pins->set == 0 || pins->set > reports->names_count || pins->seconds < PIN_SECONDS_MIN ||
        pins->seconds > PIN_SECONDS_MAX || pins->count == 0 || pins->count > PINS_PER_REPORT)
        return false;
    for (uint32_t i = 0; i < pins->count; i++) {
        if (!addr_is_valid(&pins->addrs[i]))
            return false;
    }
    return is_zero((const uint8_t *)&pins->addrs[pins->count],
                   (PINS_PER_REPORT - pins->count) * sizeof pins->addrs[0]);
}

static bool verdict_is_valid(const struct packet_verdict *verdict)
{
    bool refuses = verdict->kind == VERDICT_PACKET_REFUSE;

    return verdict->kind <= VERDICT_PACKET_REFUSE &&
           (refuses ? verdict->mark >= RELAY_REFUSAL_FIRST && verdict->mark <= RELAY_REFUSAL_LAST
                    : verdict->mark == 0);
}

/* Each verdict costs as much as a report of its own. */
static bool check_verdicts(struct reports *reports, const union report_message *message)
{
    const struct report_verdicts *verdicts = &message->verdicts;

    if (!reports->verdicts || verdicts->count == 0 || verdicts->count > VERDICTS_PER_REPORT ||
        verdicts->count - 1 > reports->credit)
        return false;
    reports->credit -= verdicts->count - 1;
    for (uint32_t i = 0; i < verdicts->count; i++) {
        if (!verdict_is_valid(&verdicts->verdicts[i]))
            return false;
    }
    return is_zero((const uint8_t *)&verdicts->verdicts[verdicts->count],
                   (VERDICTS_PER_REPORT - verdicts->count) * sizeof verdicts->verdicts[0]);
}

/* A jail's name is a file's name, too: letters, digits, '.', '_' and '-'. */
static bool check_jail(struct reports *reports, const union report_message *message)
{
    const char *name = message->jail.name;
    size_t length = strnlen(name, REPORT_NAME_SIZE);

    if (!reports->jails || length == 0 || length == REPORT_NAME_SIZE || name[0] == '.')
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isascii((unsigned char)name[i]) ||
            (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i])))
            return false;
    }
    return is_zero((const uint8_t *)name + length, REPORT_NAME_SIZE - length);
}

static const struct {
    size_t size;
    unsigned states;
    bool (*check)(struct reports *reports, const union report_message *message);
} rules[] = {
    [REPORT_READY] = {sizeof(struct report), STATE(SERVICE_STARTING), check_ready},
    [REPORT_PINS] = {sizeof(struct report_pins), STATE(SERVICE_SERVING), check_pins},
    [REPORT_VERDICTS] = {sizeof(struct report_verdicts), STATE(SERVICE_SERVING), check_verdicts},
    [REPORT_JAIL] = {sizeof(struct report_jail), STATE(SERVICE_SERVING), check_jail},
};

/* Takes one report out of the credit, which grows with time. */
static bool take_credit(struct reports *reports, int64_t now_ms)
{
    int64_t passed_ms = now_ms - reports->credit_at_ms;

    if (passed_ms > 0) {
        uint64_t credit = reports->credit + (uint64_t)passed_ms * (REPORTS_PER_SECOND / 1000);

        reports->credit = credit > REPORTS_BURST ? REPORTS_BURST : (uint32_t)credit;
        reports->credit_at_ms = now_ms;
    }
    if (reports->credit == 0)
        return false;
    reports->credit--;
    return true;
}

void reports_begin(struct reports *reports, int fd, int64_t now_ms)
{
    *reports = (struct reports){
        .fd = fd, .state = SERVICE_STARTING, .credit = REPORTS_BURST, .credit_at_ms = now_ms};
}

static int refuse(struct reports *reports, struct error *error, const char *why)
{
    reports->state = SERVICE_ENDED;
    return error_set(error, -EPROTO, "netjail-service sent %s", why);
}

int reports_receive(struct reports *reports, int64_t now_ms, union report_message *ret_message,
                    struct error *error)
{
    union report_message message = {0};
    struct iovec part = {.iov_base = &message, .iov_len = sizeof message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1}; /* no room for descriptors */
    ssize_t size = recvmsg(reports->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (size < 0)
        return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
    if (size == 0)
        return -EPIPE;
    if (!take_credit(reports, now_ms))
        return refuse(reports, error, "more reports than it may");
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || (size_t)size < sizeof message.kind ||
        message.kind == 0 || message.kind >= sizeof rules / sizeof rules[0] ||
        rules[message.kind].size != (size_t)size)
        return refuse(reports, error, "what is no report");
    if (!(rules[message.kind].states & STATE(reports->state)))
        return refuse(reports, error, "what it may not send now");
    if (!rules[message.kind].check(reports, &message))
        return refuse(reports, error, "a report that cannot be");
    *ret_message = message;
    return 0;
}

int reports_notify(const struct reports *reports, const void *notice, size_t size)
{
    return send(reports->fd, notice, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}
