/* Messages between supervisor and init.
 *
 * One SOCK_SEQPACKET pair, no privilege. Every message has a row in the table: its size, the number
 * of descriptors with it, and the states in which the supervisor accepts it. Init runs beside
 * hostile programs of the same user, so the supervisor believes nothing: a message of another size,
 * out of its state, with other descriptors, with a signal number or status that cannot be, ends the
 * jail. What must not happen: a descriptor that was received and is not owned by anybody, or a text
 * without its NUL. */
#include "jail/control.h"

#include "base/cleanup.h"
#include "service/protocol.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static_assert(RELAY_FDS <= PACKET_FDS_MAX, "they come with one message");

#define STATE(state) (1u << (state))

struct control_rule {
    size_t size;
    size_t fds;
    unsigned states; /* 0: a command, never accepted by the supervisor */
};

static const struct control_rule rules[] = {
    [CONTROL_RELEASE] = {sizeof(struct control_message), 0, 0},
    [CONTROL_SIGNAL] = {sizeof(struct control_message), 0, 0},
    [CONTROL_CONTINUE] = {sizeof(struct control_message), 0, 0},
    [CONTROL_PROGRAM] = {sizeof(struct control_message), CONTROL_PROGRAM_FDS, 0},
    [CONTROL_OPENED] = {sizeof(struct control_message), CONTROL_FDS, STATE(JAIL_CLONED)},
    [CONTROL_RULES] = {sizeof(struct control_message), CONTROL_FDS, STATE(JAIL_OPENED)},
    [CONTROL_RELAY] = {sizeof(struct control_message), RELAY_FDS, STATE(JAIL_OPENED)},
    [CONTROL_NOTIFY] = {sizeof(struct control_message), 1, STATE(JAIL_OPENED)},
    [CONTROL_READY] = {sizeof(struct control_message), 0, STATE(JAIL_OPENED)},
    [CONTROL_STARTED] = {sizeof(struct control_message), 0, STATE(JAIL_READY)},
    [CONTROL_STATUS] = {sizeof(struct control_message), 0, STATE(JAIL_RUNNING)},
    [CONTROL_EMPTY] = {sizeof(struct control_message), 0, STATE(JAIL_RUNNING) | STATE(JAIL_ENDED)},
    [CONTROL_FAILED] = {sizeof(struct control_failure), 0,
                        STATE(JAIL_CLONED) | STATE(JAIL_OPENED) | STATE(JAIL_READY)},
    [CONTROL_REFUSED] = {sizeof(struct control_failure), 0, STATE(JAIL_READY)},
};

/* A received message and its descriptors. */
struct control_packet {
    union {
        struct control_message message;
        struct control_failure failure;
    };
    size_t size;
    int fds[PACKET_FDS_MAX];
    size_t fds_count;
};

int control_send(int fd, enum control_kind kind, int value, const int *fds, size_t fds_count)
{
    struct control_message message = {.kind = kind, .value = value};

    return packet_send(fd, &message, sizeof message, fds, fds_count, true);
}

int control_send_program(int fd, const int fds[CONTROL_PROGRAM_FDS])
{
    struct control_message message = {.kind = CONTROL_PROGRAM};

    return packet_send(fd, &message, sizeof message, fds, CONTROL_PROGRAM_FDS, false);
}

int control_send_failure(int fd, enum control_kind kind, const struct error *error)
{
    struct control_failure failure = {.kind = kind, .code = error->code, .where = error->where};

    memcpy(failure.text, error->text, sizeof failure.text);
    memcpy(failure.hint, error->hint, sizeof failure.hint);
    return packet_send(fd, &failure, sizeof failure, NULL, 0, true);
}

static int receive(int fd, bool wait, struct control_packet *packet)
{
    int length;

    memset(packet, 0, sizeof *packet);
    length = packet_receive(fd, &packet->failure, sizeof packet->failure, wait, packet->fds,
                            &packet->fds_count);
    if (length <= 0)
        return length < 0 ? length : -EPIPE;
    packet->size = (size_t)length;
    return 0;
}

static void packet_close_fds(struct control_packet *packet)
{
    for (size_t i = 0; i < packet->fds_count; i++)
        (void)close(packet->fds[i]); /* refused descriptors: nothing to lose */
    packet->fds_count = 0;
}

/* The row of a well-formed packet, or NULL. */
static const struct control_rule *packet_rule(const struct control_packet *packet)
{
    const struct control_rule *rule;

    if (packet->size < sizeof packet->message.kind || packet->message.kind >= ARRAY_LENGTH(rules))
        return NULL;
    rule = &rules[packet->message.kind];
    if (rule->size == 0 || packet->size != rule->size || packet->fds_count != rule->fds)
        return NULL;
    return rule;
}

int control_receive_command(int fd, bool wait, struct control_message *ret_message, int *ret_fds)
{
    struct control_packet packet;
    const struct control_rule *rule;
    int status = receive(fd, wait, &packet);

    if (status < 0)
        return status;
    rule = packet_rule(&packet);
    if (!rule || rule->states != 0 || (rule->fds > 0 && !ret_fds)) {
        packet_close_fds(&packet);
        return -EPROTO;
    }
    for (size_t i = 0; i < packet.fds_count; i++)
        ret_fds[i] = packet.fds[i];
    *ret_message = packet.message;
    return 0;
}

/* Init's own error as ours; texts from the other side end where we say. */
static int failure_take(const struct control_failure *failure, struct error *error)
{
    int code = failure->code < 0 && failure->code > -4096 ? failure->code : -EPROTO;
    char text[sizeof failure->text];
    char hint[sizeof failure->hint];

    memcpy(text, failure->text, sizeof text);
    memcpy(hint, failure->hint, sizeof hint);
    text[sizeof text - 1] = '\0';
    hint[sizeof hint - 1] = '\0';
    (void)error_set(error, code, "%s", text);
    error_hint(error, "%s", hint);
    error->where = failure->where;
    return code;
}

int control_receive_report(int fd, int state, bool wait, struct control_message *ret_message,
                           int *ret_fds, struct error *error)
{
    struct control_packet packet;
    const struct control_rule *rule;
    int status = receive(fd, wait, &packet);

    if (status == -EAGAIN)
        return status;
    if (status == -EPIPE)
        return error_set(error, status, "the jail's init ended unexpectedly");
    if (status < 0)
        return error_errno(error, status, "cannot hear from the jail's init");
    rule = packet_rule(&packet);
    if (!rule || !(rule->states & STATE(state)) || (rule->fds > 0 && !ret_fds)) {
        packet_close_fds(&packet);
        return error_set(error, -EPROTO, "the jail's init sent what it may not send now");
    }
    if (packet.message.kind == CONTROL_FAILED)
        return failure_take(&packet.failure, error);
    if (packet.message.kind == CONTROL_REFUSED) {
        *ret_message = (struct control_message){.kind = CONTROL_REFUSED,
                                                .value = failure_take(&packet.failure, error)};
        return 0;
    }
    for (size_t i = 0; i < packet.fds_count; i++)
        ret_fds[i] = packet.fds[i];
    *ret_message = packet.message;
    return 0;
}
